"""Drift: which columns of live traffic left the band of the reference, and what is said of them.

Each window with enough rows is compared with the reference of its season; ``DriftRule`` decides which of them are an
alarm. Only the newest window is reported as findings; what earlier ones did is in their cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from leverframe.domain.monitoring.band import Band, Distance
from leverframe.domain.monitoring.binning import Counts
from leverframe.domain.monitoring.drift_rule import AMONG, DriftRule
from leverframe.domain.monitoring.drift_words import drift_finding
from leverframe.domain.monitoring.effect import Subject, column_facts
from leverframe.domain.monitoring.engine import Engine, Pair
from leverframe.domain.monitoring.finding import Finding, Severity
from leverframe.domain.monitoring.monitor_result import Cell, ColumnFacts, RuleFacts
from leverframe.domain.monitoring.reference_profile import ReferenceProfile, WindowCounts
from leverframe.domain.monitoring.season import season_of
from leverframe.domain.monitoring.self_test import bands_of, rule_words, self_test
from leverframe.settings.monitor import MonitorSettings


@dataclass(frozen=True)
class Drift:
    """What is said of drift; columns and findings worst first. ``notes`` say what could not be judged, and why."""

    rule: RuleFacts
    columns: tuple[ColumnFacts, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """What is said of a column in a window; ``distance`` and ``p`` are None where it was not compared or judged."""

    distance: Distance | None
    p: float | None
    beyond: bool = False
    fires: bool = False

    def severity(self, rule: DriftRule) -> Severity | None:
        """Return how much it matters: a reference of few windows never warns."""
        if self.fires and rule.rule != "uncalibrated":
            return Severity.WARNING
        return Severity.INFO if self.beyond else None


@dataclass(frozen=True)
class _Judged:
    facts: ColumnFacts
    finding: Finding | None
    least: float  # p of the newest window


def judged(
    profile: ReferenceProfile, windows: Sequence[WindowCounts], settings: MonitorSettings, engine: Engine
) -> Drift:
    """Return what is said of whole windows of live traffic, oldest first."""
    ordered = sorted(windows, key=lambda window: window.start)
    bands = bands_of(profile)
    rule = DriftRule.of(settings, bands.values())
    decided = decisions(profile, bands, ordered, settings, engine)
    columns = [
        _column(Subject(profile, column, bands.get(column.column.name), rule), ordered, decided[column.column.name])
        for column in profile.columns
    ]
    columns.sort(key=_order)
    alarms, replayed = self_test(profile, bands, settings)
    facts = RuleFacts(
        rule.rule,
        rule.alpha,
        len(profile.windows),
        profile.match,
        alarms,
        replayed,
        rule_words(rule, profile),
    )
    return Drift(
        facts,
        tuple(column.facts for column in columns),
        tuple(column.finding for column in columns if column.finding),
        _notes(profile, ordered),
    )


def decisions(
    profile: ReferenceProfile,
    bands: Mapping[str, Band],
    windows: Sequence[WindowCounts],
    settings: MonitorSettings,
    engine: Engine,
) -> dict[str, list[Decision]]:
    """Return the decision on each column in each of the windows, which are in the order of time."""
    rule, decided = DriftRule.of(settings, bands.values()), dict[str, list[Decision]]()
    distances = _distances(profile, windows, settings.minimum_rows, engine)
    for column in profile.columns:
        name, band = column.column.name, bands.get(column.column.name)
        tails = [
            None if distance is None or band is None else (distance, band.p(distance)) for distance in distances[name]
        ]
        judged = [tail for tail in tails if tail is not None]
        beyond = [rule.beyond(distance.value, p) for distance, p in judged]
        fires = iter(zip(judged, beyond, rule.fires(beyond), strict=True))
        decided[name] = [
            Decision(distance, None) if tail is None else _decision(*next(fires))
            for tail, distance in zip(tails, distances[name], strict=True)
        ]
    return decided


def _decision(judged: tuple[Distance, float], beyond: bool, fires: bool) -> Decision:
    return Decision(*judged, beyond, fires)


def _distances(
    profile: ReferenceProfile, windows: Sequence[WindowCounts], minimum: int, engine: Engine
) -> Mapping[str, list[Distance | None]]:
    """Return the distance of each column in each window, None where there are too few rows; all in one call."""
    places: list[tuple[str, int, Pair]] = []
    distances: dict[str, list[Distance | None]] = {
        profiled.column.name: [None] * len(windows) for profiled in profile.columns
    }
    for number, window in enumerate(windows):
        for column in profile.columns:
            counts, pool = window.columns.get(column.column.name), profile.pool(column, window.start)
            if column.column.kind == "text" or counts is None or pool is None or counts.known < max(1, minimum):
                continue
            if pool.any():
                places.append((column.column.name, number, Pair(column.binning.ordered, pool, counts.bins)))
    values = engine.statistics([pair for _, _, pair in places])
    for (name, number, pair), value in zip(places, values, strict=True):
        if np.isfinite(value):
            distances[name][number] = Distance(float(value), int(pair.window.sum()), int(pair.reference.sum()))
    return distances


def _column(subject: Subject, windows: Sequence[WindowCounts], decided: Sequence[Decision]) -> _Judged:
    column, name, rule = subject.column, subject.column.column.name, subject.rule
    cells = tuple(
        _cell(window, window.columns.get(name), decision, decision.severity(rule))
        for window, decision in zip(windows, decided, strict=True)
    )
    facts = column_facts(subject, windows, cells)
    newest = decided[-1] if decided else Decision(None, None)
    least, severity = 1.0 if newest.p is None else newest.p, newest.severity(rule)
    if severity is None:
        return _Judged(facts, None, least)
    since = windows[_since(decided)].name
    pool = subject.profile.pool(column, windows[-1].start)
    return _Judged(facts, drift_finding(column, facts, windows[-1], pool, since, severity), least)


def _since(decided: Sequence[Decision]) -> int:
    """Return the first window of the unbroken run of alarms that the newest ends; the newest where it is no alarm."""
    judged = [number for number, decision in enumerate(decided) if decision.p is not None]
    start = len(judged) - 1
    if not decided[judged[start]].fires:
        return judged[start]
    while start > 0 and decided[judged[start - 1]].fires:
        start -= 1
    return next(number for number in judged[max(0, start - AMONG + 1) :] if decided[number].beyond)


def _cell(window: WindowCounts, counts: Counts | None, decision: Decision, severity: Severity | None) -> Cell:
    rows = max(1, window.rows)
    missing = 1.0 if counts is None else counts.missing / rows
    new = 0.0 if counts is None else counts.new / rows
    value = None if decision.distance is None else decision.distance.value
    return Cell(window.name, value, decision.p, decision.beyond, missing, new, severity)


def _order(column: _Judged) -> tuple[float, float, str]:
    """Sort alarms first, then by importance, then by how unlikely the newest window is."""
    finding, facts = column.finding, column.facts
    rank = 0 if finding is None else 2 if finding.severity is Severity.WARNING else 1
    return (-rank, -(facts.importance or 0.0) if rank else 0.0, f"{column.least:.12f}{facts.name}")


def _notes(profile: ReferenceProfile, windows: Sequence[WindowCounts]) -> tuple[str, ...]:
    """Say what was not compared, and why."""
    seasons = {season_of(window.start, profile.match) for window in windows} - set(profile.seasons)
    strange = [window.name for window in windows if season_of(window.start, profile.match) in seasons]
    texts = [f"`{column.column.name}`" for column in profile.columns if column.column.kind == "text"]
    empty = [f"`{column.column.name}`" for column in profile.columns if not column.pool.any()]
    notes = []
    if strange and profile.windows:
        notes.append(
            f"{len(strange)} windows, {strange[-1]} the newest, were not compared: the reference has none of the same "
            f"{profile.match}"
        )
    if texts:
        notes.append(f"{', '.join(texts)}: too many values to compare; only missing and new ones count")
    if empty:
        notes.append(f"{', '.join(empty)}: not compared, for the reference has no value")
    return tuple(notes)
