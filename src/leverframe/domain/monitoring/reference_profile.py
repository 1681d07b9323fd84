"""What is kept of the reference: counts in bins and a statistic a window, no row and no rare value.

The statistic of a window is its distance from all others of its season, so that no window is compared with itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Literal

import numpy as np

from leverframe.domain.monitoring.band import Distance, Noise
from leverframe.domain.monitoring.batch import Ints, Values
from leverframe.domain.monitoring.binning import Binning, Counts
from leverframe.domain.monitoring.dependence import persistences
from leverframe.domain.monitoring.engine import Engine, Pair
from leverframe.domain.monitoring.monitored_column import MonitoredColumn

Match = Literal["none", "weekday", "month"]
Role = Literal["feature", "prediction"]


@dataclass(frozen=True)
class WindowCounts:
    """The counts of one window; ``start`` is local, ISO 8601, ``columns`` lacks what the window lacks."""

    name: str
    start: str
    rows: int
    columns: Mapping[str, Counts]


@dataclass(frozen=True)
class ReferenceWindow:
    """A window of the reference; ``start`` is local, ISO 8601."""

    name: str
    start: str
    rows: int


@dataclass(frozen=True)
class ProfiledColumn:
    """A column of the reference: its bins, the rows in them by season, and a figure a window.

    ``pools`` have a tuple of counts a season, in the order of ``ReferenceProfile.seasons``. ``statistics`` are None
    where a window has too few rows; ``missing`` and ``new`` are rows, ``means`` those of the numbers, for the
    prediction only. ``persistence`` is the correlation of one window with the
    next beyond the noise of rows.
    """

    column: MonitoredColumn
    role: Role
    binning: Binning
    pools: tuple[tuple[int, ...], ...]
    statistics: tuple[float | None, ...]
    missing: tuple[int, ...]
    new: tuple[int, ...]
    means: tuple[float | None, ...]
    noise: Noise
    persistence: float = 0.0

    @cached_property
    def pool(self) -> Ints:
        """The rows in each bin, of all seasons, shape (bins,)."""
        return np.asarray(np.array(self.pools, np.int64).sum(axis=0))


@dataclass(frozen=True)
class ReferenceProfile:
    """What live traffic is compared with; ``digest`` identifies the rows, as far as their counts do."""

    windows: tuple[ReferenceWindow, ...]
    columns: tuple[ProfiledColumn, ...]
    match: Match
    seasons: tuple[int, ...]
    digest: str

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(window.rows for window in self.windows)

    def column(self, name: str) -> ProfiledColumn | None:
        """Return a column by name."""
        return next((each for each in self.columns if each.column.name == name), None)

    def pool(self, column: ProfiledColumn, start: str) -> Ints | None:
        """Return the counts that a window which starts then is compared with; None for a season without rows."""
        season = season_of(start, self.match)
        return np.array(column.pools[self.seasons.index(season)], np.int64) if season in self.seasons else None

    def distances(self, column: ProfiledColumn) -> list[Distance | None]:
        """Return the statistic of each window with the numbers of rows behind it; None where there is none."""
        totals = [sum(pool) for pool in column.pools]
        found: list[Distance | None] = []
        for window, missing, value in zip(self.windows, column.missing, column.statistics, strict=True):
            rows, pool = window.rows - missing, totals[self.seasons.index(season_of(window.start, self.match))]
            found.append(None if value is None else Distance(value, rows, pool - rows))
        return found


def season_of(start: str, match: Match) -> int:
    """Return the season of a window: the day of its week from 0, or the month of its year from 1; 0 without any."""
    if match == "none":
        return 0
    at = datetime.fromisoformat(start)
    return at.weekday() if match == "weekday" else at.month


def counted(binnings: Mapping[str, Binning], values: Mapping[str, Values]) -> dict[str, Counts]:
    """Return the counts of each column that is there."""
    return {name: each.counts(values[name]) for name, each in binnings.items() if name in values}


def reference_profile(
    columns: Sequence[tuple[MonitoredColumn, Role]],
    binnings: Mapping[str, Binning],
    windows: Sequence[WindowCounts],
    engine: Engine,
    *,
    match: Literal["auto", "none", "weekday", "month"] = "none",
    minimum_rows: int = 1,
) -> ReferenceProfile:
    """Return the profile of windows in the order of time, whose counts are in these bins."""
    ordered = sorted(windows, key=lambda window: window.start)
    season: Match = "none" if match == "auto" else match
    seasons = tuple(sorted({season_of(window.start, season) for window in ordered}))
    known = tuple(
        _column(column, role, binnings[column.name], (ordered, season, seasons), (engine, minimum_rows))
        for column, role in columns
    )
    known = _with_persistence(known, ordered, np.array([season_of(each.start, season) for each in ordered], np.int64))
    return ReferenceProfile(
        tuple(ReferenceWindow(each.name, each.start, each.rows) for each in ordered),
        known,
        season,
        seasons,
        _digest(known),
    )


def _column(
    column: MonitoredColumn,
    role: Role,
    binning: Binning,
    seasoned: tuple[Sequence[WindowCounts], Match, tuple[int, ...]],
    compare: tuple[Engine, int],
) -> ProfiledColumn:
    (windows, match, seasons), (engine, minimum_rows) = seasoned, compare
    counts = [window.columns.get(column.name, binning.empty()) for window in windows]
    bins = np.stack([each.bins for each in counts]) if counts else np.zeros((0, binning.size), np.int64)
    season = np.array([seasons.index(season_of(window.start, match)) for window in windows], np.int64)
    pools = np.stack([bins[season == number].sum(axis=0) for number in range(len(seasons))]) if counts else bins
    rest = pools[season] - bins if counts else bins
    judged = (bins.sum(axis=1) >= minimum_rows) & (rest.sum(axis=1) > 0)
    pairs = [Pair(binning.ordered, rest[number], bins[number]) for number in np.flatnonzero(judged)]
    values = np.full(len(counts), np.nan)
    values[judged] = engine.statistics(pairs)
    return ProfiledColumn(
        column,
        role,
        binning,
        tuple(tuple(pool.tolist()) for pool in pools),
        tuple(_short(value) for value in values),
        tuple(window.rows - each.known for window, each in zip(windows, counts, strict=True)),
        tuple(each.new for each in counts),
        tuple(_mean(each) for each in counts) if role == "prediction" else (),
        Noise.of(bins.sum(axis=0), ordered=binning.ordered),
    )


def _with_persistence(
    columns: Sequence[ProfiledColumn], windows: Sequence[WindowCounts], seasons: Ints
) -> tuple[ProfiledColumn, ...]:
    """Return the columns with the dependence of their windows."""
    counts = [
        (
            np.stack(
                [
                    window.columns[each.column.name].bins
                    if each.column.name in window.columns
                    else each.binning.empty().bins
                    for window in windows
                ]
            ),
            each.binning.ordered,
        )
        for each in columns
        if windows
    ]
    return (
        tuple(
            replace(each, persistence=found) for each, found in zip(columns, persistences(counts, seasons), strict=True)
        )
        if windows
        else tuple(columns)
    )


def _mean(counts: Counts) -> float | None:
    return _short(counts.total / counts.known) if counts.known else None


def _short(value: float) -> float | None:
    return float(f"{value:.6g}") if np.isfinite(value) else None


def _digest(columns: Sequence[ProfiledColumn]) -> str:
    known = repr([(each.column, each.binning, each.pools, each.statistics) for each in columns])
    return hashlib.sha256(known.encode()).hexdigest()
