"""Which pull request a run is about, from its event: never a guess where there are several."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leverframe.errors import PublishError

_SHA = re.compile(r"\A[0-9a-f]{40}\Z")
_REPOSITORY = re.compile(r"\A[\w.-]+/[\w.-]+\Z")
_BRANCH = "refs/heads/"
_QUEUED = re.compile(r"\A(?:refs/heads/)?gh-readonly-queue/(?P<base>.+)/pr-(?P<number>\d+)-[0-9a-f]{7,64}\Z")
_SHOWN = 5  # pull requests named in an error

Payload = Mapping[str, Any]


@dataclass(frozen=True, order=True)
class RunOrder:
    """Which of two runs is the newer one: the id of a run grows from run to run, the attempt with each re-run."""

    run: int = 0
    attempt: int = 1


@dataclass(frozen=True)
class RunPull:
    """The pull request of a run, as far as the event identifies it.

    ``number`` is None where it has to be looked up by ``head_repository``, ``head_branch`` and ``base``, or is one of
    ``among``, which GitHub names for the run. ``head`` is empty where the event does not say it. ``trusted`` is false
    for the pull request of a fork. ``queued`` tells that ``head`` is a commit of a merge queue, which no pull request
    shows: it gets the check alone.
    """

    repository: str
    number: int | None
    head: str
    order: RunOrder = RunOrder()
    head_repository: str = ""
    head_branch: str = ""
    base: str = ""
    among: tuple[int, ...] = ()
    trusted: bool = True
    queued: bool = False


@dataclass(frozen=True)
class NoPull:
    """That nothing can be posted on a pull request, and why."""

    because: str


@dataclass(frozen=True)
class Pull:
    """A pull request as the forge has it now: ``source`` is the repository of its head, empty where it is gone.

    ``author`` is the login of who opened it.
    """

    number: int
    head: str
    base: str
    source: str = ""
    branch: str = ""
    open: bool = True
    author: str = ""


def where(event: str, payload: Payload, environment: Mapping[str, str]) -> RunPull | NoPull:
    """Return what an event says of its pull request, or why it has none.

    Raises ``PublishError`` for a payload that lacks what its event always has.
    """
    read = _of_pull if event.startswith("pull_request") else _READERS.get(event)
    if read is None:
        return NoPull(f"the event `{event[:40]}` is about no pull request")
    try:
        place = read(payload, environment)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise PublishError(
            f"the payload of the event `{event}` cannot be read",
            why=f"it lacks {error}"
            if isinstance(error, KeyError)
            else "a part of it is not as GitHub writes that event",
            next="run in a workflow on a pull request, `workflow_run` or `workflow_dispatch`; or `--publisher file`",
        ) from error
    if isinstance(place, NoPull):
        return place
    known = _SHA.match(place.head) or (event == "issue_comment" and not place.head)  # whose head is looked up
    if not (known and _REPOSITORY.match(place.repository)):
        raise PublishError(
            f"the payload of the event `{event}` names no commit of a repository",
            why=f"it says {place.head[:60]!r} of {place.repository[:60]!r}",
            next="look at the event file of the run",
        )
    return place


def order_of(environment: Mapping[str, str]) -> RunOrder:
    """Return the run itself, and which attempt of it this is."""
    return RunOrder(int(environment.get("GITHUB_RUN_ID") or 0), int(environment.get("GITHUB_RUN_ATTEMPT") or 1))


def _of_pull(payload: Payload, environment: Mapping[str, str]) -> RunPull:
    repository, pull = environment.get("GITHUB_REPOSITORY", ""), payload["pull_request"]
    head, base = pull["head"], pull.get("base") or {}
    source = str((head.get("repo") or {}).get("full_name") or "")  # the fork may be gone
    return RunPull(
        repository,
        int(pull["number"]),
        str(head["sha"]),
        order_of(environment),
        source,
        str(head.get("ref") or ""),
        str(base.get("ref") or ""),
        trusted=source == repository,
    )


def _of_comment(payload: Payload, environment: Mapping[str, str]) -> RunPull | NoPull:
    """The event of a comment says neither the head nor where it comes from: a fork is assumed."""
    issue = payload["issue"]
    if "pull_request" not in issue:
        return NoPull(f"the comment is on issue #{int(issue['number'])}, which is no pull request")
    repository = environment.get("GITHUB_REPOSITORY", "")
    return RunPull(repository, int(issue["number"]), "", order_of(environment), trusted=False)


def _of_queue(payload: Payload, environment: Mapping[str, str]) -> RunPull | NoPull:
    group = payload["merge_group"]
    return _queued(str(group["head_ref"]), str(group["head_sha"]), environment, order_of(environment))


def _queued(reference: str, head: str, environment: Mapping[str, str], order: RunOrder) -> RunPull | NoPull:
    match = _QUEUED.match(reference)
    if not match:
        return NoPull(f"`{reference[:100]}` is no branch of a merge queue")
    repository = environment.get("GITHUB_REPOSITORY", "")
    return RunPull(repository, int(match["number"]), head, order, repository, reference, match["base"], queued=True)


def _of_branch(reference: str, head: str, environment: Mapping[str, str]) -> RunPull | NoPull:
    if _QUEUED.match(reference):
        return _queued(reference, head, environment, order_of(environment))
    if not reference.startswith(_BRANCH):
        return NoPull(f"the run is of `{reference[:100] or 'no reference'}`, which is no branch")
    repository = environment.get("GITHUB_REPOSITORY", "")
    return RunPull(repository, None, head, order_of(environment), repository, reference.removeprefix(_BRANCH))


def _of_push(payload: Payload, environment: Mapping[str, str]) -> RunPull | NoPull:
    if payload.get("deleted"):
        return NoPull(f"the push deleted `{str(payload['ref'])[:100]}`")
    return _of_branch(str(payload["ref"]), str(payload["after"]), environment)


def _by_hand(_: Payload, environment: Mapping[str, str]) -> RunPull | NoPull:
    """A run that was started by hand; what its inputs say is not looked at."""
    return _of_branch(environment.get("GITHUB_REF", ""), environment.get("GITHUB_SHA", ""), environment)


def _of_run(payload: Payload, environment: Mapping[str, str]) -> RunPull | NoPull:
    """The run of another workflow. Its artifact is data: whom it belongs to is told by the run alone."""
    run = payload["workflow_run"]
    event, order = str(run["event"]), RunOrder(int(run["id"]), int(run.get("run_attempt") or 1))
    branch, head = str(run["head_branch"] or ""), str(run["head_sha"])
    if event == "merge_group" or _QUEUED.match(branch):
        return _queued(branch, head, environment, order)
    if not (event.startswith("pull_request") or event in ("workflow_dispatch", "push")):
        return NoPull(f"the run was started by `{event[:40]}`, which is about no pull request")
    home, repository = run["head_repository"], environment.get("GITHUB_REPOSITORY", "")
    if home is None:
        return NoPull("the fork that the run is of is gone")
    source = str(home["full_name"])
    trusted = source == repository
    named = tuple(int(pull["number"]) for pull in run.get("pull_requests") or ()) if trusted else ()
    return RunPull(repository, None, head, order, source, branch, among=named, trusted=trusted)


_READERS: Mapping[str, Callable[[Payload, Mapping[str, str]], RunPull | NoPull]] = {
    "issue_comment": _of_comment,
    "merge_group": _of_queue,
    "push": _of_push,
    "workflow_dispatch": _by_hand,
    "workflow_run": _of_run,
}


def chosen_pull(run: RunPull, pulls: Sequence[Pull], base: str) -> Pull | NoPull:
    """Return the one of the open pull requests that a run without a number is about, or why there is none.

    Told by the repository, branch and commit of the head, then by what GitHub names for the run, then by the branch
    ``base`` that the card was made for. Raises ``PublishError`` where several are left: none of them is guessed.
    """
    source = f"`{run.head_branch}` of {run.head_repository}"
    candidates = [pull for pull in pulls if (pull.source, pull.branch) == (run.head_repository, run.head_branch)]
    candidates = [pull for pull in candidates if pull.number in run.among] or candidates
    here = [pull for pull in candidates if pull.head == run.head]
    if not here and len(candidates) == 1 and candidates[0].number in run.among:
        return candidates[0]  # it went on since; what is posted says so
    if not here:
        moved = "; ".join(f"#{pull.number} is at {pull.head[:12]}" for pull in candidates[:_SHOWN])
        return NoPull(
            f"no open pull request has this commit as its head: {source} is at {run.head[:12]} in this run"
            + (f", and {moved}" if moved else "")
        )
    rest = [pull for pull in here if base in ("", pull.base)]
    if not rest:
        shown = ", ".join(f"#{pull.number} goes into `{pull.base}`" for pull in here[:_SHOWN])
        return NoPull(f"the card is made for `{base}`, and {shown}: `--base origin/{here[0].base}` compares with that")
    if len(rest) > 1:
        shown = ", ".join(f"#{pull.number} into `{pull.base}`" for pull in rest[:_SHOWN])
        raise PublishError(
            "which pull request the run belongs to cannot be told",
            why=f"{source} has several: {shown}",
            next="name the branch that the change goes to by `--base`, such as `--base origin/main`",
        )
    return rest[0]
