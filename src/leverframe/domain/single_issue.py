"""One issue of the forge a subject: opened, kept up to date in place, closed by itself once all is well.

Ours is the issue with the label whose body has our hidden part for the key. What people write around the part stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from leverframe.documents import parsed
from leverframe.domain.hidden_part import HiddenPart, same


@dataclass(frozen=True)
class Issue:
    """An issue as it stands on the forge; ``reason`` is why it was closed, such as ``completed`` or ``duplicate``."""

    number: int
    title: str
    body: str
    labels: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    open: bool = True
    reason: str = ""
    url: str = ""


@dataclass(frozen=True)
class Edit:
    """What changes of an issue; None stays as it is. ``reason`` is ``completed`` or ``duplicate``."""

    body: str | None = None
    open: bool | None = None
    reason: str | None = None
    labels: tuple[str, ...] | None = None


class IssueWriter(Protocol):
    """What a single issue needs of the issues of a repository."""

    def listed(self, label: str) -> list[Issue]:
        """Return every issue with a label, open or closed, no pull request."""

    def opened(self, title: str, body: str, labels: tuple[str, ...], assignees: tuple[str, ...]) -> Issue:
        """Open an issue with the assignees that can be assigned; raises where it does not get its first label."""

    def edited(self, number: int, edit: Edit) -> None:
        """Change an issue."""


class DigestedRecord(Protocol):
    """A record in the hidden part; ``digest`` is that of what is wrong, empty where nothing is."""

    @property
    def digest(self) -> str:
        """The digest."""


Record = TypeVar("Record", bound=DigestedRecord)


@dataclass(frozen=True)
class Subject:
    """What the issue of a key should say; nothing is wrong where the digest of its record is empty."""

    key: str
    title: str
    text: str
    record: DigestedRecord


@dataclass(frozen=True)
class IssueToOpen:
    """An issue that has to be opened."""

    title: str
    body: str


@dataclass(frozen=True)
class Editing:
    """An issue that is there, and what has to change; None where it is as it should be."""

    issue: Issue
    edit: Edit | None


@dataclass(frozen=True)
class SingleIssue(Generic[Record]):
    """The issues of one kind of hidden part, of which each key has one."""

    part: HiddenPart
    kind: type[Record]

    def step(self, issues: Sequence[Issue], subject: Subject) -> IssueToOpen | Editing | None:
        """Return what has to happen to the issue of a subject; None where there is none and none is needed.

        Who closes the issue as not planned is not told of the same again.
        """
        mine = self.of(issues, subject.key)
        block = self.part.block(subject.key, subject.text, subject.record)
        if mine is None:
            return IssueToOpen(subject.title, block) if subject.record.digest else None
        return Editing(mine, self._edit(mine, subject, self.part.merged(mine.body, block)))

    def _edit(self, mine: Issue, subject: Subject, body: str) -> Edit | None:
        before = self.record_of(mine)
        if not subject.record.digest:
            if mine.open:
                return Edit(body=body, open=False, reason="completed")
            return Edit(body=body) if before and before.digest else None  # a person closed it before all was well
        known = not mine.open and mine.reason == "not_planned" and before and before.digest == subject.record.digest
        return None if known or (mine.open and same(mine.body, body)) else Edit(body=body, open=True)

    def of(self, issues: Sequence[Issue], key: str) -> Issue | None:
        """Return the issue of a key: of several an open one, the oldest; None where there is none."""
        mine = [issue for issue in issues if self._is_of(issue, key)]
        return min(mine, key=lambda issue: (not issue.open, issue.number), default=None)

    def duplicates(self, issues: Sequence[Issue], key: str) -> list[Issue]:
        """Return the open issues of a key beside its one: a lost answer let the client open another."""
        mine = self.of(issues, key)
        return [issue for issue in issues if issue.open and issue is not mine and self._is_of(issue, key)]

    def shown(self, issues: IssueWriter, label: str, subject: Subject) -> str:
        """Bring the issue of a subject up to date and return its address; empty where there is none."""
        listed = issues.listed(label)
        step = self.step(listed, subject)
        if isinstance(step, IssueToOpen):
            issues.opened(step.title, step.body, (label,), ())
            listed = issues.listed(label)
            step = self.step(listed, subject)
        elif step is not None and step.edit is not None:
            issues.edited(step.issue.number, step.edit)
        for extra in self.duplicates(listed, subject.key):
            issues.edited(extra.number, Edit(open=False, reason="duplicate"))
        return step.issue.url if isinstance(step, Editing) else ""

    def _is_of(self, issue: Issue, key: str) -> bool:
        return self.part.key_in(issue.body) == key

    def record_of(self, issue: Issue) -> Record | None:
        """Return the record in an issue; None where somebody damaged it."""
        try:
            return parsed(self.kind, self.part.record_in(issue.body))
        except ValueError:
            return None
