"""Runs the steps of a plan of alerts on a forge and on webhooks: each may be run again and does nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, assert_never

from leverframe.domain.monitoring.alerts.alert_record import block, noted, standing
from leverframe.domain.monitoring.alerts.alert_steps import (
    AlertAction,
    CloseDuplicate,
    CloseIssue,
    CommentIssue,
    Notify,
    OpenIssue,
    ReopenIssue,
    UpdateIssue,
)
from leverframe.domain.monitoring.alerts.notification import Event
from leverframe.domain.single_issue import Edit, Issue
from leverframe.domain.verdict import Violation
from leverframe.errors import LeverframeError


class Issues(Protocol):
    """The port to the issues of a repository."""

    def listed(self, label: str) -> list[Issue]:
        """Return every issue with a label, open or closed, no pull request."""

    def opened(self, title: str, body: str, labels: tuple[str, ...], assignees: tuple[str, ...]) -> Issue:
        """Open an issue with the assignees that can be assigned; raises where it does not get its first label."""

    def edited(self, number: int, edit: Edit) -> None:
        """Change an issue."""

    def comments(self, number: int) -> list[str]:
        """Return the bodies of the comments of an issue."""

    def comment(self, number: int, body: str) -> None:
        """Add a comment."""

    def assignable(self, login: str) -> bool:
        """Tell whether somebody can be assigned."""


Send = Callable[[str, Event], str]  # hook and event; returns why it failed, empty where it was delivered


class AlertExecutor:
    """Executes the steps of one plan.

    Where the forge refuses a step for good, the other steps of its alert are left and those of others go on;
    ``failures`` has the errors by key. ``notes`` say what was not delivered. A transient error is raised.
    """

    def __init__(self, issues: Issues, known: list[Issue], label: str, send: Send) -> None:
        self._issues, self._label, self._send = issues, label, send
        self._known = {issue.number: issue for issue in known}
        self._of = {ticket.key: ticket.issue.number for ticket in reversed(standing(known))}
        self.failures: dict[str, LeverframeError] = {}
        self.notes: list[str] = []

    @property
    def known(self) -> list[Issue]:
        """The issues as they are after the steps that ran."""
        return list(self._known.values())

    def run(self, action: AlertAction) -> Violation | None:
        """Execute an action; raises transient errors of the forge, after which the next run plans again."""
        if action.key in self.failures:
            return None
        try:
            self._run(action)
        except LeverframeError as error:
            if error.transient:
                raise
            self.failures[action.key] = error
        return None

    def _run(self, action: AlertAction) -> None:
        match action:
            case OpenIssue():
                self._open(action)
            case UpdateIssue():
                self._edit(action.number, Edit(action.body))
            case CloseIssue():
                self._edit(action.number, Edit(action.body, open=False, reason="completed"))
            case ReopenIssue():
                self._edit(action.number, Edit(action.body, open=True))
            case CloseDuplicate():
                self._edit(action.number, Edit(open=False, reason="duplicate"))
            case CommentIssue():
                if not any(action.marker in body for body in self._issues.comments(action.number)):
                    self._issues.comment(action.number, action.body)
            case Notify():
                self._notify(action)
            case _:
                assert_never(action)

    def _open(self, action: OpenIssue) -> None:
        """Open an issue, unless another run did by now; of two opened at the same time the first stays."""
        there = self._first(action.key)
        if there is None:
            body = block(action.key, action.text, action.record)
            made = self._issues.opened(action.title, body, action.labels, action.assignees)
            first = self._first(action.key)
            there = first if first and first.number < made.number else made
            if there is not made:
                self._issues.edited(made.number, Edit(open=False, reason="duplicate"))
        self._known[there.number] = there
        self._of[action.key] = there.number

    def _first(self, key: str) -> Issue | None:
        tickets = standing(self._issues.listed(self._label))
        return next((ticket.issue for ticket in tickets if ticket.key == key), None)

    def _edit(self, number: int, edit: Edit) -> None:
        self._issues.edited(number, edit)
        issue = self._known[number]
        self._known[number] = replace(
            issue,
            body=issue.body if edit.body is None else edit.body,
            open=issue.open if edit.open is None else edit.open,
        )

    def _notify(self, action: Notify) -> None:
        """Send an event and record it; where it was not delivered, the next run tries again."""
        issue = self._known[self._of[action.key]]
        (here,) = standing([issue])
        record = here.record
        if record is None or record.sent.get(action.hook, 0) >= action.event.number:
            return
        # Where another run opened the issue, its event is the one: receivers tell duplicates by the id of that.
        event = replace(action.event, url=issue.url, at=record.at)
        failed = self._send(action.hook, event)
        if failed:
            self.notes.append(f"{action.hook} was not told that {event}: {failed}; the next run tries again")
            return
        record = replace(record, sent={**record.sent, action.hook: event.number})
        self._edit(issue.number, Edit(noted(issue.body, action.key, record)))
