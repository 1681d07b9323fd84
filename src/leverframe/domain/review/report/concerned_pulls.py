"""Which pull requests an event asks a verdict for: more than one where a base branch moves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from leverframe.domain.review.report.pull_of_run import NoPull, Pull, RunPull, where
from leverframe.domain.verdict import Skipped, Verdict
from leverframe.errors import PublishError

MOST = 200  # verdicts that one event asks for; a matrix of GitHub takes 256 jobs
_BRANCH = "refs/heads/"
_TO_COME = "a verdict is to come"
_WORDS = {
    "requested": "a run of this commit has begun: it is judged when that has ended",
    "action_required": "a maintainer has to approve that workflows run for this commit: it is judged after that",
    "push": "the base branch moved: the change is judged with what is there now",
}


@dataclass(frozen=True)
class ConcernedPulls:
    """What an event concerns: one pull request by ``number``, those of the commit ``of`` a run, or all into a branch.

    ``into`` is empty for all that are open. ``run`` is the run that left a claim, 0 where it has to be looked up.
    ``words`` say what the check waits for.
    """

    words: str
    number: int | None = None
    of: RunPull | None = None
    into: str = ""
    run: int = 0


@dataclass(frozen=True)
class AwaitedPull:
    """A pull request whose verdict is to come; ``run`` is the run that made a claim for it, 0 without one."""

    number: int
    base: str
    head: str
    run: int = 0


@dataclass(frozen=True)
class Pending:
    """The pull requests whose checks say that a verdict is to come; ``why`` tells which are left out."""

    pulls: tuple[AwaitedPull, ...]
    why: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """None yet."""
        return Skipped(_TO_COME)

    @property
    def place(self) -> str:
        """Nothing is written."""
        return ""

    @property
    def outputs(self) -> dict[str, str]:
        """Return them as a matrix of jobs reads them: ``run`` is empty where there is no claim."""
        return {"pulls": json.dumps([asdict(pull) | {"run": pull.run or ""} for pull in self.pulls])}

    def lines(self) -> list[str]:
        """Return them for a terminal."""
        shown = [f"  #{pull.number} into {pull.base}, at {pull.head[:12]}" for pull in self.pulls]
        return [f"{_TO_COME} for {len(self.pulls)} pull requests", *shown, *(f"  {line}" for line in self.why)]


def concerned(
    event: str, payload: Mapping[str, Any], environment: Mapping[str, str], number: int | None = None
) -> ConcernedPulls | NoPull:
    """Return what an event concerns; ``number`` names one pull request whatever the event.

    Raises ``PublishError`` for a payload that lacks what its event always has.
    """
    number = _asked(payload) if number is None and event == "workflow_dispatch" else number
    if number is not None:
        return ConcernedPulls("the verdict was asked for by hand: it is to come", number=number)
    if event in ("workflow_dispatch", "schedule"):
        return ConcernedPulls("all verdicts were asked for anew: it is to come")
    if event == "push":
        return _of_push(payload)
    place = where(event, payload, environment)
    if isinstance(place, NoPull):
        return place
    if event == "workflow_run":
        return _of_run(payload, place)
    return ConcernedPulls("the change is judged", number=place.number, of=place if place.queued else None)


def _asked(payload: Mapping[str, Any]) -> int | None:
    inputs = payload.get("inputs")
    asked = str(inputs.get("pull") or "").strip().removeprefix("#") if isinstance(inputs, Mapping) else ""
    if not asked:
        return None
    if not (asked.isascii() and asked.isdecimal() and 0 < len(asked) < 10):
        raise PublishError(
            f"{asked[:40]!r} is no pull request", why="the input `pull` is a number", next="give its number alone"
        )
    return int(asked)


def _of_push(payload: Mapping[str, Any]) -> ConcernedPulls | NoPull:
    reference = str(payload.get("ref") or "")
    if payload.get("deleted") or not reference.startswith(_BRANCH):
        return NoPull(f"the push is of `{reference[:100]}`, which is no base branch by now")
    return ConcernedPulls(_WORDS["push"], into=reference.removeprefix(_BRANCH))


def _of_run(payload: Mapping[str, Any], place: RunPull) -> ConcernedPulls:
    run, action = payload["workflow_run"], str(payload.get("action") or "")
    state = action if action == "requested" else str(run.get("conclusion") or "")
    left = action == "completed" and str(run["event"]) != "pull_request_review"  # a review leaves nothing, and neither
    left = left and run.get("conclusion") != "skipped"  # does a run without a job, as after an edit of the title
    words = _WORDS.get(state, "the change is judged")
    return ConcernedPulls(words, place.number, place, run=int(run["id"]) if left else 0)


def awaited(concern: ConcernedPulls, pulls: Sequence[Pull]) -> tuple[list[Pull], tuple[str, ...]]:
    """Return those of the listed pull requests that an event concerns, newest first, and why others are not.

    Of a run, they are all that show its commit: each has a base of its own, and so a verdict.
    """
    run = concern.of
    if run is None:
        fitting = [pull for pull in pulls if pull.open and concern.into in ("", pull.base)]
    else:
        source = (run.head_repository, run.head_branch, run.head)
        fitting = [pull for pull in pulls if pull.open and (pull.source, pull.branch, pull.head) == source]
    fitting = sorted(fitting, key=lambda pull: -pull.number)
    if not fitting and run is not None:
        return [], (f"no open pull request shows {run.head[:12]} by now: what came since has runs of its own",)
    return fitting, ()
