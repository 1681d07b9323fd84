"""How windows are computed over events that were corrected: each version counts for an interval of rows.

A version is in a row's window from the timestamp it is known until the next version is, or until
the place of its event falls out of the window. With the rows of the spine in the order of key
and timestamp that is a range of them, so every function is an update of ranges instead of a query
of ranges. All are O((versions + rows) log) in time, a pass a window. An event that does not count
for the rows it belongs to counts for the ranges before, between and after them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Literal

import numpy as np

from leverframe.domain.features.plan import Aggregate
from leverframe.domain.features.windows import Column, Floats, Ints, Timeline, Timestamps, ratio, sums_and_means

FOREVER = 2**62  # microseconds: the newest version is known until then
_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


@dataclass(frozen=True)
class Versions:
    """Versions of events, in the order of their events' places; timestamps in microseconds.

    ``code`` >= 0 names the key of a version, which may differ from that of the one before. It
    counts at timestamps in ``(known, until]``, for windows that ``place`` is in.
    """

    code: Ints
    known: Ints
    until: Ints
    place: Ints


@dataclass(frozen=True)
class OwnGroups:
    """What belongs together: versions do not count for rows with the same number >= 0."""

    rows: Ints
    versions: Ints

    def pairs(self) -> tuple[Ints, Ints]:
        """Return each version with each row that it belongs to, as positions of both."""
        order = np.argsort(self.rows, kind="stable")
        first, last = (np.searchsorted(self.rows[order], self.versions, side) for side in _SIDES)
        counts = np.where(self.versions < 0, 0, last - first)
        version = np.repeat(np.arange(len(counts)), counts)
        place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return version, order[first[version] + place]


def over_versions(
    asked: Sequence[Aggregate],
    values: Mapping[str, Column],
    versions: Versions,
    rows: Timestamps,
    own: OwnGroups | None = None,
) -> dict[str, Floats]:
    """Return every feature asked for, a number a row; ``values`` are columns of ``versions``.

    As in ``windows.aggregate`` NaN stands for null, and ``last`` gives positions.
    """
    seen = Intervals(versions, rows, own)
    spans = {window: seen.of(window) for window in {feature.window for feature in asked}}
    return {feature.name: spans[feature.window].aggregate(feature, values[feature.column]) for feature in asked}


class Intervals:
    """Which rows of the spine see each version."""

    def __init__(self, versions: Versions, rows: Timestamps, own: OwnGroups | None = None) -> None:
        """Prepare for ``rows``, in any order."""
        self._versions, self._rows = versions, len(rows.code)
        order = np.lexsort((rows.at, rows.code))
        self._order = order[rows.code[order] >= 0]
        self._sorted = Timestamps(rows.code[self._order], rows.at[self._order])
        self._own = own.pairs() if own else None

    def of(self, window: timedelta) -> Spans:
        """Return the rows that see each version in a window."""
        versions, length = self._versions, window // timedelta(microseconds=1)
        start = self._after(versions.known)
        stop = np.maximum(start, self._after(np.minimum(versions.until, versions.place + length)))
        version = np.arange(len(start))
        if self._own:
            version, start, stop = self._without_own(start, stop, *self._own)
        return Spans(version, start, stop, self._order, self._rows)

    def _without_own(self, start: Ints, stop: Ints, version: Ints, row: Ints) -> tuple[Ints, Ints, Ints]:
        """Return the ranges without the rows that a version belongs to, and the version of each range."""
        rank = np.full(self._rows, -1)
        rank[self._order] = np.arange(len(self._order))
        cut = rank[row]
        inside = (start[version] <= cut) & (cut < stop[version])
        version, cut = np.concatenate((np.arange(len(start)), version[inside])), cut[inside]
        start, stop = np.concatenate((start, cut + 1)), np.concatenate((stop, cut))
        by_start = np.lexsort((start, version))
        return version[by_start], start[by_start], stop[np.lexsort((stop, version))]

    def _after(self, timestamps: Ints) -> Ints:
        """Return for each version the first row of its key that is later than its timestamp."""
        return Timeline(self._sorted, Timestamps(self._versions.code, timestamps + 1)).before()


@dataclass(frozen=True)
class Spans:
    """Ranges of rows ``[start, stop)`` that see a ``version``; the i-th of them is ``order[i]`` of ``rows``.

    A version has one range or more, side by side in the order of versions.
    """

    version: Ints
    start: Ints
    stop: Ints
    order: Ints
    rows: int

    def aggregate(self, what: Aggregate, values: Column) -> Floats:
        """Return one feature for every row; NaN stands for null.

        ``last`` gives the position of the version instead of its value.
        """
        feature = np.full(self.rows, 0.0 if what.function in ("count", "distinct") else np.nan)
        feature[self.order] = self._of_sorted(what, values[self.version])
        return feature

    def _of_sorted(self, what: Aggregate, values: Column) -> Floats:
        match what.function:
            case "count" | "sum" | "mean" | "share_above":
                made = self._additive(what, values)
            case "min":
                made = values.unscaled(-self._extremes(-values.values))
            case "max":
                made = values.unscaled(self._extremes(values.values))
            case "last":
                made = self._extremes(np.where(values.known, self.version, np.nan))
            case "distinct":
                made = self._distinct(values).astype(np.float64)
            case _:
                raise ValueError(f"no such function: {what.function}")
        return made

    def _additive(self, what: Aggregate, values: Column) -> Floats:
        """Return what has come in before each row less what has gone out."""
        came, went = values[self._by_start], values[self._by_stop]
        counts = came.rank[self._begun] - went.rank[self._ended]
        if what.function == "count":
            return counts.astype(np.float64)
        if what.function == "share_above":
            above = what.threshold or 0.0
            return ratio(came.above(above)[self._begun] - went.above(above)[self._ended], counts)
        # Both hold the same values, so their parts are of the same units.
        pairs = zip(came.limbs.prefixes, went.limbs.prefixes, strict=True)
        sums, means = sums_and_means(came, [one[self._begun] - other[self._ended] for one, other in pairs], counts)
        return means if what.function == "mean" else sums

    def _extremes(self, values: Floats) -> Floats:
        """Return the largest value that each row sees; NaN where it sees none.

        Each range is painted as two that are a power of two long, and long ranges are handed
        down to ranges of half the length.
        """
        shown = np.flatnonzero((self.start < self.stop) & ~np.isnan(values))
        level = np.frexp((self.stop - self.start)[shown].astype(np.float64))[1] - 1
        count = len(self.order)
        painted = np.full(count, -np.inf)
        for power in range(int(level.max(initial=0)), -1, -1):
            length, of_level = 1 << power, shown[level == power]
            halves = np.full(count, -np.inf)
            np.maximum.at(halves, self.start[of_level], values[of_level])
            np.maximum.at(halves, self.stop[of_level] - length, values[of_level])
            # what was painted on twice the length reaches this length at its start and in its middle
            np.maximum(halves, painted, out=halves)
            np.maximum(halves[length:], painted[: max(count - length, 0)], out=halves[length:])
            painted = halves
        return np.where(np.isneginf(painted), np.nan, painted)

    def _distinct(self, values: Column) -> Ints:
        """Return how many different values each row sees: ranges of equal values are joined, then counted."""
        shown = np.flatnonzero((self.start < self.stop) & values.known)
        _, code = np.unique(values.codes[shown], return_inverse=True)
        order = np.lexsort((self.start[shown], code))
        shown, code = shown[order], code[order]
        start, stop = self.start[shown], self.stop[shown]
        # The furthest end so far among ranges of the same value: a running maximum that starts anew with each.
        reach = np.maximum.accumulate(code * (len(self.order) + 1) + stop)
        before = np.concatenate(([0], reach[:-1])) - code * (len(self.order) + 1)
        start = np.minimum(np.maximum(start, before), stop)
        steps = np.bincount(start, minlength=len(self.order) + 1) - np.bincount(stop, minlength=len(self.order) + 1)
        counts: Ints = np.cumsum(steps)[:-1]
        return counts

    @cached_property
    def _by_start(self) -> Ints:
        return np.argsort(self.start, kind="stable")

    @cached_property
    def _by_stop(self) -> Ints:
        return np.argsort(self.stop, kind="stable")

    @cached_property
    def _begun(self) -> Ints:
        return np.searchsorted(self.start[self._by_start], np.arange(len(self.order)), side="right")

    @cached_property
    def _ended(self) -> Ints:
        return np.searchsorted(self.stop[self._by_stop], np.arange(len(self.order)), side="right")
