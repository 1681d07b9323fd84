"""What has to happen to the issues so that they say what the findings say: a comparison, without any effect.

A person's word goes before ours: what somebody closed stays closed until it gets worse or comes back, what somebody
opened again stays open, what is snoozed is silent, and titles, labels, assignees and text of people stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from leverframe.domain.hidden_part import same
from leverframe.domain.monitoring.alerts import alert_issue
from leverframe.domain.monitoring.alerts.alert import Alert, alerts_of, judged, quiet
from leverframe.domain.monitoring.alerts.alert_record import (
    AlertRecord,
    TrackedIssue,
    block,
    merged,
    snoozed_until,
    standing,
)
from leverframe.domain.monitoring.alerts.alert_steps import (
    AlertAction,
    AlertStep,
    CloseDuplicate,
    CloseIssue,
    CommentIssue,
    Notify,
    OpenIssue,
    ReopenIssue,
    UpdateIssue,
)
from leverframe.domain.monitoring.alerts.notification import Event
from leverframe.domain.monitoring.finding import RANK, Severity
from leverframe.domain.monitoring.monitor_result import Monitored, OpenAlert
from leverframe.domain.plan_engine import Plan, Step
from leverframe.domain.single_issue import Issue
from leverframe.settings.monitor import AlertSettings


@dataclass(frozen=True)
class AlertContext:
    """What a plan needs to know beside findings and issues.

    ``assignees`` can be assigned, ``mentions`` are named in the body (``@login``, ``@org/team``), ``refused`` are
    owners that cannot be assigned. ``dashboard`` is an address. ``hooks`` are webhooks whose address is known: the
    least severity of each by the name of its variable.
    """

    assignees: tuple[str, ...] = ()
    mentions: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    dashboard: str = ""
    hooks: Mapping[str, Literal["warning", "critical"]] | None = None


@dataclass(frozen=True)
class AlertPlan:
    """The steps, and what a person should know of alerts that need none."""

    steps: Plan[AlertAction] = ()
    notes: tuple[str, ...] = ()


def planned(monitored: Monitored, issues: Sequence[Issue], settings: AlertSettings, around: AlertContext) -> AlertPlan:
    """Return the steps from the issues as they stand to the alerts as they should be; without change, no step."""
    tickets = standing(issues)
    first: dict[str, TrackedIssue] = {}
    for tracked in tickets:
        first.setdefault(tracked.key, tracked)
    duplicates = [ticket for ticket in tickets if first[ticket.key] is not ticket and ticket.issue.open]
    alerts = {
        alert.key: alert for alert in alerts_of(monitored, [ticket.key for ticket in tickets if ticket.issue.open])
    }
    planner = _Planner(monitored, settings, around)
    keys = dict.fromkeys([*alerts, *first])
    steps: list[AlertStep] = [
        Step(CloseDuplicate(ticket.issue.number, ticket.key, first[ticket.key].issue.number)) for ticket in duplicates
    ]
    for key in keys:
        steps += planner.steps(alerts.get(key), first.get(key))
    return AlertPlan(tuple(steps), tuple(planner.notes))


def open_alerts(issues: Sequence[Issue], monitored: Monitored) -> tuple[OpenAlert, ...]:
    """Return the alerts of a model and environment whose issues are open, worst first."""
    alerts: dict[str, OpenAlert] = {}
    for ticket in standing(issues):
        record = ticket.record
        if not ticket.issue.open or record is None or not _of(record, monitored):
            continue
        until, _ = snoozed_until(ticket.issue.labels)
        until = until if until > monitored.at[:10] else ""
        alert = OpenAlert(ticket.key, ticket.issue.title, record.severity, record.since, ticket.issue.url, until)
        alerts.setdefault(ticket.key, alert)
    return tuple(sorted(alerts.values(), key=lambda alert: -RANK[alert.severity]))


def _of(record: AlertRecord, monitored: Monitored) -> bool:
    return (record.model, record.environment) == (monitored.model, monitored.environment)


class _Planner:
    """Plans one alert at a time."""

    def __init__(self, monitored: Monitored, settings: AlertSettings, around: AlertContext) -> None:
        self._monitored, self._settings, self._around = monitored, settings, around
        self._run = max((window.name for window in monitored.windows if window.whole), default="")
        self.notes: list[str] = []

    def steps(self, alert: Alert | None, there: TrackedIssue | None) -> Iterator[AlertStep]:
        """Yield the steps of one key."""
        record = there.record if there else None
        if record and not _of(record, self._monitored):
            return
        if there and record and record.run > self._run:
            self.notes.append(f"#{there.issue.number} is left alone: a run that looked at {record.run} wrote it")
            return
        if alert and self._quiet(alert.findings[0].kind, _subjects(alert), alert.seen) >= self._settings.resolve_after:
            alert = None  # it is of windows that are long over
        if there is None:
            if alert and not alert.inhibited:
                yield from self._opened(alert)
        elif alert:
            yield from self._standing(alert, there)
        elif record:
            yield from self._absent(there, record)

    def _quiet(self, kind: object, subjects: Sequence[str], seen: str) -> int:
        return quiet(judged(self._monitored, kind, subjects), seen)  # type: ignore[arg-type]

    def _opened(self, alert: Alert) -> Iterator[AlertStep]:
        """Open an issue and notify."""
        record = self._fresh(alert)
        text = alert_issue.text(alert, self._monitored, self._around_words())
        labels, assignees = tuple(self._settings.labels), self._around.assignees
        yield Step(OpenIssue(alert.title, alert.key, text, record, labels, assignees))
        yield from self._notified(alert.key, alert.title, record, (alert, ""))

    def _fresh(self, alert: Alert) -> AlertRecord:
        at = self._monitored.at
        return AlertRecord(
            alert.model, alert.environment, alert.kind, _subjects(alert), alert.severity, at, alert.since,
            alert.seen, self._run, at,
        )  # fmt: skip

    def _standing(self, alert: Alert, there: TrackedIssue) -> Iterator[AlertStep]:
        """Bring an issue up to date whose finding is there."""
        issue, known = there.issue, there.record or self._fresh(alert)
        record = replace(
            known, kind=alert.kind, subjects=_subjects(alert), since=alert.since, seen=alert.seen, run=self._run
        )
        silent = self._snoozed(issue) or alert.inhibited
        if not issue.open:
            worse = RANK[alert.severity] > RANK[record.severity]
            if silent or not (record.closed or record.gone or worse):
                yield from self._updated(alert, issue, record)
                return
            why = "it got worse" if worse and not (record.closed or record.gone) else "it is back"
            record = replace(record, closed=False, gone=False).after("reopened", alert.severity, self._monitored.at)
            body = self._body(alert, issue, record)
            yield Step(ReopenIssue(issue.number, alert.key, body, f"{why}: {alert.title}"))
            yield from self._notified(alert.key, issue.title, record, (alert, issue.url))
            return
        record = replace(record, closed=False, gone=False)
        if not silent and record.severity != alert.severity:
            record = record.after("changed", alert.severity, self._monitored.at)
            why = f"severity is {alert.severity}, was {record.before}"
            yield _comment(alert, issue, f"{record.number} {alert.severity}", why)
        elif not silent and self._overdue(record):
            last, record = record.told, replace(record, told=self._monitored.at)
            why = f"still {alert.severity} after {self._days(record)} days"
            yield _comment(alert, issue, f"{record.number} after {last}", why)
        yield from self._updated(alert, issue, record)
        if not silent:
            yield from self._notified(alert.key, issue.title, record, (alert, issue.url))

    def _absent(self, there: TrackedIssue, record: AlertRecord) -> Iterator[AlertStep]:
        """Close what is quiet for long enough, or remember that it was gone."""
        issue = there.issue
        windows = self._quiet(record.kind, record.subjects, record.seen)
        over = windows >= self._settings.resolve_after
        if issue.open and over and not record.closed and not self._snoozed(issue):
            why = f"not found in the last {windows} windows, up to {self._run}"
            record = replace(record, closed=True, run=self._run).after("closed", record.severity, self._monitored.at)
            ours = block(there.key, alert_issue.closed(record, why), record)
            yield Step(CloseIssue(issue.number, there.key, merged(issue.body, ours), why))
            yield from self._notified(there.key, issue.title, record, (None, issue.url))
        elif not issue.open and over and not (record.closed or record.gone):
            record = replace(record, gone=True, run=self._run)
            why = f"not found in the last {windows} windows, up to {self._run}"
            ours = block(there.key, alert_issue.closed(record, why), record)
            yield Step(UpdateIssue(issue.number, issue.title, there.key, merged(issue.body, ours)))
        elif not issue.open and record.closed and not self._snoozed(issue):
            yield from self._notified(there.key, issue.title, record, (None, issue.url))

    def _updated(self, alert: Alert, issue: Issue, record: AlertRecord) -> Iterator[AlertStep]:
        body = self._body(alert, issue, record)
        if not same(issue.body, body):
            yield Step(UpdateIssue(issue.number, issue.title, alert.key, body))

    def _body(self, alert: Alert, issue: Issue, record: AlertRecord) -> str:
        _, wrong = snoozed_until(issue.labels)
        text = alert_issue.text(alert, self._monitored, self._around_words(wrong))
        return merged(issue.body, block(alert.key, text, record))

    def _around_words(self, wrong: Sequence[str] = ()) -> alert_issue.IssueContext:
        around = self._around
        return alert_issue.IssueContext(around.dashboard, around.mentions, around.refused, tuple(wrong))

    def _notified(self, key: str, title: str, record: AlertRecord, of: tuple[Alert | None, str]) -> Iterator[AlertStep]:
        """Yield the notifications of the last event that are due; a webhook hears no end of what it was not told."""
        alert, url = of
        severities = [record.severity, *([Severity(record.before)] if record.before else [])]
        worst = max(RANK[severity] for severity in severities)
        for hook, minimum in (self._around.hooks or {}).items():
            sent = record.sent.get(hook, 0)
            unheard = record.event == "closed" and not sent
            if sent < record.number and worst >= RANK[Severity(minimum)] and not unheard:
                yield Step(Notify(hook, key, self._event(key, title, record, (alert, url))))

    def _event(self, key: str, title: str, record: AlertRecord, of: tuple[Alert | None, str]) -> Event:
        alert, url = of
        what = tuple(finding.what for finding in alert.findings) if alert else ()
        step = alert.findings[0].next if alert else ""
        return Event(
            key, record.number, record.event, record.model, record.environment, title, record.severity,
            record.before if record.before != record.severity else "", record.since, record.seen, what, step,
            self._around.dashboard, record.at, url,
        )  # fmt: skip

    def _snoozed(self, issue: Issue) -> bool:
        until, _ = snoozed_until(issue.labels)
        return until > self._monitored.at[:10]

    def _overdue(self, record: AlertRecord) -> bool:
        return self._since(record) >= timedelta(days=self._settings.repeat_days)

    def _since(self, record: AlertRecord) -> timedelta:
        return _time(self._monitored.at) - _time(record.told)

    def _days(self, record: AlertRecord) -> int:
        return (_time(self._monitored.at) - _time(record.at)).days


def _time(text: str) -> datetime:
    """Return a timestamp of a result; the time of one without a zone is that of UTC."""
    timestamp = datetime.fromisoformat(text)
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)


def _comment(alert: Alert, issue: Issue, event: str, why: str) -> AlertStep:
    """Return the step that tells an event; a killed run that comes back gives the same marker."""
    marker = f"<!-- leverframe-alert-event {alert.key} {event} -->"
    return Step(CommentIssue(issue.number, alert.key, marker, f"{marker}\n{alert_issue.comment(alert, why)}", why))


def _subjects(alert: Alert) -> tuple[str, ...]:
    """Return the beginning of what the findings are about: a record has to fit into an issue."""
    return tuple(finding.subject[:80] for finding in alert.findings[:30])
