"""The steps of a plan of alerts, as values: a dry run prints them, the executor runs them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from leverframe.domain.monitoring.alerts.alert_record import AlertRecord
from leverframe.domain.monitoring.alerts.notification import Event
from leverframe.domain.plan_engine import Action, Step


@dataclass(frozen=True)
class OpenIssue(Action):
    """Open the issue of an alert, unless there is one by now; ``text`` is our part of its body without the record."""

    words: ClassVar[str] = "open an issue: {title}"
    title: str
    key: str
    text: str
    record: AlertRecord
    labels: tuple[str, ...]
    assignees: tuple[str, ...]


@dataclass(frozen=True)
class UpdateIssue(Action):
    """Rewrite our part of the body."""

    words: ClassVar[str] = "update #{number}: {title}"
    number: int
    title: str
    key: str
    body: str


@dataclass(frozen=True)
class CommentIssue(Action):
    """Add a comment whose hidden marker says which event it tells, unless there is one with the marker."""

    words: ClassVar[str] = "comment on #{number}: {why}"
    number: int
    key: str
    marker: str
    body: str
    why: str


@dataclass(frozen=True)
class CloseIssue(Action):
    """Close an issue; the reason is in its body, written by the same request."""

    words: ClassVar[str] = "close #{number}: {why}"
    number: int
    key: str
    body: str
    why: str


@dataclass(frozen=True)
class ReopenIssue(Action):
    """Open a closed issue again, with the new body."""

    words: ClassVar[str] = "reopen #{number}: {why}"
    number: int
    key: str
    body: str
    why: str


@dataclass(frozen=True)
class CloseDuplicate(Action):
    """Close an issue that a second run opened at the same time."""

    words: ClassVar[str] = "close #{number}, a duplicate of #{of}"
    number: int
    key: str
    of: int


@dataclass(frozen=True)
class Notify(Action):
    """Send an event to a webhook, named by its environment variable, and record that it was sent."""

    words: ClassVar[str] = "notify {hook} that {event}"
    hook: str
    key: str
    event: Event = field(repr=False)


AlertAction = OpenIssue | UpdateIssue | CommentIssue | CloseIssue | ReopenIssue | CloseDuplicate | Notify
AlertStep = Step[AlertAction]
