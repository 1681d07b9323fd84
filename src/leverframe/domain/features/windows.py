"""How windows over events are computed: positions once, then one pass an aggregate.

Events are sorted by key, timestamp and row; the events of a window are then the range ``[low,
high)`` of positions, found for every row at once. Sums come from exact prefix sums, minimum and
maximum from a table of blocks, the last value from a running index, distinct counts from a
wavelet matrix. All are O(n log n) or better in time and O(n) in memory, whatever the windows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from leverframe.domain.features.plan import Aggregate

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_LIMB = 30  # bits of an integer part: 2**33 values add up before 64 bits overflow
_NORMAL = 2.0**-1022  # the smallest double with all its bits
_EXACT = 2.0**53  # up to which each whole number is a double
_SPARE = 128  # bits by which a sum may be larger than the largest double
_BLOCK = 64  # positions summarised together: short ends are read directly, the rest by blocks


@dataclass(frozen=True)
class Timestamps:
    """Keys and timestamps of the same length: ``code`` >= 0 names a key, -1 none; ``at`` in microseconds."""

    code: Ints
    at: Ints


class Timeline:
    """Events sorted by key, timestamp and row, ready to be asked for ranges by the rows of the spine."""

    def __init__(self, events: Timestamps, rows: Timestamps) -> None:
        """Prepare for ``rows``; ``events`` must be sorted by ``code``, then ``at``, then row."""
        self._start = int(events.at.min()) if len(events.at) else 0
        self._span = int(events.at.max(initial=self._start)) - self._start + 2
        self._grid: Ints | None = None
        if (int(events.code.max(initial=0)) + 1) * self._span >= 2**62:
            # Keys and microseconds do not fit into one number: count timestamps instead of time.
            self._grid = np.unique(events.at)
            self._span = len(self._grid) + 1
        self._events = events.code * self._span + self._ticks(events.at)
        self._rows = rows
        # Rows in the order of events: the searches below then walk through memory once.
        self._order = np.lexsort((rows.at, rows.code))

    def before(self, back: timedelta = timedelta(0)) -> Ints:
        """Return for each row the position of the first event at or after its timestamp less ``back``."""
        shift = back // timedelta(microseconds=1)
        code, at = self._rows.code[self._order], self._rows.at[self._order]
        wanted = code * self._span + self._ticks(at - shift)
        positions = np.empty(len(wanted), np.int64)
        positions[self._order] = np.searchsorted(self._events, wanted)
        return np.where(self._rows.code < 0, 0, positions)

    def _ticks(self, at: Ints) -> Ints:
        """Return timestamps as small numbers in the same order, equal only where no event lies between."""
        if self._grid is not None:
            return np.searchsorted(self._grid, at)
        return np.clip(at - self._start, 0, self._span - 1)


class Column:
    """The values of one column of the events, with what windows share: prefixes are summed up once.

    A value is ``values + rest``, divided by ``10 ** scale``: so whole numbers beyond 2**53 and decimals stay exact.
    """

    def __init__(self, values: Floats, rest: Floats | None = None, scale: int = 0) -> None:
        """Take a number an event, NaN for null; ``rest`` is what the nearest double leaves, None for nothing."""
        self.values = values
        self.scale = scale
        self._rest = rest if rest is not None and rest.any() else None
        self._above: dict[float, Ints] = {}

    def __getitem__(self, events: Any) -> Column:
        """Return the column of some events."""
        return Column(self.values[events], None if self._rest is None else self._rest[events], self.scale)

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
        filled = np.where(self.known, self.values, 0.0)
        return _limbs([filled] if self._rest is None else [filled, np.where(self.known, self._rest, 0.0)])

    @cached_property
    def codes(self) -> Floats | Ints:
        """Return numbers that are equal where values are."""
        if self._rest is None:
            return self.values
        order = np.lexsort((self._rest, self.values))
        one, other = self.values[order], self._rest[order]
        new = np.concatenate(([True], (one[1:] != one[:-1]) | (other[1:] != other[:-1])))
        codes = np.empty(len(order), np.int64)
        codes[order] = np.cumsum(new)
        return codes

    def above(self, threshold: float) -> Ints:
        """Return how many values before each position are greater than ``threshold``."""
        if threshold not in self._above:
            units = math.floor(Fraction(str(threshold)) * 10**self.scale) if self.scale else threshold
            limit = _nearest(Fraction(units))
            greater = self.values > limit
            rest = np.zeros(1) if self._rest is None else self._rest
            greater |= (self.values == limit) & (rest > float(units - Fraction(limit) if math.isfinite(limit) else 0))
            self._above[threshold] = _prefix(greater)
        return self._above[threshold]

    def unscaled(self, made: Floats) -> Floats:
        """Return numbers in units of the column as numbers."""
        return made if not self.scale else divided(made, 10**self.scale)


@dataclass(frozen=True)
class Limbs:
    """Prefix sums as integers: the ``i``-th of ``prefixes`` counts units of ``2**(exponent - 30 * (i + 1))``."""

    exponent: int
    prefixes: tuple[Ints, ...]


def over_events(
    asked: Sequence[Aggregate], columns: Mapping[str, Column], events: Timestamps, rows: Timestamps
) -> dict[str, Floats]:
    """Return every feature asked for, a number a row; ``columns`` are those of ``events``, sorted as those."""
    timeline = Timeline(events, rows)
    high = timeline.before()
    lows = {window: timeline.before(window) for window in {feature.window for feature in asked}}
    return {feature.name: aggregate(feature, columns[feature.column], lows[feature.window], high) for feature in asked}


def aggregate(what: Aggregate, column: Column, low: Ints, high: Ints) -> Floats:
    """Return one feature for every row; NaN stands for null.

    ``low`` and ``high`` bound each row's window of positions in ``column``. ``last`` gives the
    position of the event instead of its value, so that any type can be taken.
    """
    match what.function:
        case "count":
            made = _counts(column, low, high).astype(np.float64)
        case "sum":
            made = exact_sums(column, low, high)[0]
        case "mean":
            made = exact_sums(column, low, high)[1]
        case "share_above":
            above = column.above(what.threshold or 0.0)
            made = ratio(above[high] - above[low], _counts(column, low, high))
        case "min":
            made = column.unscaled(-extremes(-column.values, low, high))
        case "max":
            made = column.unscaled(extremes(column.values, low, high))
        case "last":
            made = last_positions(column.known, low, high)
        case "distinct":
            made = distinct_counts(column, low, high).astype(np.float64)
        case _:
            raise ValueError(f"no such function: {what.function}")
    return made


def exact_sums(column: Column, low: Ints, high: Ints) -> tuple[Floats, Floats]:
    """Return the sums of ``column[low:high]``, and their means, nulls left out.

    A running sum in floating point leaves residue: a window of zeros after large values is not
    zero. Here each value is split into 30-bit integers, largest part first, and differences of
    integer sums are exact. The parts lie on a fixed grid of powers of two, and are rounded once when
    they are put together: neither other windows, nor other events, nor the order of rows show in
    the last bit, so every engine and the server come to the same number.
    """
    parts = [prefix[high] - prefix[low] for prefix in column.limbs.prefixes]
    return sums_and_means(column, parts, _counts(column, low, high))


def sums_and_means(column: Column, parts: list[Ints], counts: Ints) -> tuple[Floats, Floats]:
    """Return sums from their exact ``parts`` in the units of ``column.limbs``, and their means; NaN for no value.

    A sum that no double holds is NaN, its mean is not.
    """
    exponent = column.limbs.exponent
    sums = np.where(counts > 0, _scaled(column, together(exponent, parts), exponent, parts), np.nan)
    means, large = ratio(sums, counts), np.isinf(sums)
    if large.any():
        some = [part[large] for part in parts]
        means[large] = np.ldexp(together(exponent - _SPARE, some) / counts[large], _SPARE)
    return np.where(large, np.nan, sums), means


def _scaled(column: Column, sums: Floats, exponent: int, parts: list[Ints]) -> Floats:
    """Return sums of decimals as numbers, each rounded once: sums of many units are not exact as doubles."""
    if not column.scale:
        return sums
    numbers = column.unscaled(sums)
    for row in np.flatnonzero(np.abs(sums) > _EXACT).tolist():
        whole = sum(
            Fraction(int(part[row])) * Fraction(2) ** (exponent - _LIMB * at) for at, part in enumerate(parts, 1)
        )
        numbers[row] = _nearest(Fraction(whole) / 10**column.scale)
    return numbers


def divided(numbers: Floats, by: int) -> Floats:
    """Return quotients of whole numbers that are exact as doubles, each rounded once."""
    if by <= 10**22:  # the largest power of ten that is exact as a double
        return numbers / float(by)
    return np.array([number if math.isnan(number) else _nearest(Fraction(number) / by) for number in numbers.tolist()])


def together(exponent: int, sums: list[Ints]) -> Floats:
    """Return the numbers whose exact parts, of the units of ``Limbs``, are ``sums``; each is rounded once."""
    with np.errstate(over="ignore"):  # beyond the largest double a sum is infinite
        return _together(exponent, _carried(sums))


def _together(exponent: int, parts: list[Ints]) -> Floats:
    if len(parts) == 1:
        return np.ldexp(parts[0].astype(np.float64), exponent - _LIMB)
    if len(parts) == 2 and int(np.abs(parts[0]).max(initial=0)) < 2**32:
        return np.ldexp(((parts[0] << _LIMB) + parts[1]).astype(np.float64), exponent - 2 * _LIMB)
    sign = np.where(parts[0] < 0, -1, 1)
    head, *low = _carried([part * sign for part in parts])
    mask = (1 << _LIMB) - 1
    limbs = np.stack([head >> 2 * _LIMB, (head >> _LIMB) & mask, head & mask, *low, *[np.zeros_like(head)] * 2])
    first = np.minimum((limbs != 0).argmax(axis=0), len(limbs) - 3)
    rows = np.arange(limbs.shape[1])
    one, two, three = (limbs[first + offset, rows] for offset in range(3))
    # 60 bits from the first that is set, the last of them set too where any bit below is: so one rounding is enough
    bits = np.frexp(one.astype(np.float64))[1].astype(np.int64)
    below = (np.arange(len(limbs))[:, None] > first + 2) & (limbs != 0)
    more = below.any(axis=0) | ((three & ((1 << bits) - 1)) != 0)
    mantissa = ((((one << _LIMB) | two) << (_LIMB - bits)) | (three >> bits)) | more
    places = exponent + 2 * _LIMB - _LIMB * (first + 2) - (_LIMB - bits)
    rounded: Floats = sign * np.ldexp(mantissa.astype(np.float64), places)
    return rounded


def _carried(sums: list[Ints]) -> list[Ints]:
    """Return the same numbers with all parts but the first between 0 and 2**30."""
    parts = [part.copy() for part in sums]
    for index in range(len(parts) - 1, 0, -1):
        carry = parts[index] >> _LIMB
        parts[index] -= carry << _LIMB
        parts[index - 1] += carry
    return parts


def _nearest(number: Fraction) -> float:
    """Return the double that is nearest to a number, infinity beyond the largest."""
    try:
        return float(number)
    except OverflowError:
        return math.copysign(math.inf, number)


def _limbs(parts: Sequence[Floats]) -> Limbs:
    """Return the prefix sums of the sums of ``parts``, the first of which has the largest values."""
    _, bits = np.frexp(np.abs(parts[0]).max(initial=0.0))
    exponent = -(-int(bits) // _LIMB) * _LIMB
    split = [_whole_parts(part, exponent) for part in parts]
    levels = [[pieces[level] for pieces in split if level < len(pieces)] for level in range(max(map(len, split)))]
    return Limbs(exponent, tuple(_prefix(sum(level[1:], level[0])) for level in levels))


def _whole_parts(filled: Floats, exponent: int) -> list[Ints]:
    """Return values as integers of at most 30 bits, in the units of ``Limbs``."""
    tiny = _lost_by_scaling(filled, exponent - _LIMB)
    rest = np.ldexp(filled if tiny is None else np.where(tiny, 0.0, filled), _LIMB - exponent)
    parts: list[Ints] = []
    while True:
        if tiny is not None and len(parts) == exponent // _LIMB - 1:  # where the unit is 1
            rest, tiny = np.where(tiny, filled, rest), None
        whole = np.rint(rest)
        parts.append(whole.astype(np.int64))
        rest -= whole
        if tiny is None and not rest.any():
            return parts
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
    maxima = np.full(len(low), -np.inf)
    first, last = -(-low // _BLOCK), high // _BLOCK  # whole blocks inside the window
    whole = first < last
    levels = _doubling(padded.reshape(-1, _BLOCK).max(axis=1))
    width = np.where(whole, last - first, 1)
    level = np.frexp(width.astype(np.float64))[1] - 1
    for power in np.unique(level[whole]):
        at = np.flatnonzero(whole & (level == power))
        table = levels[power]
        maxima[at] = np.maximum(table[first[at]], table[last[at] - (1 << int(power))])
    for start, stop in ((low, np.where(whole, first * _BLOCK, high)), (np.where(whole, last * _BLOCK, high), high)):
        for step in range(int((stop - start).max(initial=0))):
            at = np.flatnonzero(start + step < stop)
            maxima[at] = np.maximum(maxima[at], padded[start[at] + step])
    return np.where(np.isneginf(maxima), np.nan, maxima)


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
    known = column.codes[column.known]
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
