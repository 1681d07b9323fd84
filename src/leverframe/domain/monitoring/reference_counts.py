"""How a reference is boiled down to its profile, from counts a window."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from leverframe.domain.model.evaluate.scores import plain
from leverframe.domain.monitoring.band import Noise
from leverframe.domain.monitoring.batch import Ints, Values
from leverframe.domain.monitoring.binning import Binning, Counts
from leverframe.domain.monitoring.engine import Engine, Pair
from leverframe.domain.monitoring.monitored_column import MonitoredColumn
from leverframe.domain.monitoring.persistence import persistences
from leverframe.domain.monitoring.reference_profile import (
    ProfiledColumn,
    ReferenceProfile,
    ReferenceWindow,
    Role,
    WindowCounts,
)
from leverframe.domain.monitoring.season import Match, chosen, pooled, seasons_of

_SEASONAL_BINS = 50  # a profile with a pool a season keeps half of the bins of numbers


@dataclass(frozen=True)
class _Counted:
    """A column in all windows; ``bins`` has shape (windows, bins)."""

    column: MonitoredColumn
    role: Role
    binning: Binning
    counts: tuple[Counts, ...]
    bins: Ints

    def halved(self) -> _Counted:
        """Return the column in half as many bins."""
        binning = self.binning.halved()
        if binning == self.binning:
            return self
        bins = np.add.reduceat(self.bins, np.arange(0, self.binning.size, 2), axis=1)
        return _Counted(self.column, self.role, binning, self.counts, bins)


def counted(binnings: Mapping[str, Binning], values: Mapping[str, Values]) -> dict[str, Counts]:
    """Return the counts of each column that is there."""
    return {name: binning.counts(values[name]) for name, binning in binnings.items() if name in values}


def reference_profile(
    columns: Sequence[tuple[MonitoredColumn, Role]],
    binnings: Mapping[str, Binning],
    windows: Sequence[WindowCounts],
    engine: Engine,
    *,
    match: Literal["auto", "none", "weekday", "month"] = "auto",
    minimum_rows: int = 1,
) -> ReferenceProfile:
    """Return the profile of windows whose counts are in these bins; it may have fewer bins.

    Windows of fewer than ``minimum_rows`` rows count as rows, but are not compared with the others.
    """
    ordered = sorted(windows, key=lambda window: window.start)
    starts = [window.start for window in ordered]
    known = [_counted(column, role, binnings[column.name], ordered) for column, role in columns]
    shapes = [(column.bins, column.binning.ordered) for column in known if column.column.kind != "text"]
    season: Match = chosen(shapes, starts) if match == "auto" else match
    if season != "none":
        known = [column.halved() if column.binning.size > _SEASONAL_BINS else column for column in known]
    seasons = seasons_of(starts, season)
    kept = persistences([(column.bins, column.binning.ordered) for column in known], seasons)
    profiled = tuple(
        _profiled(column, ordered, seasons, _statistics(column, seasons, engine, minimum_rows), persistence)
        for column, persistence in zip(known, kept, strict=True)
    )
    listed = tuple(ReferenceWindow(window.name, window.start, window.rows) for window in ordered)
    return ReferenceProfile(
        listed, profiled, season, tuple(np.unique(seasons).tolist()), _digest(repr((listed, profiled)))
    )


def _counted(column: MonitoredColumn, role: Role, binning: Binning, windows: Sequence[WindowCounts]) -> _Counted:
    counts = tuple(window.columns.get(column.name, binning.empty()) for window in windows)
    bins = np.array([count.bins for count in counts], np.int64).reshape(len(windows), binning.size)
    return _Counted(column, role, binning, counts, bins)


def _statistics(column: _Counted, seasons: Ints, engine: Engine, minimum_rows: int) -> tuple[float | None, ...]:
    """Return the distance of each window from all others of its season."""
    distances: list[float | None] = [None] * len(seasons)
    if column.column.kind == "text":
        return tuple(distances)
    rest = pooled(column.bins, seasons)
    judged = np.flatnonzero((column.bins.sum(axis=1) >= minimum_rows) & (rest.sum(axis=1) > 0))
    pairs = [Pair(column.binning.ordered, rest[number], column.bins[number]) for number in judged]
    for number, value in zip(judged.tolist(), engine.statistics(pairs).tolist(), strict=True):
        distances[number] = plain(value)
    return tuple(distances)


def _profiled(
    known: _Counted,
    windows: Sequence[WindowCounts],
    seasons: Ints,
    statistics: tuple[float | None, ...],
    persistence: float,
) -> ProfiledColumn:
    numbers = known.role == "prediction" and known.binning.ordered
    return ProfiledColumn(
        known.column,
        known.role,
        known.binning,
        tuple(tuple(known.bins[seasons == season].sum(axis=0).tolist()) for season in np.unique(seasons)),
        statistics,
        tuple(window.rows - count.known for window, count in zip(windows, known.counts, strict=True)),
        tuple(count.new for count in known.counts),
        tuple(_mean(count) for count in known.counts) if numbers else (),
        Noise.of(known.bins.sum(axis=0), ordered=known.binning.ordered),
        persistence,
    )


def _mean(counts: Counts) -> float | None:
    return plain(counts.total / counts.known) if counts.known else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
