"""What is shown of each window of live traffic, made of its summary, its labels, and its findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from leverframe.domain.features.online import EPOCH, microseconds_of
from leverframe.domain.model.evaluate.scores import plain
from leverframe.domain.monitoring.batch import LogFacts
from leverframe.domain.monitoring.finding import QUALITY, RANK, Finding, Severity
from leverframe.domain.monitoring.monitor_result import Range, ReleaseMarker, WindowFacts
from leverframe.domain.monitoring.performance import WindowPerformance
from leverframe.domain.monitoring.window_summary import WindowSpan, WindowSummary

_HOUR = 3_600_000_000  # microseconds


def window_facts(
    summary: WindowSummary, facts: LogFacts, of: tuple[Range, Range, WindowPerformance | None],
    findings: Sequence[Finding], now: datetime,
) -> WindowFacts:  # fmt: skip
    """Return what is shown of a window; ``of`` are rows and mean prediction with what is expected, and its labels."""
    rows, prediction, performance = of
    span, middle, slow = summary.span, summary.latency.quantile(0.5), summary.latency.quantile(0.95)
    age = summary.age.quantile(0.5)
    return WindowFacts(
        span.name,
        span.start.isoformat(),
        span.end.isoformat(),
        span.end <= now,
        rows,
        summary.requests,
        counted_in(facts.refused, span),
        counted_in(facts.failed, span),
        None if middle is None or slow is None else (_short(middle), _short(slow)),
        prediction,
        None if performance is None else round(performance.coverage, 4),
        None if age is None else _short(age),
        {table: round(missed / summary.looked_up, 6) for table, missed in sorted(summary.missed.items())}
        if summary.looked_up
        else {},
        tuple(sorted(name for name in summary.releases if name)),
        worst_quality(findings, span.name),
    )


def counted_in(by_hour: Mapping[int, int], span: WindowSpan) -> int:
    """Return how many requests of the hours that begin in a window there are."""
    start, end = microseconds_of(span.start), microseconds_of(span.end)
    return sum(count for hour, count in by_hour.items() if start <= hour // _HOUR * _HOUR < end)


def worst_quality(findings: Sequence[Finding], window: str) -> Severity | None:
    """Return the worst severity of the findings of data quality in a window; None without any."""
    here = [flaw.severity for flaw in findings if flaw.kind in QUALITY and flaw.since <= window <= flaw.window]
    return max(here, key=RANK.__getitem__, default=None)


def markers(windows: Sequence[WindowSummary], versions: Mapping[str, tuple[str, str]]) -> tuple[ReleaseMarker, ...]:
    """Return when each release predicted for the first time here; ``versions`` are commit and version by release."""
    first: dict[str, int] = {}
    for window in windows:
        for release, rows in window.releases.items():
            if release:
                first[release] = min(rows.first, first.get(release, rows.first))
    began = sorted(first.items(), key=lambda marker: marker[1])
    return tuple(ReleaseMarker(_iso(at), release, *versions.get(release, ("", ""))) for release, at in began)


def _iso(microseconds: int) -> str:
    return (EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec="seconds")


def _short(value: float) -> float:
    return plain(float(f"{value:.4g}")) or 0.0
