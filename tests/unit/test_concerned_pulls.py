"""Which pull requests an event asks a verdict for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from leverframe.domain.review.report.concerned_pulls import AwaitedPull, ConcernedPulls, Pending, awaited, concerned
from leverframe.domain.review.report.pull_of_run import NoPull, Pull, RunPull
from leverframe.errors import PublishError

HEAD, NAME = "c" * 40, "acme/ml"
HERE = {"GITHUB_REPOSITORY": NAME, "GITHUB_RUN_ID": "9"}
PULLS = [
    Pull(1, HEAD, "main", NAME, "topic"),
    Pull(2, HEAD, "release", NAME, "topic"),
    Pull(3, HEAD, "main", "fork/ml", "topic"),
    Pull(4, HEAD, "main", NAME, "topic", open=False),
]


def run_of(
    action: str = "completed", conclusion: str | None = "success", event: str = "pull_request"
) -> dict[str, Any]:
    """Return the payload after a run of `topic` began or ended."""
    home = {"full_name": NAME}
    run = {"id": 5, "event": event, "conclusion": conclusion, "head_branch": "topic", "head_sha": HEAD}
    return {"action": action, "workflow_run": run | {"head_repository": home, "pull_requests": []}}


def numbers(outcome: ConcernedPulls | NoPull) -> list[int]:
    """Return the pull requests that are concerned."""
    assert isinstance(outcome, ConcernedPulls)
    return [pull.number for pull in awaited(outcome, PULLS)[0]]


def test_a_run_concerns_every_pull_request_of_its_commit() -> None:
    """Each base has a verdict of its own; a fork has its own branches, and what is closed has none."""
    assert numbers(concerned("workflow_run", run_of(), HERE)) == [2, 1]
    moved = [replace(pull, head="d" * 40) for pull in PULLS]
    outcome = concerned("workflow_run", run_of(), HERE)
    assert isinstance(outcome, ConcernedPulls)
    assert awaited(outcome, moved)[0] == []


@pytest.mark.parametrize(
    ("payload", "run", "words"),
    [
        (run_of("requested", None), 0, "has begun"),
        (run_of(), 5, "is judged"),
        (run_of(conclusion="action_required"), 5, "has to approve"),
        (run_of(event="pull_request_review"), 0, "is judged"),
        (run_of(event="workflow_dispatch"), 5, "is judged"),
    ],
)
def test_a_run_that_ended_left_a_claim(payload: dict[str, Any], run: int, words: str) -> None:
    """One that just begins did not, nor does a review; the check says what it waits for."""
    outcome = concerned("workflow_run", payload, HERE)
    assert isinstance(outcome, ConcernedPulls)
    assert (outcome.run, words in outcome.words) == (run, True)


def test_a_push_concerns_all_into_its_branch() -> None:
    """Not those into another one; a tag and a branch that is gone concern nobody."""
    assert numbers(concerned("push", {"ref": "refs/heads/main"}, HERE)) == [3, 1]
    for payload in ({"ref": "refs/tags/v1"}, {"ref": "refs/heads/main", "deleted": True}, {}):
        assert isinstance(concerned("push", payload, HERE), NoPull)


def test_by_hand_one_or_all() -> None:
    """A number is asked for, and nothing else is looked at."""
    assert numbers(concerned("workflow_dispatch", {"inputs": None}, HERE)) == [3, 2, 1]
    assert concerned("workflow_dispatch", {"inputs": {"pull": " #7 "}}, HERE) == concerned("push", {}, HERE, 7)
    for odd in ("1; ls", "-1", "٣", "9" * 30):
        with pytest.raises(PublishError, match="no pull request"):
            concerned("workflow_dispatch", {"inputs": {"pull": odd}}, HERE)


def test_a_queue_has_a_commit_of_its_own() -> None:
    """The number is in the name of its branch."""
    group = {"head_ref": f"refs/heads/gh-readonly-queue/main/pr-3-{HEAD}", "head_sha": "e" * 40}
    outcome = concerned("merge_group", {"merge_group": group}, HERE)
    assert isinstance(outcome, ConcernedPulls)
    assert isinstance(outcome.of, RunPull)
    assert (outcome.number, outcome.of.head, outcome.of.base, outcome.of.queued) == (3, "e" * 40, "main", True)


def test_the_output_is_a_matrix() -> None:
    """The run is empty where there is no claim: the step that would fetch it is left out."""
    pending = Pending(
        (AwaitedPull(2, "main", HEAD), AwaitedPull(1, "main", HEAD, 5)), ("#3: a newer run has posted: 11",)
    )
    assert pending.outputs == {
        "pulls": f'[{{"number": 2, "base": "main", "head": "{HEAD}", "run": ""}}, '
        f'{{"number": 1, "base": "main", "head": "{HEAD}", "run": 5}}]'
    }
    assert pending.lines()[0] == "a verdict is to come for 2 pull requests"
    assert pending.lines()[-1] == "  #3: a newer run has posted: 11"
