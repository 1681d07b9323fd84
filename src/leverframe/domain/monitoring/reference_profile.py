"""What is kept of the reference: counts in bins and a statistic a window, no row and no rare value.

The statistic of a window is its distance from all others of its season, so that no window is compared with itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from leverframe.domain.monitoring.band import Distance, Noise
from leverframe.domain.monitoring.batch import Ints
from leverframe.domain.monitoring.binning import Binning, Counts
from leverframe.domain.monitoring.monitored_column import MonitoredColumn
from leverframe.domain.monitoring.season import Match, season_of

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
        counts: Ints = np.array(self.pools, np.int64).reshape(-1, self.binning.size).sum(axis=0)
        return counts


@dataclass(frozen=True)
class ReferenceProfile:
    """What live traffic is compared with; ``digest`` identifies the rows, as far as their counts do."""

    windows: tuple[ReferenceWindow, ...]
    columns: tuple[ProfiledColumn, ...]
    match: Match
    seasons: tuple[int, ...]
    digest: str

    @property
    def stride(self) -> int:
        """How many windows lie between one and the next of its season."""
        return len(self.seasons) if self.match == "weekday" else 1

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(window.rows for window in self.windows)

    @property
    def binnings(self) -> dict[str, Binning]:
        """The bins that rows of live traffic are counted in; those of the reference may have been finer."""
        return {column.column.name: column.binning for column in self.columns}

    def column(self, name: str) -> ProfiledColumn | None:
        """Return a column by name."""
        return next((column for column in self.columns if column.column.name == name), None)

    def pool(self, column: ProfiledColumn, start: str) -> Ints | None:
        """Return the counts that a window which starts then is compared with; None for a season without rows."""
        season = season_of(start, self.match)
        return np.array(column.pools[self.seasons.index(season)], np.int64) if season in self.seasons else None

    def distances(self, column: ProfiledColumn) -> list[Distance | None]:
        """Return the statistic of each window with the numbers of rows behind it; None where there is none."""
        totals = [sum(pool) for pool in column.pools]
        distances: list[Distance | None] = []
        for window, missing, value in zip(self.windows, column.missing, column.statistics, strict=True):
            rows, pool = window.rows - missing, totals[self.seasons.index(season_of(window.start, self.match))]
            distances.append(None if value is None else Distance(value, rows, pool - rows))
        return distances
