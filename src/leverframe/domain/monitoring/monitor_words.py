"""What a run of the monitor amounts to in words: the same for the page, the summary and the terminal."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from leverframe.domain.monitoring.finding import DRIFT, QUALITY, RANK, Finding, Kind, Severity
from leverframe.domain.monitoring.monitor_result import ColumnFacts, Monitored
from leverframe.domain.verdict import Skipped
from leverframe.words import first_few

State = Literal["ok", "info", "warning", "critical", "unknown"]

KINDS = {
    Kind.LOG: "log", Kind.SCHEMA: "schema", Kind.VOLUME: "volume", Kind.FRESHNESS: "freshness",
    Kind.MISSING: "missing values", Kind.NEW_CATEGORY: "new categories", Kind.OUT_OF_RANGE: "out of range",
    Kind.DUPLICATES: "duplicates", Kind.LOOKUP: "lookup misses", Kind.SKEW: "training-serving skew",
    Kind.TABLE: "upstream table", Kind.SERVER: "server", Kind.DRIFT: "drift", Kind.PREDICTION_DRIFT: "prediction drift",
    Kind.MULTIVARIATE_DRIFT: "multivariate drift", Kind.PERFORMANCE: "performance", Kind.CALIBRATION: "calibration",
    Kind.CONCEPT: "concept drift",
}  # fmt: skip
WORDS: dict[State, str] = {
    "ok": "OK", "info": "Info", "warning": "Warning", "critical": "Critical", "unknown": "Not judged",
}  # fmt: skip


@dataclass(frozen=True)
class Cause:
    """A finding that nothing else explains, and those that it explains."""

    finding: Finding
    explains: tuple[Finding, ...]


@dataclass(frozen=True)
class Area:
    """What is said of one side of the model: a title, its state, and a few words."""

    title: str
    state: State
    words: str


def causes(findings: Sequence[Finding]) -> list[Cause]:
    """Return the findings in their order, each that another one explains behind it."""
    known = {finding.key: finding for finding in findings}
    behind: dict[int, list[Finding]] = {}
    roots: list[Finding] = []
    for finding in findings:
        root = _root(finding, known)
        if root is finding:
            roots.append(finding)
        else:
            behind.setdefault(id(root), []).append(finding)
    return [Cause(root, tuple(behind.get(id(root), ()))) for root in roots]


def _root(finding: Finding, known: dict[str, Finding]) -> Finding:
    seen = {finding.key}
    root = finding
    while root.explained_by in known and root.explained_by not in seen:
        seen.add(root.explained_by)
        root = known[root.explained_by]
    return finding if root.explained_by in seen else root  # a circle explains nothing


def state(monitored: Monitored) -> State:
    """Return the worst severity of what is not explained; ``unknown`` where nothing could be judged."""
    worst = _worst(monitored.findings)
    if worst is None:
        return "unknown" if isinstance(monitored.verdict, Skipped) else "ok"
    return worst.value


def headline(monitored: Monitored) -> str:
    """Return a sentence that says how the model is."""
    verdict = monitored.verdict
    listed = causes(monitored.findings)
    if not listed:
        return f"Nothing is judged yet: {verdict.because}." if isinstance(verdict, Skipped) else "Nothing is wrong."
    counts = [
        (severity, sum(cause.finding.severity is severity for cause in listed)) for severity in reversed(Severity)
    ]
    parts = [f"{count:,} {_NAMED[severity]}{_s(count)}" for severity, count in counts if count]
    hidden = sum(len(cause.explains) for cause in listed)
    more = f"; {hidden:,} more {'is' if hidden == 1 else 'are'} explained by {'it' if len(listed) == 1 else 'them'}"
    return f"{', '.join(parts)}{more if hidden else ''}."


_NAMED = {Severity.CRITICAL: "critical finding", Severity.WARNING: "warning", Severity.INFO: "info finding"}


def areas(monitored: Monitored) -> list[Area]:
    """Return the state of data, drift, performance, server and tables, each with what was looked at."""
    seen = [window for window in monitored.windows if window.requests]
    windows = f"{len(seen):,} window{_s(len(seen))}"
    calm = sum(window.quality is None for window in seen)
    inside = sum(not _beyond(column) for column in monitored.columns)
    judged = sum(any(series.points[number].judged for series in monitored.performance if number < len(series.points))
                 for number in range(len(monitored.windows)))  # fmt: skip
    calibrated = monitored.rule.rule != "uncalibrated"
    drift = (
        f"{inside:,} of {len(monitored.columns):,} columns within their bands"
        if calibrated
        else "shown, but not judged"
    )
    passed = sum(table.verdict == "passed" for table in monitored.tables)
    requests = sum(window.requests for window in monitored.windows)
    return [
        _area(monitored, "Data quality", QUALITY - {Kind.TABLE},
              f"{calm:,} of {windows} without a finding" if requests else ""),
        _area(monitored, "Drift", DRIFT, drift if monitored.columns and requests else "",
              known=calibrated),
        _area(monitored, "Performance", {Kind.PERFORMANCE, Kind.CALIBRATION, Kind.CONCEPT},
              f"{judged:,} of {windows} judged" if monitored.performance else "", known=judged > 0),
        _area(monitored, "Server", {Kind.SERVER}, f"{requests:,} requests" if requests else ""),
        _area(monitored, "Upstream tables", {Kind.TABLE},
              f"{passed:,} of {len(monitored.tables):,} passed" if monitored.tables else "", known=passed > 0),
    ]  # fmt: skip


def _beyond(column: ColumnFacts) -> bool:
    """Tell whether a column is beyond its band in the newest window in which it was compared."""
    return next((cell.beyond for cell in reversed(column.cells) if cell.statistic is not None), False)


def _area(
    monitored: Monitored, title: str, kinds: set[Kind] | frozenset[Kind], calm: str, *, known: bool = True
) -> Area:
    own = [cause.finding for cause in causes(monitored.findings) if cause.finding.kind in kinds]
    explained = sum(finding.kind in kinds for finding in monitored.findings) - len(own)
    worst = _worst(own)
    if worst is not None:
        subjects = list(dict.fromkeys(KINDS[finding.kind] for finding in own))
        return Area(title, worst.value, f"{len(own):,} finding{_s(len(own))}: {first_few(subjects, 2)}")
    if explained:
        return Area(title, "info", f"{explained:,} finding{_s(explained)}, explained by another")
    if not calm:
        return Area(title, "unknown", "not looked at")
    return Area(title, "ok" if known else "unknown", calm)


def _worst(findings: Sequence[Finding]) -> Severity | None:
    open_ones = [cause.finding.severity for cause in causes(findings)]
    return max(open_ones, key=RANK.__getitem__, default=None)


def short(release: str) -> str:
    """Return the name of a release; of a digest its first 12 digits, as git and the other levers show it."""
    return release[:12] if re.fullmatch(r"[0-9a-f]{64}", release) else release


def serving(monitored: Monitored) -> str:
    """Return the release that predicts; empty where it is not known."""
    if monitored.releases:
        newest = max(monitored.releases, key=lambda marker: (instant(marker.at) or _LONG_AGO, marker.at))
        return short(newest.release)
    seen = [release for window in monitored.windows for release in window.releases]
    return seen[-1] if seen else ""


_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def rule_in_words(monitored: Monitored) -> str:
    """Return how drift is decided and how often the rule is wrong, measured on the reference."""
    rule = monitored.rule
    words = rule.words.rstrip(".")
    if rule.rule == "uncalibrated":
        return f"Not calibrated: {words}."
    measured = (
        f"Replayed on the reference, each window judged by the others, it raised {rule.alarms:,} "
        f"alarm{_s(rule.alarms)} in {rule.replayed:,} windows."
        if rule.replayed
        else "It was not replayed on the reference."
    )
    return f"Rule {rule.rule}: {words}. {measured}"


def stale_after(monitored: Monitored) -> str:
    """Return from when on this result is out of date: one more period after the next run; empty if not known."""
    at, following = instant(monitored.at), instant(monitored.next_run)
    if at is None or following is None or following <= at:
        return ""
    try:
        return stamp((following + (following - at) + timedelta(seconds=30)).isoformat())
    except OverflowError:
        return ""


def silence(monitored: Monitored) -> str:
    """Return how much older than the run the newest request is, where that is more than two periods; else empty."""
    at, following, last = instant(monitored.at), instant(monitored.next_run), instant(monitored.live.last)
    if at is None or following is None or last is None or at - last <= max(2 * (following - at), timedelta(hours=2)):
        return ""
    hours = (at - last).total_seconds() / 3600
    return f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} hours"


def instant(text: str) -> datetime | None:
    """Return the instant of an ISO 8601 text, without a zone in UTC; None for any other text."""
    try:
        timestamp = datetime.fromisoformat(text)
    except ValueError:
        return None
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)


def stamp(text: str) -> str:
    """Return an ISO 8601 text as people write it, to the minute; any other text as it is."""
    timestamp = instant(text)
    if timestamp is None:
        return text
    zone = timestamp.strftime("%z")
    return f"{timestamp:%Y-%m-%d %H:%M} {'UTC' if zone == '+0000' else f'{zone[:3]}:{zone[3:5]}'}"


def figure(value: float | None) -> str:
    """Return a number of about four digits with thousands set apart, ``-`` where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e15 or size < 1e-4:
        return f"{value:.2e}"
    if size >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.{3 if size < 1 else 2 if size < 100 else 1}f}" if size >= 0.01 else f"{value:.2g}"


def percent(value: float | None) -> str:
    """Return a share as a percentage, ``-`` where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.0%}" if value in (0, 1) else f"{value:.1%}"


def _s(count: int) -> str:
    return "" if count == 1 else "s"
