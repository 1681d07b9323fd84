"""Runs the steps of a plan of pull requests on a forge and on git: each may be run again and does nothing twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, assert_never

from leverframe.domain.hidden_part import same
from leverframe.domain.retraining.pulls.pull_ports import PullBranches, PullForge, lease_lost
from leverframe.domain.retraining.pulls.pull_record import noted, read, written
from leverframe.domain.retraining.pulls.pull_state import StandingBranch, StandingPull
from leverframe.domain.retraining.pulls.pull_steps import (
    ClosePull,
    CommentPull,
    DeleteBranch,
    DispatchChecks,
    OpenPull,
    PullAction,
    PushBranch,
    PushOutputs,
    SetDraft,
    StartAutoMerge,
    StopAutoMerge,
    UpdatePull,
)
from leverframe.domain.verdict import Violation


class PullExecutor:
    """Executes the steps of one plan.

    Every error ends the plan: what comes later relies on what came before, and the next run plans again from what
    stands there. ``pull`` is the pull request after the steps that ran, ``notes`` what a person should know, and
    ``pushed`` tells whether the commit is on its branch.
    """

    def __init__(self, forge: PullForge, branches: PullBranches, there: StandingBranch) -> None:
        self._forge, self._branches, self._there = forge, branches, there
        self.pull: StandingPull | None = there.open
        self._read = False
        self.pushed = False
        self.notes: list[str] = []

    def run(self, action: PullAction) -> Violation | None:
        """Execute an action; raises ``LeverframeError`` where it was refused or its outcome is unknown."""
        match action:
            case PushOutputs():
                self.notes += [note] if (note := self._branches.push_outputs()) else []
            case PushBranch():
                self._branches.push(action.commit, action.branch, action.expected)
                self.pushed = True
            case DeleteBranch():
                self._branches.delete(action.branch, action.expected)
            case CommentPull():
                if self.pull and self.pull.number == action.number:
                    self._standing()
                if not any(action.marker in body for body in self._forge.comments(action.number)):
                    self._forge.comment(action.number, action.body)
            case OpenPull():
                self._open(action)
            case _:
                self._change(action)
        return None

    def _held(self, head: str) -> None:
        """Raise ``lease_lost`` where the branch is not what a text speaks of: another run was here since."""
        if self._branches.at(self._there.name) != head:
            raise lease_lost(self._there.name)

    def _open(self, action: OpenPull) -> None:
        self._held(action.head)
        self.pull, self._read = self._forge.opened(action.opening), True
        if self.pull.draft != action.opening.draft:
            self.notes.append(f"#{self.pull.number} was opened ready: this repository has no draft pull requests")

    def _change(
        self, action: UpdatePull | SetDraft | StartAutoMerge | StopAutoMerge | DispatchChecks | ClosePull
    ) -> None:
        pull = self._standing()
        match action:
            case UpdatePull():
                body = pull.body
                if action.text is not None:
                    self._held(action.record.head)
                self._body(
                    noted(body, action.record) if action.text is None else written(body, action.text, action.record)
                )
            case SetDraft():
                self._record(turning=True)  # before, here as below: a run that is killed in between must know
                self._forge.drafted(pull.number, draft=action.draft)
                self._record(draft=action.draft, turning=False)
                self.pull = replace(self.pull or pull, draft=action.draft)
            case StopAutoMerge():
                self._record(auto="asked")
                self._forge.auto_merge(pull.number, action.head, on=False)
                self._record(auto="none")
            case StartAutoMerge():
                self._record(auto="asked")
                refused = self._forge.auto_merge(pull.number, action.head, on=True)
                self._record(auto="refused" if refused else "on", refused=refused)
            case DispatchChecks():
                self._forge.dispatched(action.workflow, action.branch, action.head)
                record = read(pull.body)
                self._record(checks=record.head if record else "")
            case ClosePull():
                record = read(pull.body)
                body = noted(pull.body, replace(record, closed=True)) if record else pull.body
                self._forge.edited(pull.number, body, closed=True)
                self.pull = replace(pull, body=body, open=False)
            case _:
                assert_never(action)

    def _standing(self) -> StandingPull:
        """Return the pull request, read anew once: a person may have written into it since the plan was made.

        Later it is what we wrote: a list that lags behind would bring an older text back. Raises ``lease_lost`` where
        another run made it speak of other evidence.
        """
        known = self.pull
        assert known is not None  # noqa: S101 - the plan has these steps after there is one
        if self._read:
            return known
        self._read = True
        newest = next((pull for pull in self._forge.pulls(self._there.name) if pull.number == known.number), known)
        if newest.evidence != known.evidence:
            raise lease_lost(self._there.name)
        self.pull = newest
        return newest

    def _record(self, **changes: Any) -> None:
        pull = self.pull
        record = read(pull.body) if pull else None
        if pull and record:
            self._body(noted(pull.body, replace(record, **changes)))

    def _body(self, body: str) -> None:
        pull = self.pull
        if pull and not same(pull.body, body):
            self._forge.edited(pull.number, body)
            self.pull = replace(pull, body=body)
