"""The steps of a plan of pull requests, as values: a dry run prints them, the executor runs them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from leverframe.domain.plan_engine import Action, Step
from leverframe.domain.retraining.pulls.pull_ports import PullToOpen
from leverframe.domain.retraining.pulls.pull_record import PullRecord


@dataclass(frozen=True)
class PushOutputs(Action):
    """Push the outputs of the candidate to the DVC remote, before anybody can check the commit out."""

    words: ClassVar[str] = "push the outputs of {model} to the DVC remote"
    model: str


@dataclass(frozen=True)
class PushBranch(Action):
    """Let the branch be at the commit; ``expected`` is the head that was read, empty where there was none."""

    words: ClassVar[str] = "push {short} to {branch}"
    branch: str
    commit: str
    expected: str
    short: str


@dataclass(frozen=True)
class OpenPull(Action):
    """Open the pull request for a head of the branch, unless there is an open one by now."""

    words: ClassVar[str] = "open a {kind}pull request: {title}"
    title: str
    kind: str
    head: str
    opening: PullToOpen = field(repr=False)


@dataclass(frozen=True)
class UpdatePull(Action):
    """Rewrite our part of the body; None as text keeps it and rewrites the record."""

    words: ClassVar[str] = "update #{number}: {why}"
    number: int
    why: str
    text: str | None
    record: PullRecord


@dataclass(frozen=True)
class SetDraft(Action):
    """Make the pull request a draft, or ready for review."""

    words: ClassVar[str] = "mark the pull request as {state}"
    state: str
    draft: bool


@dataclass(frozen=True)
class StartAutoMerge(Action):
    """Let GitHub merge the head once every required check has passed; a refusal is recorded."""

    words: ClassVar[str] = "let GitHub merge it once every required check has passed"
    head: str


@dataclass(frozen=True)
class StopAutoMerge(Action):
    """Withdraw the permission to merge."""

    words: ClassVar[str] = "stop GitHub from merging it by itself"
    head: str


@dataclass(frozen=True)
class DispatchChecks(Action):
    """Start the workflow of the checks on the branch, unless it was started for this head of the branch."""

    words: ClassVar[str] = "start {workflow} on {branch}"
    workflow: str
    branch: str
    head: str


@dataclass(frozen=True)
class CommentPull(Action):
    """Add a comment whose hidden marker says what it tells, unless there is one with the marker."""

    words: ClassVar[str] = "comment on #{number}: {why}"
    number: int
    marker: str
    body: str
    why: str


@dataclass(frozen=True)
class ClosePull(Action):
    """Close the pull request; the record says that we did."""

    words: ClassVar[str] = "close #{number}: {why}"
    number: int
    why: str


@dataclass(frozen=True)
class DeleteBranch(Action):
    """Remove our branch where it is still at the head that was read."""

    words: ClassVar[str] = "remove the branch {branch}"
    branch: str
    expected: str


PullAction = (
    PushOutputs
    | PushBranch
    | OpenPull
    | UpdatePull
    | SetDraft
    | StartAutoMerge
    | StopAutoMerge
    | DispatchChecks
    | CommentPull
    | ClosePull
    | DeleteBranch
)
PullStep = Step[PullAction]
