"""How windows over events are computed: positions once, then one pass an aggregate.

Events are sorted by key, moment and row; the events of a window are then the range ``[low,
high)`` of positions, found for every row at once. Sums come from exact prefix sums, minimum and
maximum from a table of blocks, the last value from a running index, distinct counts from a
wavelet matrix. All are O(n log n) or better in time and O(n) in memory, whatever the windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt

from leverframe.domain.features.plan import Aggregate

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_LIMB = 30  # bits of an integer part: 2**33 values add up before 64 bits overflow
_NORMAL = 2.0**-1022  # the smallest double with all its bits
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


class Column:
    """The values of one column of the events, with what windows share: prefixes are summed up once."""

    def __init__(self, values: Floats) -> None:
        """Take a number an event; NaN stands for null."""
        self.values = values
        self._above: dict[float, Ints] = {}

    @cached_property
    def known(self) -> npt.NDArray[np.bool_]:
        """Return which values are not null."""
        return ~np.isnan(self.values)

    @cached_property
    def rank(self) -> Ints:
        """Return how many known values stand before each position."""
        return _prefix(self.known)

    @cached_property
    def limbs(self) -> Limbs:
        """Return the prefix sums of the values in exact parts."""
        return _limbs(np.where(self.known, self.values, 0.0))

    def above(self, threshold: float) -> Ints:
        """Return how many values before each position are greater than ``threshold``."""
        if threshold not in self._above:
            self._above[threshold] = _prefix(self.values > threshold)
        return self._above[threshold]


@dataclass(frozen=True)
class Limbs:
    """Prefix sums as integers: the ``i``-th of ``prefixes`` counts units of ``2**(exponent - 30 * (i + 1))``."""

    exponent: int
    prefixes: tuple[Ints, ...]


def over_events(
    asked: Sequence[Aggregate], values: Mapping[str, Floats], events: Moments, rows: Moments
) -> dict[str, Floats]:
    """Return every feature asked for, a number a row; ``values`` are columns of ``events``, sorted as those."""
    timeline = Timeline(events, rows)
    high = timeline.before()
    lows = {window: timeline.before(window) for window in {each.window for each in asked}}
    columns = {name: Column(each) for name, each in values.items()}
    return {each.name: aggregate(each, columns[each.column], lows[each.window], high) for each in asked}


def aggregate(what: Aggregate, column: Column, low: Ints, high: Ints) -> Floats:
    """Return one feature for every row; NaN stands for null.

    ``low`` and ``high`` bound each row's window of positions in ``column``. ``last`` gives the
    position of the event instead of its value, so that any type can be taken.
    """
    match what.function:
        case "count":
            made = _counts(column, low, high).astype(np.float64)
        case "sum":
            made = np.where(_counts(column, low, high) > 0, exact_sums(column, low, high), np.nan)
        case "mean":
            made = ratio(exact_sums(column, low, high), _counts(column, low, high))
        case "share_above":
            above = column.above(what.threshold or 0.0)
            made = ratio(above[high] - above[low], _counts(column, low, high))
        case "min":
            made = -extremes(-column.values, low, high)
        case "max":
            made = extremes(column.values, low, high)
        case "last":
            made = last_positions(column.known, low, high)
        case "distinct":
            made = distinct_counts(column, low, high).astype(np.float64)
        case _:
            raise ValueError(f"no such function: {what.function}")
    return made


def exact_sums(column: Column, low: Ints, high: Ints) -> Floats:
    """Return the sums of ``column[low:high]``, nulls left out, as if each were added without rounding.

    A running sum in floating point leaves residue: a window of zeros after large values is not
    zero. Here each value is split into 30-bit integers, largest part first, and differences of
    integer sums are exact. The parts lie on a fixed grid of powers of two and are carried before
    they are put together: neither other windows, nor other events, nor the order of rows show in
    the last bit, so every engine and the server come to the same number.
    """
    limbs = column.limbs
    return together(limbs.exponent, [prefix[high] - prefix[low] for prefix in limbs.prefixes])


def together(exponent: int, sums: list[Ints]) -> Floats:
    """Return the numbers whose exact parts, of the units of ``Limbs``, are ``sums``."""
    for each in range(len(sums) - 1, 0, -1):
        carry = sums[each] >> _LIMB
        sums[each] -= carry << _LIMB
        sums[each - 1] += carry
    total = np.zeros(len(sums[0]))
    for place, part in enumerate(sums, start=1):
        total += np.ldexp(part.astype(np.float64), exponent - _LIMB * place)
    return total


def _limbs(filled: Floats) -> Limbs:
    _, bits = np.frexp(np.abs(filled).max(initial=0.0))
    exponent = -(-int(bits) // _LIMB) * _LIMB
    tiny = _lost_by_scaling(filled, exponent - _LIMB)
    rest = np.ldexp(filled if tiny is None else np.where(tiny, 0.0, filled), _LIMB - exponent)
    prefixes: list[Ints] = []
    while True:
        if tiny is not None and len(prefixes) == exponent // _LIMB - 1:  # where the unit is 1
            rest, tiny = np.where(tiny, filled, rest), None
        whole = np.rint(rest)
        prefixes.append(_prefix(whole.astype(np.int64)))
        rest -= whole
        if tiny is None and not rest.any():
            return Limbs(exponent, tuple(prefixes))
        rest = np.ldexp(rest, _LIMB)


def _lost_by_scaling(filled: Floats, down: int) -> npt.NDArray[np.bool_] | None:
    """Return which values lose bits when they are divided by ``2**down``, None where all are zero or keep theirs.

    Beside a large value the first unit is large, and a value near the smallest normal double does not fit it.
    """
    if down <= 0:
        return None
    tiny = np.abs(filled) < np.ldexp(_NORMAL, down)
    return tiny if filled[tiny].any() else None


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


def distinct_counts(column: Column, low: Ints, high: Ints) -> Ints:
    """Return how many different known values each window holds.

    A value counts at its first place in the window, that is where its previous place lies before
    ``low``: counting those is a dominance count, answered for all windows bit by bit with a
    wavelet matrix (Claude, Navarro and Ordonez, 2015).
    """
    first, last = column.rank[low], column.rank[high]  # windows over the known values alone
    known = column.values[column.known]
    order = np.argsort(known, kind="stable")
    same = known[order][1:] == known[order][:-1]
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
        before = _prefix(zeros)
        low_zeros, high_zeros = before[low], before[high]
        one = (limit >> bit) & 1 == 1
        count += np.where(one, high_zeros - low_zeros, 0)
        total = before[-1]
        low = np.where(one, total + low - low_zeros, low_zeros)
        high = np.where(one, total + high - high_zeros, high_zeros)
        values = np.concatenate((values[zeros], values[~zeros]))
    return count


def _counts(column: Column, low: Ints, high: Ints) -> Ints:
    return column.rank[high] - column.rank[low]


def _prefix(values: npt.NDArray[np.bool_] | Ints) -> Ints:
    prefix = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=prefix[1:])
    return prefix


def _doubling(values: Floats) -> list[Floats]:
    """Return for each power of two the maximum of that many values from each position on."""
    levels = [values]
    while 2 ** len(levels) <= len(values):
        half = 2 ** (len(levels) - 1)
        levels.append(np.maximum(levels[-1][:-half], levels[-1][half:]))
    return levels


def ratio(above: npt.NDArray[np.float64] | Ints, below: Ints) -> Floats:
    """Return quotients; NaN where there is nothing to divide by."""
    return np.divide(above, below, out=np.full(len(below), np.nan), where=below > 0)
