"""What has to happen to branch and pull request so that they propose what should be proposed: without any effect.

A person's word goes before ours. A branch with a commit that is not ours is left alone, a pull request that somebody
closed is not opened again for the same evidence, and titles, labels, draft state and auto-merge of people stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from leverframe.domain.plan_engine import Plan, Step
from leverframe.domain.retraining.pulls.pull_ports import PullToOpen
from leverframe.domain.retraining.pulls.pull_record import Auto, PullRecord, read, written
from leverframe.domain.retraining.pulls.pull_state import StandingBranch, StandingPull
from leverframe.domain.retraining.pulls.pull_steps import (
    ClosePull,
    CommentPull,
    DeleteBranch,
    DispatchChecks,
    OpenPull,
    PullAction,
    PullStep,
    PushBranch,
    PushOutputs,
    SetDraft,
    StartAutoMerge,
    StopAutoMerge,
    UpdatePull,
)
from leverframe.inert.markdown import sentence


@dataclass(frozen=True)
class Proposed:
    """What the pull request should be.

    ``record`` says head, evidence, whether it is a draft, and whether the checks are dispatched. ``outputs`` are to be
    pushed with a new head. ``merges`` lets GitHub merge it.
    """

    title: str
    text: str
    record: PullRecord
    outputs: bool = True
    merges: bool = False


@dataclass(frozen=True)
class PullPlan:
    """The steps, and what a person should know of what was left alone."""

    steps: Plan[PullAction] = ()
    notes: tuple[str, ...] = ()


def planned(there: StandingBranch, proposed: Proposed | None, workflow: str, moot: str = "") -> PullPlan:
    """Return the steps from what stands there to what is proposed; without change, no step.

    ``moot`` is why an open pull request that is not brought up to date has to be closed, empty where nothing speaks
    for that. ``workflow`` is the file that checks pull requests.
    """
    planner = _Planner(there, workflow)
    return PullPlan(tuple(planner.steps(proposed, moot)), tuple(planner.notes))


class _Planner:
    """Plans one branch."""

    def __init__(self, there: StandingBranch, workflow: str) -> None:
        self._there, self._workflow = there, workflow
        self._open = there.open
        self._record = read(self._open.body) if self._open else None
        self.notes: list[str] = []

    def steps(self, proposed: Proposed | None, moot: str) -> Iterator[PullStep]:
        """Yield the steps, in an order in which each may be the last."""
        if self._there.head and not self._there.ours:
            self.notes.append(f"{self._there.name} is left alone: it has commits that are not ours")
            return
        pull, record = self._open, self._record
        if moot and pull and record and self._may_close(pull, record):
            yield from self._closed(pull, record, moot)
        elif proposed is None:
            yield from self._cleared()
        elif pull is None:
            yield from self._opened(proposed)
        elif record is None or record.evidence != proposed.record.evidence or self._there.rewritten:
            yield from self._renewed(pull, record, proposed)
        else:
            yield from self._finished(pull, record, proposed)

    def _may_close(self, pull: StandingPull, record: PullRecord) -> bool:
        if record.closed:  # somebody opened it again
            self.notes.append(f"#{pull.number} stays open: it was opened again after it was closed")
        return not record.closed

    def _closed(self, pull: StandingPull, record: PullRecord, why: str) -> Iterator[PullStep]:
        if pull.auto_merge:
            yield Step(StopAutoMerge(pull.head))
        marker = f"<!-- leverframe-retrain-closed {record.evidence} -->"
        yield Step(
            CommentPull(pull.number, marker, f"{marker}\n{sentence(_sentence(why))} Leverframe closes this.", why)
        )
        yield Step(ClosePull(pull.number, why))
        if self._there.head:
            yield from self._removed()

    def _cleared(self) -> Iterator[PullStep]:
        """Remove a branch that proposes nothing: of a pull request that we closed, or of a run that was killed."""
        if self._open or not self._there.head:
            return
        earlier = self._earlier(self._there.evidence)
        record = read(earlier.body) if earlier else None
        if earlier is None or (record is not None and record.closed):
            yield from self._removed()

    def _removed(self) -> Iterator[PullStep]:
        """Remove the branch, unless that would close what a person opened from it."""
        if self._there.elsewhere:
            self.notes.append(f"{self._there.name} stays: {_named(self._there.elsewhere)} from it")
        else:
            yield Step(DeleteBranch(self._there.name, self._there.head))

    def _earlier(self, evidence: str) -> StandingPull | None:
        return next((pull for pull in self._there.pulls if not pull.open and pull.evidence == evidence), None)

    def _opened(self, proposed: Proposed) -> Iterator[PullStep]:
        earlier = self._earlier(proposed.record.evidence)
        if earlier is not None:
            done = "merged" if earlier.merged else "closed"
            self.notes.append(f"#{earlier.number} with the same evidence was {done}: it is not opened again")
            yield from self._cleared()
            return
        yield from self._pushed(proposed)
        record = replace(proposed.record, auto="asked" if proposed.merges else "none")
        body = written("", proposed.text, record)
        opening = PullToOpen(self._there.name, self._there.target, proposed.title, body, record.draft)
        yield Step(OpenPull(proposed.title, "draft " if record.draft else "", record.head, opening))
        if proposed.merges:
            yield Step(StartAutoMerge(record.head))
        yield from self._checked(record, record.head)

    def _pushed(self, proposed: Proposed) -> Iterator[PullStep]:
        head = proposed.record.head
        if head == self._there.head:
            return  # its outputs went before it
        if self._there.elsewhere:
            self.notes.append(f"{_named(self._there.elsewhere)} from {self._there.name}, and gets the commit as well")
        if proposed.outputs:
            yield Step(PushOutputs(proposed.record.model))
        yield Step(PushBranch(self._there.name, head, self._there.head, head[:12]))

    def _renewed(self, pull: StandingPull, record: PullRecord | None, proposed: Proposed) -> Iterator[PullStep]:
        """Bring an open pull request up to date in place; what could merge a worse model is taken off first.

        Without a record, which somebody took out, its state is theirs.
        """
        auto: Auto = "on" if pull.auto_merge else "off"
        before = record or replace(proposed.record, draft=pull.draft, person=True, auto=auto)
        person = before.chosen(draft=pull.draft)
        draft = pull.draft if person else proposed.record.draft
        auto = _auto(before, pull, merges=proposed.merges and not draft)
        if before.auto in ("asked", "on") and pull.auto_merge and auto == "none":
            yield Step(StopAutoMerge(pull.head))
        if draft and not pull.draft:
            yield Step(SetDraft("a draft", draft=True))
        yield from self._pushed(proposed)
        now = replace(proposed.record, draft=pull.draft or draft, person=person, checks=before.checks, auto=auto)
        yield Step(UpdatePull(pull.number, "new evidence", proposed.text, now))
        if pull.draft and not draft:
            yield Step(SetDraft("ready for review", draft=False))
        if auto == "asked":
            yield Step(StartAutoMerge(now.head))
        yield from self._checked(now, now.head)

    def _finished(self, pull: StandingPull, record: PullRecord, proposed: Proposed) -> Iterator[PullStep]:
        """Finish what a killed run left of the same evidence; a person's draft state and auto-merge stay."""
        if record.closed:
            self.notes.append(f"#{pull.number} is left alone: it was opened again after it was closed")
            return
        if self._there.evidence not in ("", record.evidence):
            self.notes.append(f"#{pull.number} speaks of another candidate than its branch has: a run was killed")
            return
        person = record.chosen(draft=pull.draft)
        draft = pull.draft if person else record.wants_draft
        auto = _auto(record, pull, merges=proposed.merges and not draft)
        if record.auto == "refused" and auto == "asked":
            auto = "refused"  # for this head: it would be refused again
        if record.auto in ("asked", "on") and pull.auto_merge and auto == "none":
            yield Step(StopAutoMerge(pull.head))
        if draft != pull.draft:
            yield Step(SetDraft("a draft" if draft else "ready for review", draft))
        now = replace(
            record, draft=draft, turning=False, person=person, auto=auto, dispatches=proposed.record.dispatches
        )
        if now != record:
            yield Step(UpdatePull(pull.number, "its record", None, now))
        if auto == "asked":
            yield Step(StartAutoMerge(pull.head))
        yield from self._checked(now, self._there.head)

    def _checked(self, record: PullRecord, head: str) -> Iterator[PullStep]:
        if record.dispatches and record.checks != record.head:
            yield Step(DispatchChecks(self._workflow, self._there.name, head))


def _auto(before: PullRecord, pull: StandingPull, *, merges: bool) -> Auto:
    """Return the state of auto-merge that is recorded before it is switched; what a person chose stays."""
    ours = before.auto in ("asked", "on")
    if before.auto == "off" or (before.auto == "on" and not pull.auto_merge):
        return "off"
    if not merges or (pull.auto_merge and not ours):
        return "none"
    return "on" if pull.auto_merge else "asked"


def _named(pulls: Sequence[StandingPull]) -> str:
    return ", ".join(f"#{pull.number} goes to {pull.target}" for pull in pulls)


def _sentence(text: str) -> str:
    whole = text[:1].upper() + text[1:]
    return whole if whole.endswith(".") else f"{whole}."
