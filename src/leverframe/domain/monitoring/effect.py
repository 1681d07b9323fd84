"""How large a change is, in figures that are shown and decide nothing: means, effect sizes, histograms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leverframe.domain.model.evaluate.scores import plain
from leverframe.domain.monitoring.band import Band
from leverframe.domain.monitoring.batch import Ints
from leverframe.domain.monitoring.binning import Binning, Counts
from leverframe.domain.monitoring.distances import js, psi, shares, wasserstein
from leverframe.domain.monitoring.drift_rule import DriftRule
from leverframe.domain.monitoring.monitor_result import Cell, ColumnFacts, Histogram
from leverframe.domain.monitoring.reference_profile import ProfiledColumn, ReferenceProfile, WindowCounts

KS, CRAMERS_V = "KS", "Cramér's V"
_GROUPS, _BARS, _LEVELS = 10, 20, 12
REST = "other"


@dataclass(frozen=True)
class Subject:
    """A column of a reference, its band, None where it is not compared, and the rule."""

    profile: ReferenceProfile
    column: ProfiledColumn
    band: Band | None
    rule: DriftRule


def column_facts(subject: Subject, windows: Sequence[WindowCounts], cells: tuple[Cell, ...]) -> ColumnFacts:
    """Return everything that is shown of a column; effect sizes are those of the newest window that has values."""
    profile, column = subject.profile, subject.column
    name, binning = column.column.name, column.binning
    newest = next(
        (window for window in reversed(windows) if (counts := window.columns.get(name)) and counts.known), None
    )
    counts = newest.columns[name] if newest else binning.empty()
    pool = column.pool if newest is None else profile.pool(column, newest.start)
    pool = column.pool if pool is None else pool
    there = bool(counts.known and pool.any()) and column.column.kind != "text"
    groups = grouped(binning, pool, _GROUPS)
    rows = sum(window.rows for window in profile.windows)
    return ColumnFacts(
        name=name,
        role=column.role,
        kind=column.column.kind,
        importance=column.column.importance,
        statistic=KS if binning.ordered else CRAMERS_V,
        band=_limit(subject, counts, pool) if there else None,
        wasserstein=_plain(wasserstein(pool, counts.bins, binning.places())) if there and binning.ordered else None,
        psi=_plain(psi(merged(pool, groups), merged(counts.bins, groups))) if there else None,
        js=_plain(js(merged(pool, groups), merged(counts.bins, groups))) if there else None,
        reference_missing=sum(column.missing) / max(1, rows),
        histogram=histogram(binning, pool, counts.bins) if there else None,
        cells=cells,
    )


def grouped(binning: Binning, pool: Ints, groups: int) -> Ints:
    """Return for each bin the number of the group it is shown in, shape (bins,): quantile bins of similar rows."""
    if binning.form != "quantiles":
        return np.arange(binning.size)
    before = np.cumsum(pool) - pool / 2
    numbers = np.minimum((before / max(1, pool.sum()) * groups).astype(np.int64), groups - 1)
    group: Ints = np.unique(numbers, return_inverse=True)[1].astype(np.int64)
    return group


def merged(counts: Ints, groups: Ints) -> Ints:
    """Return counts of shape (bins,) by group."""
    return np.bincount(groups, weights=counts).astype(np.int64)


def histogram(binning: Binning, reference: Ints, current: Ints) -> Histogram:
    """Return shares for a chart: numbers in up to 20 bins with edges, values and the most frequent levels by name."""
    if binning.form == "quantiles":
        groups = grouped(binning, reference, _BARS)
        ends = [binning.edges[at] for at in np.flatnonzero(np.diff(groups))]
        labels = ("-inf", *(f"{end:.4g}" for end in ends), "inf")
    else:
        labels, groups = _named(binning)
    return Histogram(
        labels,
        tuple(round(float(share), 6) for share in shares(merged(reference, groups))),
        tuple(round(float(share), 6) for share in shares(merged(current, groups))),
    )


def _named(binning: Binning) -> tuple[tuple[str, ...], Ints]:
    """Return the names of bars, and to which each bin belongs; the last is that of all other values."""
    if binning.form == "numbers":
        groups = np.full(binning.size, len(binning.edges), np.int64)
        groups[1::2] = np.arange(len(binning.edges))
        return (*(f"{value:g}" for value in binning.edges), REST), groups
    shown = min(_LEVELS, binning.frequent)
    return (*binning.names[:shown], REST), np.minimum(np.arange(binning.size), shown)


def _limit(subject: Subject, counts: Counts, pool: Ints) -> float | None:
    if subject.band is None:
        return None
    limit = subject.band.limit(subject.rule.alpha, counts.known, int(pool.sum()))
    return _plain(max(subject.rule.smallest, limit))


def _plain(value: float | None) -> float | None:
    return None if value is None else plain(value)
