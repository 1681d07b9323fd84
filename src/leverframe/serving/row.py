"""Features of one row at a time, without arrays: for a single request they would take longer than the model.

What `domain.features.vectors` computes for many rows at once is read here from prefixes that are made
when the bundle is opened: two searches in a key's timestamps, then a difference a window. The numbers are the
same to the last bit (property tests over every verb); steps that have no short way take the long one.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.features.online import AT, EPOCH, attribute_since, table_of
from leverframe.domain.features.plan import Aggregate, AsOfLookup, Lookup, Plan, Step, Windows
from leverframe.domain.features.request import PARTS, required
from leverframe.domain.features.snapshot.keys import Index
from leverframe.domain.features.snapshot.store import Decimals, Rows, SnapshotInfo, Texts
from leverframe.domain.features.values import numbers
from leverframe.domain.features.windows import Column as Summed

_LIMB, _SPARE = 30, 128  # bits, as in the kernel of many rows
_SMALL = 4_000_000  # rows of a step up to which its prefixes are kept in memory, about 60 bytes a row and column

Value = float | str | None
Reader = Callable[[int], Value]  # a row of a table to a value, None or NaN where there is none
Window = Callable[[int, int], Value]  # a range of rows to an aggregate


class Parts(Protocol):
    """A snapshot whose tables lie in parts, the newest first."""

    def about(self) -> SnapshotInfo:
        """Return what it is of."""

    def parts(self, table: str) -> list[tuple[Index, Rows]]:
        """Return how the keys of each part are found, and its rows."""


@dataclass(frozen=True)
class _Part:
    """A part of a step's table: how a key is found, and how features are read of its rows: start, stop, timestamp."""

    rows: Rows
    find: Callable[[Sequence[Any]], tuple[int, int]]
    read: Callable[[int, int, int], list[Value]]


@dataclass(frozen=True)
class _Step:
    """A step made ready: how its key is found, and how its features are read from the rows of the key."""

    table: str
    key: tuple[str, ...]
    outputs: tuple[str, ...]
    parts: tuple[_Part, ...]  # the newest that has the key has its rows

    def take(self, key: Sequence[Any], as_of: int, missed: list[str]) -> list[Value]:
        """Return the features of a key; a table that does not have it is added to ``missed``."""
        for part in self.parts:
            start, stop = part.find(key)
            if start < stop:
                return part.read(start, stop, as_of)
        missed.append(self.table)
        return self.parts[-1].read(0, 0, as_of)


class RowByRow:
    """Looks up the features of single requests in a snapshot; ``fits`` tells whether every step has the fast path."""

    def __init__(self, plan: Plan, store: Parts, before: RowByRow | None = None) -> None:
        """Prepare every part of ``store``, but for those that ``before`` has prepared."""
        self._plan = plan
        self._since = attribute_since(store.about().attributes)
        self._zone = ZoneInfo(plan.timezone) if plan.timezone and plan.calendar else None
        self._required = frozenset(required(plan))
        self._features = plan.features()
        self.fits = all(_short(step, store) for step in plan.steps)
        known = before._steps if before else []
        ready = {(step.outputs, id(part.rows)): part for step in known for part in step.parts}
        self._steps: list[_Step] = [_ready(step, store, ready) for step in plan.steps] if self.fits else []

    def vector(self, fields: Mapping[str, Any], as_of: int, missed: list[str]) -> dict[str, Value] | None:
        """Return the features of one row, None where only the batch path can predict, or say why it cannot.

        ``fields`` are plain values, None for null, ``as_of`` microseconds since the epoch; tables that do not
        have the key are added to ``missed``.
        """
        if not self.fits or as_of < self._since or not self._required <= fields.keys():
            return None
        made: dict[str, Value] = {**fields}
        if self._zone is not None:
            local = (EPOCH + timedelta(microseconds=as_of) + self._plan.lead_time).astimezone(self._zone)
            made |= {part: PARTS[part](local) for part in self._plan.calendar}
        known = dict(made)
        for step in self._steps:
            if all(name in fields for name in step.outputs):
                continue
            values = step.take([known[name] for name in step.key], as_of, missed)
            made.update(zip(step.outputs, values, strict=True))
        made.update((name, value) for name, value in fields.items() if name in made)
        return {name: made[name] for name in self._features}


def _short(step: Step, store: Parts) -> bool:
    """Tell whether a step can be read row by row: events that rows see one by one, and huge tables, cannot."""
    count = sum(rows.count for _, rows in store.parts(table_of(step)))
    return not isinstance(step, Windows) or (not step.by_version and count <= _SMALL)


def _ready(step: Step, store: Parts, known: Mapping[tuple[tuple[str, ...], int], _Part]) -> _Step:
    outputs = tuple(step.outputs())
    parts = [known.get((outputs, id(rows))) or _part(step, index, rows) for index, rows in store.parts(table_of(step))]
    return _Step(table_of(step), step.key.spine, outputs, tuple(parts))


def _part(step: Step, index: Index, rows: Rows) -> _Part:
    if isinstance(step, Windows):
        read = _windows(step, rows)
    elif isinstance(step, AsOfLookup):
        read = _as_of(step, rows)
    else:
        read = _lookup(step, rows)
    return _Part(rows, index.one, read)


def _lookup(step: Lookup, rows: Rows) -> Callable[[int, int, int], list[Value]]:
    readers = [_reader(rows, name) for name in step.columns]
    nothing: list[Value] = [None] * len(readers)

    def read(start: int, stop: int, _: int) -> list[Value]:
        return nothing if start == stop else [reader(start) for reader in readers]

    return read


def _as_of(step: AsOfLookup, rows: Rows) -> Callable[[int, int, int], list[Value]]:
    readers = [_reader(rows, name) for name in step.columns]
    nothing: list[Value] = [None] * len(readers)
    at, tolerance = _view(rows.column(AT)), _microseconds(step.tolerance)

    def read(start: int, stop: int, as_of: int) -> list[Value]:
        where = bisect_left(at, as_of, start, stop) - 1
        if where < start or at[where] < as_of - tolerance:
            return nothing
        return [reader(where) for reader in readers]

    return read


def _windows(step: Windows, rows: Rows) -> Callable[[int, int, int], list[Value]]:
    at = _view(rows.column(AT))
    columns = {name: numbers(rows.column(name)) for name in {aggregate.column for aggregate in step.aggregates}}
    backs = sorted({aggregate.window for aggregate in step.aggregates})
    lengths = [_microseconds(back) for back in backs]
    asked = [
        (backs.index(aggregate.window), _window(aggregate, columns[aggregate.column], rows))
        for aggregate in step.aggregates
    ]

    def read(start: int, stop: int, as_of: int) -> list[Value]:
        high = bisect_left(at, as_of, start, stop)
        lows = [bisect_left(at, as_of - length, start, high) for length in lengths]
        return [window(lows[number], high) for number, window in asked]

    return read


def _window(what: Aggregate, column: Summed, rows: Rows) -> Window:
    """Return how one aggregate is read from a range of rows."""
    rank = _view(column.rank)

    def count(low: int, high: int) -> float:
        return float(rank[high] - rank[low])

    match what.function:
        case "count":
            return count
        case "sum" | "mean":
            total, mean = _total(column), what.function == "mean"

            def summed(low: int, high: int) -> float:
                known = rank[high] - rank[low]
                if not known:
                    return math.nan
                value = total(low, high, 0)
                if math.isinf(value):  # no double holds the sum, but its mean
                    return math.ldexp(total(low, high, _SPARE) / known, _SPARE) if mean else math.nan
                return value / known if mean else value

            return summed
        case "share_above":
            above = _view(column.above(what.threshold or 0.0))

            def share(low: int, high: int) -> float:
                known = rank[high] - rank[low]
                return (above[high] - above[low]) / known if known else math.nan

            return share
        case "last":
            newest = _view(np.maximum.accumulate(np.where(column.known, np.arange(len(column.known)), -1)))
            reader = _reader(rows, what.column)

            def last(low: int, high: int) -> Value:
                where = newest[high - 1] if high else -1
                return reader(where) if where >= low else None

            return last
        case _:
            return _over(what.function, column)


def _over(function: str, column: Summed) -> Window:
    """Return the aggregates that look at every value of the window."""
    codes, known = column.codes, column.known
    shown = column.unscaled(column.values)

    def over(low: int, high: int) -> float:
        inside = known[low:high]
        if function == "distinct":
            return float(len(np.unique(codes[low:high][inside])))
        values = shown[low:high][inside]
        if not len(values):
            return math.nan
        return float(values.min() if function == "min" else values.max())

    return over


def _total(column: Summed) -> Callable[[int, int, int], float]:
    """Return how the exact sum of a range, divided by a power of two, is put together and rounded once."""
    prefixes = [_view(prefix) for prefix in column.limbs.prefixes]
    exponent, units = column.limbs.exponent - _LIMB * len(prefixes), 10**column.scale

    def total(low: int, high: int, down: int) -> float:
        number = 0
        for prefix in prefixes:
            number = (number << _LIMB) + prefix[high] - prefix[low]
        power = exponent - down
        try:  # a quotient of whole numbers is rounded once
            return float((number << power) / units if power >= 0 else number / (units << -power))
        except OverflowError:
            return math.copysign(math.inf, number)

    return total


def _reader(rows: Rows, name: str) -> Reader:
    """Return how a column is read: numbers as floats, texts as they are, None for null."""
    where = rows.where(name)
    column = rows.column(name)
    if isinstance(column, Texts):
        codes, words = _view(column.codes), column.words

        def text(row: int) -> Value:
            code = codes[row]
            return words[code] if code >= 0 else None

        return text
    if isinstance(column, Decimals):
        column = column.numbers()
    values = _view(np.ma.getdata(column))
    if where.nulls is None:
        return lambda row: float(values[row])
    missing = _view(rows.blocks["bool"][:, where.nulls])
    return lambda row: None if missing[row] else float(values[row])


def _view(values: NDArray[Any]) -> Any:
    """Return an array whose items are read one by one, in a fifth of the time that numpy takes for it."""
    return values.data


def _microseconds(length: timedelta) -> int:
    return length // timedelta(microseconds=1)
