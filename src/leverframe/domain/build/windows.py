"""How windows over events are computed: positions once, then one pass an aggregate.

Events are sorted by key, moment and row; the events of a window are then the range ``[low,
high)`` of positions, found for every row at once. Sums come from exact prefix sums, minimum and
maximum from a table of blocks, the last value from a running index, distinct counts from a
wavelet matrix. All are O(n log n) or better in time and O(n) in memory, whatever the windows.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from leverframe.domain.build.plan import Aggregate

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_LIMB = 30  # bits of an integer part: 2**33 values add up before 64 bits overflow
_BLOCK = 64  # positions summarised together: short ends are read directly, the rest by blocks


@dataclass(frozen=True)
class Moments:
    """Keys and moments of the same length: ``code`` >= 0 names a key, -1 none; ``at`` in microseconds."""

    code: Ints
    at: Ints


class Timeline:
    """Events sorted by key, moment and row, ready to be asked for ranges by the rows of the spine."""

    def __init__(self, events: Moments, rows: Moments) -> None:
        """Prepare for ``rows``; ``events`` must be sorted by ``code``, then ``at``, then row."""
        self._start = int(events.at.min()) if len(events.at) else 0
        self._span = int(events.at.max(initial=self._start)) - self._start + 2
        self._grid: Ints | None = None
        if (int(events.code.max(initial=0)) + 1) * self._span >= 2**62:
            # Keys and microseconds do not fit into one number: count moments instead of time.
            self._grid = np.unique(events.at)
            self._span = len(self._grid) + 1
        self._events = events.code * self._span + self._ticks(events.at)
        self._rows = rows
        # Rows in the order of events: the searches below then walk through memory once.
        self._order = np.lexsort((rows.at, rows.code))

    def before(self, back: timedelta = timedelta(0)) -> Ints:
        """Return for each row the position of the first event at or after its moment less ``back``."""
        shift = back // timedelta(microseconds=1)
        code, at = self._rows.code[self._order], self._rows.at[self._order]
        wanted = code * self._span + self._ticks(at - shift)
        found = np.empty(len(wanted), np.int64)
        found[self._order] = np.searchsorted(self._events, wanted)
        return np.where(self._rows.code < 0, 0, found)

    def _ticks(self, at: Ints) -> Ints:
        """Return moments as small numbers in the same order, equal only where no event lies between."""
        if self._grid is not None:
            return np.searchsorted(self._grid, at)
        return np.clip(at - self._start, 0, self._span - 1)


def aggregate(what: Aggregate, values: Floats, low: Ints, high: Ints) -> Floats:
    """Return one feature for every row; NaN stands for null, in ``values`` and in the result.

    ``values`` has a number an event; ``low`` and ``high`` bound each row's window. ``last``
    gives the position of the event instead of its value, so that any type can be taken.
    """
    known = ~np.isnan(values)
    counts = _range_sums(known.astype(np.int64), low, high)
    match what.function:
        case "count":
            made = counts.astype(np.float64)
        case "sum":
            made = np.where(counts > 0, exact_sums(values, low, high), np.nan)
        case "mean":
            made = _ratio(exact_sums(values, low, high), counts)
        case "share_above":
            above = values > (what.threshold or 0.0)
            made = _ratio(_range_sums(above.astype(np.int64), low, high), counts)
        case "min":
            made = -extremes(-values, low, high)
        case "max":
            made = extremes(values, low, high)
        case "last":
            made = last_positions(known, low, high)
        case "distinct":
            made = distinct_counts(values, low, high).astype(np.float64)
        case _:
            raise ValueError(f"no such function: {what.function}")
    return made


def exact_sums(values: Floats, low: Ints, high: Ints) -> Floats:
    """Return the sums of ``values[low:high]``, nulls left out, as if each were added without rounding.

    A running sum in floating point leaves residue: a window of zeros after large values is not
    zero. Here each value is split into 30-bit integers, largest part first, and differences of
    integer sums are exact, so neither other windows nor the order of rows show in the result.
    """
    filled = np.nan_to_num(values, nan=0.0)
    _, exponent = np.frexp(np.abs(filled).max(initial=0.0))
    rest, total = np.ldexp(filled, _LIMB - int(exponent)), np.zeros(len(low))
    for limb in itertools.count():
        whole = np.rint(rest)
        total += np.ldexp(_range_sums(whole.astype(np.int64), low, high).astype(np.float64), -_LIMB * limb)
        rest = np.ldexp(rest - whole, _LIMB)
        if not rest.any():
            break
    return np.ldexp(total, int(exponent) - _LIMB)


def extremes(values: Floats, low: Ints, high: Ints) -> Floats:
    """Return the maximum of ``values[low:high]``, nulls left out; NaN where nothing is known."""
    filled = np.where(np.isnan(values), -np.inf, values)
    blocks = -(-len(filled) // _BLOCK)
    padded = np.full((blocks + 1) * _BLOCK, -np.inf)
    padded[: len(filled)] = filled
    found = np.full(len(low), -np.inf)
    first, last = -(-low // _BLOCK), high // _BLOCK  # whole blocks inside the window
    whole = first < last
    levels = _doubling(padded.reshape(-1, _BLOCK).max(axis=1))
    width = np.where(whole, last - first, 1)
    level = np.frexp(width.astype(np.float64))[1] - 1
    for each in np.unique(level[whole]):
        at = np.flatnonzero(whole & (level == each))
        table = levels[each]
        found[at] = np.maximum(table[first[at]], table[last[at] - (1 << int(each))])
    for start, stop in ((low, np.where(whole, first * _BLOCK, high)), (np.where(whole, last * _BLOCK, high), high)):
        for step in range(int((stop - start).max(initial=0))):
            at = np.flatnonzero(start + step < stop)
            found[at] = np.maximum(found[at], padded[start[at] + step])
    return np.where(np.isneginf(found), np.nan, found)


def last_positions(known: npt.NDArray[np.bool_], low: Ints, high: Ints) -> Floats:
    """Return the position of the last known value in each window; NaN where there is none."""
    newest = np.concatenate(([-1], np.maximum.accumulate(np.where(known, np.arange(len(known)), -1))))[high]
    return np.where(newest >= low, newest.astype(np.float64), np.nan)


def distinct_counts(values: Floats, low: Ints, high: Ints) -> Ints:
    """Return how many different known values each window holds.

    A value counts at its first place in the window, that is where its previous place lies before
    ``low``: counting those is a dominance count, answered for all windows bit by bit with a
    wavelet matrix (Claude, Navarro and Ordonez, 2015).
    """
    known = np.flatnonzero(~np.isnan(values))
    rank = np.concatenate(([0], np.cumsum(~np.isnan(values))))
    first, last = rank[low], rank[high]  # windows over the known values alone
    order = np.argsort(values[known], kind="stable")
    same = values[known][order][1:] == values[known][order][:-1]
    previous = np.zeros(len(known), np.int64)  # 1 + position of the same value before, 0 for none
    previous[order[1:][same]] = order[:-1][same] + 1
    return _count_at_most(previous, first, last, first)


def _count_at_most(values: Ints, low: Ints, high: Ints, bound: Ints) -> Ints:
    """Return how many of ``values[low:high]`` are at most ``bound``; values and bounds below len + 1."""
    bits = max(int(values.max(initial=0)), int(bound.max(initial=0)) + 1).bit_length()
    limit, count = bound + 1, np.zeros(len(low), np.int64)
    low, high = low.copy(), high.copy()
    for bit in range(bits - 1, -1, -1):
        zeros = (values >> bit) & 1 == 0
        before = np.concatenate(([0], np.cumsum(zeros)))
        low_zeros, high_zeros = before[low], before[high]
        one = (limit >> bit) & 1 == 1
        count += np.where(one, high_zeros - low_zeros, 0)
        total = before[-1]
        low = np.where(one, total + low - low_zeros, low_zeros)
        high = np.where(one, total + high - high_zeros, high_zeros)
        values = np.concatenate((values[zeros], values[~zeros]))
    return count


def _range_sums(values: Ints, low: Ints, high: Ints) -> Ints:
    prefix = np.concatenate((np.zeros(1, np.int64), np.cumsum(values)))
    return prefix[high] - prefix[low]


def _doubling(values: Floats) -> list[Floats]:
    """Return for each power of two the maximum of that many values from each position on."""
    levels = [values]
    while 2 ** len(levels) <= len(values):
        half = 2 ** (len(levels) - 1)
        levels.append(np.maximum(levels[-1][:-half], levels[-1][half:]))
    return levels


def _ratio(above: npt.NDArray[np.float64] | Ints, below: Ints) -> Floats:
    return np.divide(above, below, out=np.full(len(below), np.nan), where=below > 0)
