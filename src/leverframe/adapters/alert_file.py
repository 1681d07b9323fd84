"""Alerts in a file, where there is no forge to open issues on: webhooks are still sent each event once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from leverframe.documents import parsed, plain
from leverframe.domain.single_issue import Edit, Issue
from leverframe.files import write_json

_COMMENTS = 20  # newest comments that are kept of an alert


@dataclass(frozen=True)
class _Kept:
    issues: tuple[Issue, ...] = ()
    comments: dict[str, tuple[str, ...]] = field(default_factory=dict)


class AlertFile:
    """The ``Issues`` port on one JSON file; whoever uses it holds the lock of its folder.

    A file that cannot be read is put aside, and ``note`` says where; it is empty otherwise.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept, self.note = _read(path)

    def listed(self, label: str) -> list[Issue]:
        """Return every alert; all of them are ours, whatever the label."""
        return [issue for issue in self._kept.issues if label]

    def opened(self, title: str, body: str, labels: tuple[str, ...], assignees: tuple[str, ...]) -> Issue:
        """Add an alert."""
        issue = Issue(len(self._kept.issues) + 1, title, body, labels, assignees)
        self._write(replace(self._kept, issues=(*self._kept.issues, issue)))
        return issue

    def edited(self, number: int, edit: Edit) -> None:
        """Change an alert."""
        issue = self._kept.issues[number - 1]
        now = issue.open if edit.open is None else edit.open
        body, labels = (issue.body if edit.body is None else edit.body), edit.labels or issue.labels
        changed = replace(issue, body=body, open=now, reason=edit.reason or issue.reason, labels=labels)
        issues = (*self._kept.issues[: number - 1], changed, *self._kept.issues[number:])
        self._write(replace(self._kept, issues=issues))

    def comments(self, number: int) -> list[str]:
        """Return the newest comments."""
        return list(self._kept.comments.get(str(number), ()))

    def comment(self, number: int, body: str) -> None:
        """Add a comment."""
        newest = (*self.comments(number), body)[-_COMMENTS:]
        self._write(replace(self._kept, comments={**self._kept.comments, str(number): newest}))

    def assignable(self, _: str) -> bool:
        """Tell that nobody is assigned in a file."""
        return False

    def _write(self, kept: _Kept) -> None:
        write_json(self._path, plain(kept))
        self._kept = kept


def _read(path: Path) -> tuple[_Kept, str]:
    if not path.is_file():
        return _Kept(), ""
    try:
        return parsed(_Kept, path.read_bytes()), ""
    except ValueError:
        aside = path.with_name(f"{path.name}.damaged")
        path.replace(aside)
        return _Kept(), f"{path.name} cannot be read and is now {aside.name}: alerts are sent anew"
