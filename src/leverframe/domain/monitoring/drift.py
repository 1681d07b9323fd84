"""Drift: which columns of live traffic left the band of the reference, and what is said of them.

Each window with enough rows is compared with the reference of its season; ``DriftRule`` decides which of them are an
alarm. Only the newest window is reported as findings; what earlier ones did is in their cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from leverframe.domain.monitoring.band import Distance
from leverframe.domain.monitoring.binning import Counts
from leverframe.domain.monitoring.drift_rule import AMONG, DriftRule
from leverframe.domain.monitoring.drift_words import drift_finding
from leverframe.domain.monitoring.effect import column_facts
from leverframe.domain.monitoring.engine import Engine, Pair
from leverframe.domain.monitoring.finding import Finding, Severity
from leverframe.domain.monitoring.monitor_result import Cell, ColumnFacts, RuleFacts
from leverframe.domain.monitoring.reference_profile import ProfiledColumn, ReferenceProfile, WindowCounts
from leverframe.domain.monitoring.self_test import column_band, rule_of, rule_words, self_test
from leverframe.settings.monitor import MonitorSettings


@dataclass(frozen=True)
class Drift:
    """What is said of drift; columns and findings worst first. ``notes`` say what could not be judged, and why."""

    rule: RuleFacts
    columns: tuple[ColumnFacts, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()


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
    rule = rule_of(profile, settings)
    statistics = _statistics(profile, ordered, settings.minimum_rows, engine)
    found = [_column(profile, each, ordered, statistics[each.column.name], rule) for each in profile.columns]
    found.sort(key=_order)
    alarms, replayed = self_test(profile, settings)
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
        tuple(each.facts for each in found),
        tuple(each.finding for each in found if each.finding),
        _notes(profile, ordered),
    )


def _statistics(
    profile: ReferenceProfile, windows: Sequence[WindowCounts], minimum: int, engine: Engine
) -> Mapping[str, list[Distance | None]]:
    """Return the distance of each column in each window, None where there are too few rows; all in one call."""
    places: list[tuple[str, int, Pair]] = []
    found: dict[str, list[Distance | None]] = {each.column.name: [None] * len(windows) for each in profile.columns}
    for number, window in enumerate(windows):
        for each in profile.columns:
            counts, pool = window.columns.get(each.column.name), profile.pool(each, window.start)
            if each.column.kind == "text" or counts is None or pool is None or counts.known < max(1, minimum):
                continue
            if pool.any():
                places.append((each.column.name, number, Pair(each.binning.ordered, pool, counts.bins)))
    values = engine.statistics([pair for _, _, pair in places])
    for (name, number, pair), value in zip(places, values, strict=True):
        if np.isfinite(value):
            found[name][number] = Distance(float(value), int(pair.window.sum()), int(pair.reference.sum()))
    return found


def _column(
    profile: ReferenceProfile,
    column: ProfiledColumn,
    windows: Sequence[WindowCounts],
    distances: Sequence[Distance | None],
    rule: DriftRule,
) -> _Judged:
    band = column_band(profile, column)
    p = [None if each is None or band is None else band.p(each) for each in distances]
    judgeable = [number for number, each in enumerate(p) if each is not None]
    beyond = [False] * len(windows)
    for number in judgeable:
        distance, tail = distances[number], p[number]
        beyond[number] = distance is not None and tail is not None and rule.beyond(distance.value, tail)
    fires = dict(zip(judgeable, rule.fires([beyond[number] for number in judgeable]), strict=True))
    severity = {number: _severity(rule, fired=fires[number], beyond=beyond[number]) for number in judgeable}
    cells = tuple(
        _cell(window, window.columns.get(column.column.name), distances[at], p[at], severity.get(at), beyond=beyond[at])
        for at, window in enumerate(windows)
    )
    facts = column_facts(profile, column, windows, cells, band, rule)
    newest = len(windows) - 1
    tail = p[newest] if windows else None
    worst = severity.get(newest)
    if worst is None:
        return _Judged(facts, None, 1.0 if tail is None else tail)
    since = windows[_since(judgeable, fires, beyond)].name
    pool = profile.pool(column, windows[newest].start)
    finding = drift_finding(column, facts, windows[newest], pool, since, worst)
    return _Judged(facts, finding, 1.0 if tail is None else tail)


def _since(judged: Sequence[int], fires: Mapping[int, bool], beyond: Sequence[bool]) -> int:
    """Return the first window of the unbroken run of alarms that the newest ends; the newest where it is no alarm."""
    start = len(judged) - 1
    while start > 0 and fires[judged[start]] and fires[judged[start - 1]]:
        start -= 1
    among = judged[max(0, start - AMONG + 1) : start + 1] if fires[judged[start]] else judged[start:]
    return next(number for number in among if beyond[number])


def _severity(rule: DriftRule, *, fired: bool, beyond: bool) -> Severity | None:
    if fired and rule.rule != "uncalibrated":
        return Severity.WARNING
    return Severity.INFO if beyond else None


def _cell(
    window: WindowCounts,
    counts: Counts | None,
    distance: Distance | None,
    p: float | None,
    severity: Severity | None,
    *,
    beyond: bool,
) -> Cell:
    rows = max(1, window.rows)
    missing = 1.0 if counts is None else counts.missing / rows
    new = 0.0 if counts is None else counts.new / rows
    return Cell(window.name, None if distance is None else distance.value, p, beyond, missing, new, severity)


def _order(each: _Judged) -> tuple[float, float, str]:
    """Sort alarms first, then by importance, then by how unlikely the newest window is."""
    finding, facts = each.finding, each.facts
    rank = 0 if finding is None else 2 if finding.severity is Severity.WARNING else 1
    return (-rank, -(facts.importance or 0.0) if rank else 0.0, f"{each.least:.12f}{facts.name}")


def _notes(profile: ReferenceProfile, windows: Sequence[WindowCounts]) -> tuple[str, ...]:
    strange = [window.name for window in windows if not any(_has(profile, window) for _ in (0,))]
    if not strange:
        return ()
    return (
        f"{len(strange)} windows were not compared, {strange[-1]} the newest: the reference has no window of the same "
        f"{profile.match}",
    )


def _has(profile: ReferenceProfile, window: WindowCounts) -> bool:
    return not profile.columns or profile.pool(profile.columns[0], window.start) is not None
