"""Into which bins a column's values fall: fixed once by the reference, so that every window is a few counts.

Numbers fall between quantiles of the reference, numbers of few values and texts into a bin a value. What is stored
says nothing of single rows: an edge lies between two values, and a value is named only if ``SHARED`` rows have it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from leverframe.domain.monitoring.batch import Floats, Ints, Levels, Numbers, Values
from leverframe.domain.monitoring.monitored_column import MonitoredColumn

BINS = 100
SHARED = 10  # rows that share a value before its name is stored
_DISCRETE = 20  # a column of at most as many numbers is compared value by value
_FREQUENT, _FREQUENT_SHARE = 50, 0.005  # levels with a bin of their own
_KNOWN = 200  # levels that are named at all

Form = Literal["quantiles", "numbers", "levels"]


@dataclass(frozen=True)
class Counts:
    """Rows of a column in a window: ``bins`` of shape (bins,) hold those with a value.

    ``missing`` have none, ``unreadable`` one of another type; ``new`` of those in the bins have a value that the
    reference does not name. ``total`` is the sum of finite numbers.
    """

    bins: Ints
    missing: int = 0
    unreadable: int = 0
    new: int = 0
    total: float = 0.0

    @property
    def known(self) -> int:
        """The number of rows with a value."""
        return int(self.bins.sum())

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.known + self.missing + self.unreadable

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.bins + other.bins,
            self.missing + other.missing,
            self.unreadable + other.unreadable,
            self.new + other.new,
            self.total + other.total,
        )


@dataclass(frozen=True)
class Binning:
    """The bins of a column.

    ``quantiles``: bin i holds numbers in (edges[i - 1], edges[i]]. ``numbers``: one bin each of the ``edges``, which
    are values, and one each below, between and above them, in order. ``levels``: the first ``frequent`` of ``names``
    have a bin each, and the last bin holds every other text. A number where texts were is new, a text where numbers
    were unreadable.
    """

    form: Form
    edges: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    frequent: int = 0

    @property
    def size(self) -> int:
        """The number of bins."""
        return {
            "quantiles": len(self.edges) + 1,
            "numbers": 2 * len(self.edges) + 1,
            "levels": self.frequent + 1,
        }[self.form]

    @property
    def ordered(self) -> bool:
        """Whether bins have an order, as those of numbers do."""
        return self.form != "levels"

    def empty(self) -> Counts:
        """Return the counts of no row."""
        return Counts(np.zeros(self.size, np.int64))

    def counts(self, values: Values) -> Counts:
        """Return the rows in each bin."""
        if isinstance(values, Numbers):
            return self._of_numbers(values) if self.ordered else self._of_strangers(values)
        return self._of_levels(values)

    def places(self) -> Floats:
        """Return a number that stands for each bin, shape (bins,); only for ordered bins."""
        edges = np.array(self.edges, np.float64)
        if not len(edges):
            return np.zeros(1)
        inner = edges[:-1] / 2 + edges[1:] / 2
        if self.form == "quantiles":
            return np.concatenate([edges[:1], inner, edges[-1:]])
        places = np.empty(self.size)
        places[1::2], places[2:-1:2], places[0], places[-1] = edges, inner, edges[0], edges[-1]
        return places

    def halved(self) -> Binning:
        """Return bins of half the number where there are many."""
        return Binning(self.form, self.edges[1::2]) if self.form == "quantiles" and len(self.edges) > 1 else self

    def _of_numbers(self, values: Numbers) -> Counts:
        given = values.values
        gaps = int(np.isnan(given).sum())
        edges = np.array(self.edges, np.float64)
        indices = np.searchsorted(edges, given)  # NaN comes last
        if self.form == "numbers":
            exact = edges[np.minimum(indices, len(edges) - 1)] == given
            indices = 2 * indices + exact
        bins = np.bincount(indices, minlength=self.size).astype(np.int64)
        bins[-1] -= gaps
        new = int(bins[::2].sum()) if self.form == "numbers" else 0
        with np.errstate(over="ignore", invalid="ignore"):
            total = float(given.sum(where=np.isfinite(given)))
        return Counts(bins, gaps - values.unreadable, values.unreadable, new, total)

    def _of_strangers(self, values: Numbers) -> Counts:
        missing = int(np.isnan(values.values).sum()) - values.unreadable
        bins = np.zeros(self.size, np.int64)
        bins[-1] = len(values.values) - missing
        return Counts(bins, missing, 0, int(bins[-1]))

    def _of_levels(self, values: Levels) -> Counts:
        by_code = np.bincount(values.codes + 1, minlength=len(values.names) + 1)
        missing, rows = int(by_code[0]), by_code[1:]
        if self.ordered:
            return Counts(np.zeros(self.size, np.int64), missing, int(rows.sum()))
        place = {name: number for number, name in enumerate(self.names)}
        where = np.array([place.get(name, len(place)) for name in values.names], np.int64)
        bins = np.bincount(np.minimum(where, self.frequent), weights=rows, minlength=self.size).astype(np.int64)
        return Counts(bins, missing, 0, int(rows[where == len(place)].sum()))


def binnings(columns: Sequence[MonitoredColumn], sample: Mapping[str, Values]) -> dict[str, Binning]:
    """Return the bins of each column, from rows of the reference, of which ``sample`` may lack columns."""
    return {column.name: binning(column, sample.get(column.name)) for column in columns}


def binning(column: MonitoredColumn, values: Values | None) -> Binning:
    """Return the bins of one column; a column without values has one bin."""
    numbers = column.kind in ("numeric", "discrete")
    if isinstance(values, Levels) and not numbers:
        return _by_level(values, text=column.kind == "text")
    if isinstance(values, Numbers) and numbers:
        return _by_number(values.values[np.isfinite(values.values)])
    return Binning("quantiles" if numbers else "levels")


def _by_level(values: Levels, *, text: bool) -> Binning:
    rows = np.bincount(values.codes[values.codes >= 0], minlength=len(values.names))
    order = sorted(range(len(rows)), key=lambda code: (-rows[code], values.names[code]))[:_KNOWN]
    known = [code for code in order if rows[code] >= SHARED]
    total = int(rows.sum())
    frequent = [code for code in known[:_FREQUENT] if rows[code] >= _FREQUENT_SHARE * total]
    return Binning("levels", (), tuple(values.names[code] for code in known), 0 if text else len(frequent))


def _by_number(given: Floats) -> Binning:
    values, rows = np.unique(given, return_counts=True)
    shared = values[rows >= SHARED]
    if 0 < len(values) <= _DISCRETE and len(shared):
        return Binning("numbers", tuple(shared.tolist()))
    below = np.cumsum(rows)[:-1]  # rows up to each value but the last: between it and the next may lie an edge
    size = max(1, min(BINS, len(given) // SHARED))
    wanted = len(given) * np.arange(1, size) / size
    cuts = np.unique(np.minimum(np.searchsorted(below, wanted), max(0, len(below) - 1))) if len(below) else []
    return Binning("quantiles", tuple(_between(float(values[cut]), float(values[cut + 1])) for cut in cuts))


def _between(low: float, high: float) -> float:
    """Return a short number that is at least ``low`` and less than ``high``."""
    middle = low / 2 + high / 2
    for digits in range(3, 17):
        short = float(f"{middle:.{digits}g}")
        if low <= short < high:
            return short
    return low
