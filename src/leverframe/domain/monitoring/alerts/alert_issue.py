"""The text of an issue: what, since when, figures, what to do, who owns it, how to silence it. At most 40 kB."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from leverframe.domain.monitoring.alerts.alert import Alert
from leverframe.domain.monitoring.alerts.alert_record import AlertRecord
from leverframe.domain.monitoring.alerts.alert_windows import table
from leverframe.domain.monitoring.finding import Finding, Kind
from leverframe.domain.monitoring.monitor_result import Monitored
from leverframe.inert.markdown import code, link, plain, sentence
from leverframe.words import first_few

Item = TypeVar("Item")

_SENTENCE = 1500  # characters of one that are read
_SHARE = 6_000  # bytes of a section
_NAME = 200  # bytes of a name


@dataclass(frozen=True)
class IssueContext:
    """What stands in an issue beside its findings.

    ``mentions`` are owners as GitHub mentions them, ``refused`` those that it cannot assign; ``wrong`` are labels that
    should snooze and name no day.
    """

    dashboard: str = ""
    mentions: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()


def text(alert: Alert, monitored: Monitored, around: IssueContext) -> str:
    """Return the text; the same findings give the same text, so that nothing is rewritten without need."""
    parts = [
        _head(alert),
        *_fitting(alert.findings, _found),
        *_section("What to do", list(dict.fromkeys(finding.next for finding in alert.findings)), _listed),
        *_section("Windows", table(alert, monitored), str),
        *_behind(alert, monitored),
        *_section("Explained by this", alert.effects, _found),
        *_foot(around),
    ]
    return "\n".join(parts)


def closed(record: AlertRecord, why: str) -> str:
    """Return the text of an issue whose finding is gone."""
    last = f"It was {record.severity} from {code(record.since, _NAME)} to {code(record.seen, _NAME)}."
    return f"**Resolved**: {plain(why, 400)}.\n\n{last} The same issue opens again if it comes back."


def comment(alert: Alert, why: str) -> str:
    """Return the text of a comment."""
    lines = [f"**{plain(why, 200).capitalize()}.**", "", *_fitting(alert.findings, _found)]
    return "\n".join(lines)


def _head(alert: Alert) -> str:
    where = f"{code(alert.model, _NAME)} in {code(alert.environment, _NAME)}"
    when = f"since {code(alert.since, _NAME)}, last in {code(alert.window, _NAME)}"
    reason = (
        "\n\nAnother alert explains it: nobody is notified of this one until that one is closed."
        if alert.inhibited
        else ""
    )
    return f"**{str(alert.severity).capitalize()}** · {where} · {when}{reason}\n"


def _found(finding: Finding) -> str:
    return f"- **{finding.severity}**: {_words(finding.what)}"


def _words(text: str) -> str:
    """Return a sentence with names in code spans; a backtick that is cut off from its other forms none."""
    cut = text if len(text) <= _SENTENCE else f"{text[:_SENTENCE].replace('`', chr(39))}…"
    return sentence(cut)


def _listed(text: str) -> str:
    return f"- {_words(text)}"


def _section(title: str, items: Sequence[Item], line: Callable[[Item], str]) -> list[str]:
    return ["", f"### {title}", "", *_fitting(items, line)] if items else []


def _fitting(items: Sequence[Item], line: Callable[[Item], str]) -> list[str]:
    """Return the lines of as many items as a section holds, and how many do not fit."""
    kept: list[str] = []
    room = _SHARE
    for item in items:
        kept.append(line(item))
        room -= len(kept[-1].encode()) + 1
        if room < 0:
            kept.pop()
            break
    return kept if len(kept) == len(items) else [*kept, "", f"… and {len(items) - len(kept):,} more."]


def _behind(alert: Alert, monitored: Monitored) -> list[str]:
    """Return what is built from a broken table: features, and the model."""
    if alert.kind not in (Kind.TABLE, Kind.FRESHNESS, Kind.LOOKUP):
        return []
    subjects = {part for finding in alert.findings for part in (finding.subject, finding.subject.partition(".")[0])}
    tables = [table for table in monitored.tables if table.table in subjects]
    lines = []
    for facts in tables:
        names = first_few([code(name, 80) for name in facts.features], 40, last=", and ") or "no feature"
        lines.append(f"- {code(facts.table, _NAME)}, partition {code(facts.partition, _NAME)}: {names}")
    return _section(f"Features of {code(monitored.model, _NAME)} behind it", lines, str)


def _foot(around: IssueContext) -> list[str]:
    owners = f"Owners: {' '.join(around.mentions)}." if around.mentions else ""
    refused = ", ".join(code(login, 80) for login in around.refused)
    nobody = f"GitHub cannot assign {refused}: give them access to the repository, or correct the list." * bool(refused)
    wrong = ", ".join(code(label, 80) for label in around.wrong)
    labels = f"{wrong} names no day, so it silences nothing: write `snooze-until:2030-12-31`." * bool(wrong)
    dashboard = link("Dashboard", around.dashboard) if around.dashboard else ""
    lines = [line for line in (owners, nobody, labels, dashboard) if line]
    help_ = (
        "<sub>Leverframe keeps the text between its hidden markers up to date and closes this issue once the finding "
        "is gone. The label `snooze-until:YYYY-MM-DD` silences it until that day. Once you close it, it stays closed "
        "until it gets worse or comes back.</sub>"
    )
    return ["", *(part for line in lines for part in (line, "")), help_]
