"""A result of the monitor with the findings that a test needs, and issues and webhooks in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from leverframe.domain.monitoring.alerts.notification import Event
from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.monitoring.monitor_result import (
    Cell,
    ColumnFacts,
    Monitored,
    Performance,
    PerformancePoint,
    Provenance,
    Range,
    RuleFacts,
    Span,
    TableFacts,
    WindowFacts,
)
from leverframe.domain.single_issue import Edit, Issue

FIRST = date(2026, 3, 1)


def day(number: int) -> str:
    """Return the name of a daily window, the first of which is 0."""
    return (FIRST + timedelta(days=number)).isoformat()


def finding(kind: Kind, subject: str = "", at: int = 0, severity: Severity = Severity.WARNING, **more: str) -> Finding:
    """Return a finding of window ``at``."""
    what = more.pop("what", f"`{subject}` is unusual")
    return Finding(
        kind, subject, severity, day(at), more.pop("since", day(at)), what, more.pop("next", "Look."), **more
    )


def window(number: int, *, whole: bool = True, requests: int = 500) -> WindowFacts:
    """Return a window with traffic."""
    return WindowFacts(
        day(number), f"{day(number)}T00:00:00+00:00", f"{day(number + 1)}T00:00:00+00:00", whole,
        Range(float(requests), 400.0, 600.0), requests, 0, 0, (4.0, 9.5), Range(0.3), None, None, {}, ("1",), None,
    )  # fmt: skip


def monitored(
    last: int,
    *findings: Finding,
    windows: Sequence[WindowFacts] | None = None,
    columns: tuple[ColumnFacts, ...] = (),
    performance: tuple[Performance, ...] = (),
    tables: tuple[TableFacts, ...] = (),
    environment: str = "production",
    hours: int = 2,
) -> Monitored:
    """Return the result of a run shortly after window ``last`` was over, which looks back at 30 windows."""
    shown = tuple(windows if windows is not None else [window(number) for number in range(max(0, last - 29), last + 1)])
    span = Span(1000, 30, day(0), day(last))
    at = f"{day(last + 1)}T{hours:02d}:00:00+00:00"
    return Monitored(
        "shop", environment, at, at, span, span, RuleFacts("K", 0.01, 30, "none", 0, 30, ""), shown, columns,
        performance, findings, tables, (), (), (), Provenance("c" * 40, "l", "r", "0", "builtin", "log", "labels"),
    )  # fmt: skip


def column(name: str, *numbers: int, judged: bool = True) -> ColumnFacts:
    """Return a column that was compared in some windows."""
    value = 0.2 if judged else None
    cells = tuple(Cell(day(number), value, value, judged, 0.01, 0.0, None) for number in numbers)
    return ColumnFacts(name, "feature", "numeric", 0.4, "KS", 0.1, 0.5, 0.2, 0.1, 0.0, None, cells)


def performance(metric: str, *numbers: int, judged: bool) -> Performance:
    """Return a metric whose labels are known, or not yet, in some windows."""
    points = tuple(PerformancePoint(day(number), Range(0.7, 0.6, 0.8), 0.71, 0.9, judged, True) for number in numbers)
    return Performance(metric, metric.upper(), "higher", Range(0.8, 0.75, 0.85), points)


class KilledError(Exception):
    """The process ended here."""


@dataclass
class MemoryIssues:
    """The issues port in memory; ``left`` is the number of writes after which the process is killed."""

    issues: dict[int, Issue] = field(default_factory=dict)
    posted: dict[int, list[str]] = field(default_factory=dict)
    left: int | None = None
    lags: bool = False
    members: frozenset[str] = frozenset({"ann"})

    def listed(self, label: str) -> list[Issue]:
        """Return the issues with a label."""
        issues = [issue for issue in self.issues.values() if label in issue.labels]
        return issues[:-1] if self.lags else issues

    def opened(self, title: str, body: str, labels: tuple[str, ...], assignees: tuple[str, ...]) -> Issue:
        """Open an issue."""
        number = len(self.issues) + 1
        issue = Issue(number, title, body, labels, assignees, url=f"https://forge.example.org/{number}")
        self.issues[number], self.posted[number] = issue, []
        self._written()
        return issue

    def edited(self, number: int, edit: Edit) -> None:
        """Change an issue."""
        issue = self.issues[number]
        now = issue.open if edit.open is None else edit.open
        reason = issue.reason if now == issue.open else (edit.reason or "")
        self.issues[number] = replace(issue, body=issue.body if edit.body is None else edit.body, open=now,
                                      reason=reason)  # fmt: skip
        self._written()

    def comments(self, number: int) -> list[str]:
        """Return comments."""
        return list(self.posted[number])

    def comment(self, number: int, body: str) -> None:
        """Add a comment."""
        self.posted[number].append(body)
        self._written()

    def assignable(self, login: str) -> bool:
        """Tell whether somebody may be assigned."""
        return login in self.members

    def _written(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KilledError


@dataclass
class MemoryHooks:
    """Webhooks that remember what they were sent; ``down`` names those that refuse."""

    sent: list[tuple[str, Event]] = field(default_factory=list)
    down: set[str] = field(default_factory=set)

    def __call__(self, hook: str, event: Event) -> str:
        """Receive an event."""
        if hook in self.down:
            return "it answered 503"
        self.sent.append((hook, event))
        return ""
