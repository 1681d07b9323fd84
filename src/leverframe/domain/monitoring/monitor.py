"""The steps of a run: sum up the log, look at data quality, then at drift, then at performance, and put it together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from leverframe.domain.model.evaluate.scores import plain
from leverframe.domain.monitoring.batch import RequestLog
from leverframe.domain.monitoring.domain_classifier import Separated
from leverframe.domain.monitoring.drift import Drift, judged
from leverframe.domain.monitoring.drift_rule import FEW, PER_MONTH
from leverframe.domain.monitoring.engine import Engine
from leverframe.domain.monitoring.finding import ORDER, RANK, Finding
from leverframe.domain.monitoring.inhibition import inhibited
from leverframe.domain.monitoring.label_join import LabelFacts, LabelJoin
from leverframe.domain.monitoring.label_quality import label_findings
from leverframe.domain.monitoring.monitor_result import (
    Cell,
    ColumnFacts,
    Monitored,
    Provenance,
    Range,
    Skew,
    Span,
    TableFacts,
    WindowFacts,
)
from leverframe.domain.monitoring.performance import WindowPerformance, window_performance
from leverframe.domain.monitoring.performance_findings import performance_facts
from leverframe.domain.monitoring.quality import quality_findings
from leverframe.domain.monitoring.quality_volume import expected_rows
from leverframe.domain.monitoring.reference import PREDICTION, Reference, window_counts
from leverframe.domain.monitoring.weekly import WeeklyClassifier, Weeks, in_words
from leverframe.domain.monitoring.window_facts import markers, window_facts
from leverframe.domain.monitoring.window_summary import Summaries, WindowSpan
from leverframe.settings.monitor import MonitorSettings

Tell = Callable[[str], None]
_TOLD = 1_000_000  # rows between two lines of progress


@dataclass(frozen=True)
class Upstream:
    """What is known beside the log: tables, skew of features, commit and version of releases by digest.

    ``built`` are the features behind each table and each step of a lookup.
    """

    tables: tuple[TableFacts, ...] = ()
    skew: tuple[Skew, ...] = ()
    findings: tuple[Finding, ...] = ()
    built: Mapping[str, Sequence[str]] = field(default_factory=dict)
    versions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """What a run is about: whose traffic, against what, in which windows, oldest first, as of which time.

    ``clock`` is the time now: no row can be of after it. It is later than ``now`` where the past is looked at.
    ``bundle`` is the digest of that of the reference, empty where there is none.
    """

    environment: str
    reference: Reference
    settings: MonitorSettings
    spans: Sequence[WindowSpan]
    now: datetime
    clock: datetime
    provenance: Provenance
    bundle: str = ""


@dataclass(frozen=True)
class Sources:
    """Where a run gets everything from; there may be no labels, and no classifier of weeks."""

    log: RequestLog
    labels: LabelJoin | None
    engine: Engine
    upstream: Upstream
    classifier: WeeklyClassifier | None = None


def run(asked: Run, sources: Sources, tell: Tell) -> Monitored:
    """Return everything that is found; ``tell`` gets progress for a person.

    Windows that are not over yet are shown and not judged.
    """
    reference, settings = asked.reference, asked.settings
    upstream, log = sources.upstream, sources.log
    summaries, separated = _summed(asked, sources, tell)
    performances, label_facts = _performances(asked, summaries, sources.labels)
    over = [window for window in summaries.windows if window.span.end <= asked.now and window.rows]
    quality = quality_findings(reference.profile, summaries.windows, log.facts, settings, asked.now, asked.bundle)
    late = _label_findings(asked, performances, label_facts)
    drift = judged(reference.profile, [window_counts(window) for window in over], settings, sources.engine)
    followed = {window.span.name: performances[window.span.name] for window in over}
    performance, dropped = performance_facts(reference.performance, followed, settings)
    together = separated.findings if separated else ()
    listed = (*quality, *late, *upstream.findings, *drift.findings, *together, *dropped)
    findings = inhibited(listed, upstream.built)
    profile = reference.profile
    return Monitored(
        model=reference.model,
        environment=asked.environment,
        at=asked.now.isoformat(timespec="seconds"),
        next_run=(asked.now + timedelta(hours=settings.every_hours)).isoformat(timespec="seconds"),
        reference=Span(profile.rows, len(profile.windows), profile.windows[0].start, profile.windows[-1].start),
        live=_live(summaries),
        rule=drift.rule,
        windows=_facts(asked, summaries, log, performances, findings),
        columns=_columns(drift, findings),
        performance=performance,
        findings=tuple(sorted(findings, key=_urgency)),
        tables=upstream.tables,
        skew=upstream.skew,
        releases=markers(summaries.windows, upstream.versions),
        alerts=(),
        provenance=asked.provenance,
        notes=(*upstream.notes, *drift.notes, *([in_words(separated)] if separated else [])),
    )


def _summed(asked: Run, sources: Sources, tell: Tell) -> tuple[Summaries, Separated | None]:
    """Read the log once; return its windows, and what the classifier says of its weeks."""
    summaries = Summaries(asked.spans, asked.reference.setting(asked.clock))
    weeks = Weeks.of(asked.reference, asked.settings) if sources.classifier else None
    rows, milestone = 0, _TOLD
    for batch in sources.log.batches():
        summaries.add(batch)
        if weeks is not None:
            weeks.add(batch)
        rows += batch.rows
        if rows >= milestone:
            tell(f"{rows:,} rows of the log are read")
            milestone += _TOLD
    if sources.classifier is None or weeks is None:
        return summaries, None
    return summaries, sources.classifier.judged(weeks, asked.settings, asked.now)


def _performances(
    asked: Run, summaries: Summaries, labels: LabelJoin | None
) -> tuple[dict[str, WindowPerformance], LabelFacts | None]:
    """Return the performance of every window, estimated where it has no labels."""
    reference = asked.reference
    calibrator, kind = reference.performance.calibrator, reference.label.kind
    by_name = {window.span.name: window for window in summaries.windows}
    known = {name: window_performance(kind, None, w.scores, calibrator, w.rows) for name, w in by_name.items()}
    if labels is None:
        return known, None
    for part in labels.windows():
        window = by_name[part.window]
        known[part.window] = window_performance(kind, part.labelled, window.scores, calibrator, window.rows)
    return known, labels.facts


def _label_findings(
    asked: Run, performances: Mapping[str, WindowPerformance], facts: LabelFacts | None
) -> tuple[Finding, ...]:
    if facts is None:
        return ()
    coverage = {name: known.coverage if known.rows else None for name, known in performances.items()}
    return label_findings(coverage, asked.spans, facts, asked.settings, asked.now)


def _live(summaries: Summaries) -> Span:
    there = [window for window in summaries.windows if window.rows]
    first, last = (there[0].span.start, there[-1].span.start) if there else (None, None)
    return Span(
        sum(window.rows for window in there),
        len(there),
        first.isoformat() if first else "",
        last.isoformat() if last else "",
    )


def _facts(
    asked: Run, summaries: Summaries, log: RequestLog, performances: Mapping[str, WindowPerformance],
    findings: Sequence[Finding],
) -> tuple[WindowFacts, ...]:  # fmt: skip
    means = asked.reference.profile.column(PREDICTION)
    expected = _expected([mean for mean in means.means if mean is not None] if means else [])
    shown, facts = [], log.facts
    alpha = asked.settings.false_alarms_per_month / PER_MONTH[asked.settings.window]
    for window in summaries.windows:
        name = window.span.name
        prediction = replace(expected, value=None if window.prediction.mean is None else plain(window.prediction.mean))
        rows = expected_rows(asked.reference.profile, summaries.windows, window, asked.settings, alpha)
        of = (rows, prediction, performances[name] if window.rows else None)
        shown.append(window_facts(window, facts, of, findings, asked.now))
    return tuple(shown)


def _expected(means: Sequence[float]) -> Range:
    """Return between which means nine of ten windows of the reference lie."""
    if len(means) < FEW:
        return Range(None)
    low, high = np.quantile(np.array(means), (0.05, 0.95))
    return Range(None, plain(float(low)), plain(float(high)))


def _columns(drift: Drift, findings: Sequence[Finding]) -> tuple[ColumnFacts, ...]:
    """Return the columns with the severity of all that was found of each in a window, data quality included."""
    by_column: dict[str, list[Finding]] = {}
    for finding in findings:
        by_column.setdefault(finding.subject, []).append(finding)
    return tuple(
        replace(facts, cells=tuple(_graded(cell, by_column.get(facts.name, ())) for cell in facts.cells))
        for facts in drift.columns
    )


def _graded(cell: Cell, findings: Sequence[Finding]) -> Cell:
    here = [finding.severity for finding in findings if finding.since <= cell.window <= finding.window]
    here += [cell.severity] if cell.severity else []
    return replace(cell, severity=max(here, key=RANK.__getitem__, default=None))


def _urgency(finding: Finding) -> tuple[bool, int, int, str]:
    """Sort what nothing explains first, then by severity, then in the order in which the monitor looks."""
    return bool(finding.explained_by), -RANK[finding.severity], ORDER[finding.kind], finding.subject
