"""Which pull request a run is about: each event that starts a workflow, as GitHub describes it; none is guessed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.domain.review.report.pull_of_run import NoPull, Pull, RunOrder, RunPull, chosen_pull, where
from leverframe.errors import PublishError
from leverframe.local.github import events
from leverframe.local.github.state import Issue, PullRequest, Repository
from leverframe.local.repository import TemporaryRepository
from tests.profiles import examples

HEAD, OTHER = "c" * 40, "d" * 40
SURROUNDINGS = {"GITHUB_REPOSITORY": "acme/ml", "GITHUB_RUN_ID": "6", "GITHUB_RUN_ATTEMPT": "2"}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository with a branch that has two pull requests, and one of a fork."""
    folder = tmp_path_factory.mktemp("events")
    here, fork = Repository.create("acme", "ml", folder), Repository.create("stranger", "ml", folder)
    author = TemporaryRepository.create(folder / "author", dvc=False)
    author.write("a", "1")
    author.commit("Start")
    for place in (here, fork):
        author.git("push", "--quiet", str(place.path), "HEAD:main", "HEAD:release", "HEAD:topic")
    here.open_pull("To main", "topic")
    here.open_pull("To release", "topic", base="release")
    here.open_pull("Of a fork", "topic", source=fork)
    return here


@pytest.fixture
def pull(repository: Repository) -> Iterator[PullRequest]:
    """The pull request #1."""
    yield repository.pulls[1]
    repository.pulls[1].state = "open"


def told(event: str, payload: dict[str, Any], **more: str) -> RunPull | NoPull:
    """Return what an event says; every payload here is valid against GitHub's own schema."""
    return where(event, payload, SURROUNDINGS | more)


def test_the_events_of_a_pull_request_name_it(repository: Repository, pull: PullRequest) -> None:
    """Its number, the head that it had then, its branch and where it goes; never what is checked out."""
    expected = RunPull("acme/ml", 1, pull.head, RunOrder(6, 2), "acme/ml", "topic", "main")
    merge = {"GITHUB_SHA": OTHER, "GITHUB_REF": "refs/pull/1/merge"}
    for action in ("opened", "synchronize", "reopened"):
        payload = events.pull_request_event(repository, pull, action)
        assert told("pull_request", payload, **merge) == expected
        assert told("pull_request_target", payload, GITHUB_SHA=OTHER, GITHUB_REF="refs/heads/main") == expected
    assert told("pull_request_review", events.review_event(repository, pull), **merge) == expected
    pull.state = "closed"
    assert told("pull_request", events.pull_request_event(repository, pull, "closed")) == expected
    other = told("pull_request", events.pull_request_event(repository, repository.pulls[3]))
    assert other == RunPull("acme/ml", 3, pull.head, RunOrder(6, 2), "stranger/ml", "topic", "main", trusted=False)


def test_a_fork_that_is_gone_is_still_a_pull_request(repository: Repository) -> None:
    """GitHub has no repository for its head any more."""
    payload = events.pull_request_event(repository, repository.pulls[3])
    payload["pull_request"]["head"]["repo"] = None
    target = told("pull_request", payload)
    assert isinstance(target, RunPull)
    assert (target.number, target.head_repository, target.trusted) == (3, "", False)


def test_a_comment_names_the_number_and_no_commit(repository: Repository, pull: PullRequest) -> None:
    """The head is looked up; a comment on an issue is about no pull request, and says so."""
    target = told("issue_comment", events.issue_comment_event(repository, pull), GITHUB_SHA=OTHER)
    assert target == RunPull("acme/ml", 1, "", RunOrder(6, 2), trusted=False)
    target = told("issue_comment", events.issue_comment_event(repository, Issue(9, "Help", "ada")))
    assert target == NoPull("the comment is on issue #9, which is no pull request")


def test_a_merge_queue_has_a_commit_of_its_own(repository: Repository, pull: PullRequest) -> None:
    """The check belongs to that; the queue pushes its branch as well, and the branch may have slashes."""
    payload = events.merge_group_event(repository, pull, OTHER)
    branch = payload["merge_group"]["head_ref"]
    expected = RunPull("acme/ml", 1, OTHER, RunOrder(6, 2), "acme/ml", branch, "main", queued=True)
    assert told("merge_group", payload) == expected
    assert told("workflow_dispatch", {}, GITHUB_REF=branch, GITHUB_SHA=OTHER) == expected
    payload["merge_group"]["head_ref"] = f"refs/heads/gh-readonly-queue/release/1.x/pr-12-{HEAD}"
    target = told("merge_group", payload)
    assert isinstance(target, RunPull)
    assert (target.number, target.base) == (12, "release/1.x")
    payload["merge_group"]["head_ref"] = "refs/heads/else"
    assert isinstance(told("merge_group", payload), NoPull)


def test_a_push_and_a_run_by_hand_are_of_a_branch(repository: Repository, pull: PullRequest) -> None:
    """Whose pull request is looked up, whatever inputs say; a tag, and a branch that was deleted, have none."""
    expected = RunPull("acme/ml", None, pull.head, RunOrder(6, 2), "acme/ml", "topic")
    assert told("push", events.push_event(repository, "refs/heads/topic")) == expected
    surroundings = {"GITHUB_REF": "refs/heads/topic", "GITHUB_SHA": pull.head}
    hostile = {"inputs": {"number": "3"}, "pull_request": {"number": 3}, "ref": "refs/heads/other"}
    assert told("workflow_dispatch", hostile, **surroundings) == expected
    deleted = told("push", events.push_event(repository, "refs/heads/topic", deleted=True))
    assert deleted == NoPull("the push deleted `refs/heads/topic`")
    assert isinstance(told("workflow_dispatch", {}, GITHUB_REF="refs/tags/v1", GITHUB_SHA=HEAD), NoPull)
    with pytest.raises(PublishError, match="names no commit of a repository"):
        told("workflow_dispatch", {}, GITHUB_REF="refs/heads/topic")


@pytest.mark.parametrize("event", ["schedule", "repository_dispatch", "release", "issues", "check_suite", "fork"])
def test_other_events_say_that_they_are_about_no_pull_request(event: str, repository: Repository) -> None:
    """What a sender put into the payload is no pull request of the run."""
    payload = events.repository_dispatch_event(repository, {"pull_request": {"number": 3}, "number": 3})
    assert told(event, payload) == NoPull(f"the event `{event}` is about no pull request")


def test_the_run_of_another_workflow_is_of_its_branch_and_commit(repository: Repository, pull: PullRequest) -> None:
    """Its own id and attempt count; what it lists counts for branches of this repository alone."""

    def ended(of: PullRequest, event: str = "pull_request", **more: Any) -> RunPull | NoPull:
        payload = events.workflow_run_event(repository, of, 5, "success", event, **more)
        return told("workflow_run", payload)

    expected = RunPull("acme/ml", None, pull.head, RunOrder(5, 3), "acme/ml", "topic", among=(1,))
    assert ended(pull, named=[pull], run_attempt=3) == expected
    assert ended(pull, "workflow_dispatch") == RunPull("acme/ml", None, pull.head, RunOrder(5, 1), "acme/ml", "topic")
    fork = repository.pulls[3]
    expected = RunPull("acme/ml", None, fork.head, RunOrder(5, 1), "stranger/ml", "topic", trusted=False)
    assert ended(fork, named=[pull]) == expected  # the number never comes from the payload of a fork
    assert ended(pull, "schedule") == NoPull("the run was started by `schedule`, which is about no pull request")
    queued = f"gh-readonly-queue/main/pr-1-{HEAD}"
    target = ended(pull, "merge_group", head_branch=queued)
    assert target == RunPull("acme/ml", 1, pull.head, RunOrder(5, 1), "acme/ml", queued, "main", queued=True)
    payload = events.workflow_run_event(repository, fork, 5)
    payload["workflow_run"]["head_repository"] = None
    assert told("workflow_run", payload) == NoPull("the fork that the run is of is gone")


NAMES = ["pull_request", "head", "sha", "number", "repo", "issue", "workflow_run", "id", "event", "ref", "merge_group",
         "head_ref", "head_sha", "after", "head_branch", "head_repository"]  # fmt: skip


@pytest.mark.parametrize("event", ["pull_request", "workflow_run", "issue_comment", "merge_group", "push"])
@given(payload=st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner), max_leaves=8,
))  # fmt: skip
@settings(max_examples=examples(0.2))
def test_an_odd_event_is_one_clear_error(event: str, payload: Any) -> None:
    """Never a traceback, whatever the payload."""
    content = payload if isinstance(payload, dict) else {}
    with suppress(PublishError):
        target = told(event, content)
        assert isinstance(target, NoPull) or target.head == "" or len(target.head) == 40


def test_a_part_of_another_kind_is_named_in_our_words() -> None:
    """What lists and numbers say of a name that they do not have is Python's."""
    odds: list[Any] = [[], 7, "x", None, {"head": [], "number": 1}, {"head": {"sha": HEAD}, "number": float("inf")}]
    for odd in odds:
        with pytest.raises(PublishError) as refused:
            told("pull_request", {"pull_request": odd})
        assert refused.value.why == "a part of it is not as GitHub writes that event", odd


RUN = RunPull("acme/ml", None, HEAD, head_repository="acme/ml", head_branch="topic")
MAIN = Pull(1, HEAD, "main", "acme/ml", "topic")
RELEASE = Pull(2, HEAD, "release", "acme/ml", "topic")


def among(*numbers: int) -> RunPull:
    """Return the run for which GitHub lists pull requests."""
    return RunPull("acme/ml", None, HEAD, head_repository="acme/ml", head_branch="topic", among=numbers)


def test_the_pull_request_is_the_one_of_the_head_and_base() -> None:
    """By repository, branch and commit, then by what GitHub lists, then by the base: order and age do not count."""
    fork = Pull(3, HEAD, "main", "stranger/ml", "topic")
    moved = Pull(4, OTHER, "main", "acme/ml", "topic")
    for pulls in ([fork, MAIN, moved], [moved, MAIN, fork]):
        assert chosen_pull(RUN, pulls, "main") == MAIN
    for pulls in ([MAIN, RELEASE], [RELEASE, MAIN]):
        assert chosen_pull(RUN, pulls, "main") == MAIN
        assert chosen_pull(RUN, pulls, "release") == RELEASE
        assert chosen_pull(among(1), pulls, "") == MAIN
        assert chosen_pull(among(2, 9), pulls, "") == RELEASE
        assert chosen_pull(among(1, 2), pulls, "release") == RELEASE


def test_what_cannot_be_told_is_not_guessed() -> None:
    """Several that fit are an error; none that fits is told with what is there instead."""
    with pytest.raises(PublishError) as refused:
        chosen_pull(RUN, [MAIN, RELEASE], "")
    assert "#1 into `main`, #2 into `release`" in refused.value.why
    choice = chosen_pull(RUN, [RELEASE], "main")
    assert isinstance(choice, NoPull)
    assert "#2 goes into `release`" in choice.because
    choice = chosen_pull(RUN, [Pull(4, OTHER, "main", "acme/ml", "topic")], "main")
    assert isinstance(choice, NoPull)
    assert f"#4 is at {OTHER[:12]}" in choice.because
    assert isinstance(chosen_pull(RUN, [Pull(3, HEAD, "main", "", "topic")], ""), NoPull)


def test_a_pull_request_that_moved_on_is_still_the_one_that_github_lists() -> None:
    """What is posted there says that the head is another one by now."""
    moved = Pull(4, OTHER, "main", "acme/ml", "topic")
    assert chosen_pull(among(4), [moved], "") == moved
    assert isinstance(chosen_pull(among(5), [moved], ""), NoPull)
