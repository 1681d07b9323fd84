"""What an issue says of its own alert, between hidden markers: what was told to whom, so that nothing is told twice.

The block between the markers is ours and is rewritten in place; text around it belongs to people. An issue is ours if
it carries our label, which strangers cannot set, and the marker. The digest in the marker is that of the block.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Literal

from leverframe.documents import parsed
from leverframe.domain.hidden_part import HiddenPart
from leverframe.domain.monitoring.finding import Kind, Severity
from leverframe.domain.single_issue import Issue

EventKind = Literal["opened", "changed", "closed", "reopened"]

_PART = HiddenPart("leverframe-alert")
_SNOOZE = "snooze-until:"


@dataclass(frozen=True)
class AlertRecord:
    """What was told of an alert.

    ``severity`` is what was told last, ``told`` when, in an event or a comment; times are ISO 8601. ``seen`` is the
    newest window of the finding, ``run`` the newest window that any run looked at. ``number`` counts the events,
    ``event`` is the last of them, which happened ``at``; ``before`` is the severity until then. ``sent`` has the number
    of the last event that each webhook was sent. ``closed`` says that we closed the issue, ``gone`` that the finding
    was gone since somebody else did.
    """

    model: str
    environment: str
    kind: Kind
    subjects: tuple[str, ...]
    severity: Severity
    told: str
    since: str
    seen: str
    run: str
    at: str
    number: int = 1
    event: EventKind = "opened"
    before: str = ""
    sent: Mapping[str, int] = field(default_factory=dict)
    closed: bool = False
    gone: bool = False

    def after(self, event: EventKind, severity: Severity, at: str) -> AlertRecord:
        """Return the record once an event has happened."""
        before, number = str(self.severity), self.number + 1
        return replace(self, event=event, severity=severity, before=before, number=number, at=at, told=at)


@dataclass(frozen=True)
class TrackedIssue:
    """An issue of ours with its key and record; None where somebody damaged it."""

    issue: Issue
    key: str
    record: AlertRecord | None


def standing(issues: Iterable[Issue]) -> list[TrackedIssue]:
    """Return those issues that are ours, by number."""
    tickets = []
    for issue in sorted(issues, key=lambda issue: issue.number):
        key = _PART.key_in(issue.body)
        if key:
            tickets.append(TrackedIssue(issue, key, _record(issue.body)))
    return tickets


def _record(body: str) -> AlertRecord | None:
    text = _PART.record_in(body)
    try:
        record = parsed(AlertRecord, text) if text else None
        return record if record and datetime.fromisoformat(record.told) and datetime.fromisoformat(record.at) else None
    except ValueError:
        return None


def block(key: str, text: str, record: AlertRecord) -> str:
    """Return our part of a body: marker with digest, text, record and the marker of the end."""
    return _PART.block(key, text, record)


def merged(body: str, ours: str) -> str:
    """Return a body with our part replaced; the text around it stays. Without our part in it, ours comes last."""
    return _PART.merged(body, ours)


def noted(body: str, key: str, record: AlertRecord) -> str:
    """Return a body in which the record alone is another one."""
    return merged(body, block(key, _PART.text_in(body), record))


def snoozed_until(labels: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """Return the last day of the labels ``snooze-until:YYYY-MM-DD``, empty without one, and the labels with no day."""
    days, wrong = [], []
    for label in labels:
        if label.startswith(_SNOOZE):
            try:
                days.append(date.fromisoformat(label.removeprefix(_SNOOZE).strip()).isoformat())
            except ValueError:
                wrong.append(label)
    return max(days, default=""), tuple(wrong)
