"""What git keeps of a table beside its profile, so that two revisions can be compared without their data.

A sketch holds no row and no value: sums (exclusive or) of hashes, from which the rows that differ
between two sketches can be counted, and how many values of a column fall into each bin.
"""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from leverframe.domain.data.statistics import ColumnStatistics, Kind

VERSION = 3  # of the form in git; another one cannot be compared with it
TABLES_OF_CELLS = 6  # each element stands in one cell of each; two hardly ever share them all, which none could tell
CELLS = (40, 20, 10)  # cells of each table: of the first stratum, of the second, of each further one; each folds
# into the next, so that sketches of few and of many rows can be compared
STRATA = 24  # at most; half of the keys are in the first, a quarter in the second, and so on
ROW_BITS, CHECK_BITS = 24, 16
HASHES = 1 << 64  # sums of hashes are kept modulo their number
TEXT_BINS = 32
_LAST_STRATUM = 8  # rows expected in the last stratum: few enough to be told even when all of them change
_COUNT, _ELEMENT, _CHECK = 1, 8, 2  # bytes of a cell
_CELL = _COUNT + _ELEMENT + _CHECK
_CENTRE, _BESIDE = 32, 16  # most bins between the 5 % and the 95 % quantile, and on each side of them
_FINEST = 40  # bits by which a bin may be narrower than its values are large


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: the number of its elements modulo 256, and the exclusive or of them and of their checks."""

    count: int = 0
    element: int = 0
    check: int = 0


Stratum = tuple[Cell, ...]


@dataclass(frozen=True)
class Sketch:
    """The rows of a table as strata of cells; ``sizes`` are the rows of each stratum.

    ``key`` names the columns that tell rows apart; without any the whole row does. ``keys`` are the sums of the keys'
    hashes in each stratum modulo 2 ** 64: equal sums mean equal keys, however many rows changed.
    """

    key: tuple[str, ...]
    sizes: tuple[int, ...]
    keys: tuple[int, ...]
    strata: tuple[Stratum, ...]

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return sum(self.sizes)

    def to_json(self) -> dict[str, Any]:
        """Return the sketch as plain values, the cells as one text in base 85."""
        cells = b"".join(
            (cell.count % 256).to_bytes(_COUNT) + cell.element.to_bytes(_ELEMENT) + cell.check.to_bytes(_CHECK)
            for stratum in self.strata
            for cell in stratum
        )
        return {
            "version": VERSION,
            "key": list(self.key),
            "strata": " ".join(map(str, self.sizes)),
            "keys": " ".join(f"{key:x}" for key in self.keys),
            "cells": base64.b85encode(cells).decode(),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Sketch:
        """Return the sketch that ``to_json`` wrote; raises ``ValueError`` or ``KeyError`` for anything else."""
        sizes = tuple(int(size) for size in content["strata"].split())
        keys = tuple(int(digits, 16) for digits in content["keys"].split())
        data = base64.b85decode(content["cells"])
        wanted = [cells(number) * TABLES_OF_CELLS for number in range(len(sizes))]
        if content["version"] != VERSION or len(keys) != len(sizes) or len(data) != sum(wanted) * _CELL:
            raise ValueError("the cells are not those of the strata")
        read = iter([_cell(data[at : at + _CELL]) for at in range(0, len(data), _CELL)])
        return cls(tuple(content["key"]), sizes, keys, tuple(tuple(next(read) for _ in range(n)) for n in wanted))


def _cell(data: bytes) -> Cell:
    element = int.from_bytes(data[_COUNT : _COUNT + _ELEMENT])
    return Cell(data[0], element, int.from_bytes(data[_COUNT + _ELEMENT :]))


def cells(stratum: int) -> int:
    """Return the cells of each of the tables of a stratum."""
    return CELLS[min(stratum, len(CELLS) - 1)]


def strata(rows: int) -> int:
    """Return how many strata a table of ``rows`` rows gets."""
    return min(STRATA, 1 + max(0, math.ceil(rows / _LAST_STRATUM) - 1).bit_length())


def places(element: int, size: int) -> tuple[int, tuple[int, ...]]:
    """Return the check of an element and its cells, one in each table of ``size`` cells, numbered through."""
    digest = hashlib.md5(str(element).encode(), usedforsecurity=False).digest()
    check, *spots = struct.unpack_from(f"<{1 + TABLES_OF_CELLS}H", digest)
    return check, tuple(table * size + spot % size for table, spot in enumerate(spots))


@dataclass(frozen=True)
class Grid:
    """The bins of a column: of numbers they are ``2 ** exponent`` wide and begin at multiples of that.

    Two grids of one column fit together whatever their widths, as a wide bin is the sum of narrow
    ones. ``first`` and ``last`` number the bins between the tails.
    """

    kind: Kind
    exponent: int = 0
    first: int = 0
    last: int = -1

    @property
    def bins(self) -> int:
        """Return the number of counts: of numbers both tails included, of truths no and yes."""
        return {"number": self.last - self.first + 3, "text": TEXT_BINS, "boolean": 2}.get(self.kind, 0)


@dataclass(frozen=True)
class Distribution:
    """How many values are in each bin; nulls are in none."""

    grid: Grid
    counts: tuple[int, ...]

    def to_json(self) -> str:
        """Return the distribution as one line."""
        grid = self.grid
        bins = f" {grid.exponent} {grid.first}" if grid.kind == "number" else ""
        return f"{grid.kind}{bins} | {' '.join(map(str, self.counts))}"

    @classmethod
    def from_json(cls, text: str) -> Distribution:
        """Return the distribution that ``to_json`` wrote; raises ``ValueError`` for anything else."""
        head, _, tail = text.partition("|")
        kind, *bins = head.split()
        counts = tuple(int(count) for count in tail.split())
        if kind == "number":
            exponent, first = (int(number) for number in bins)
            return cls(Grid("number", exponent, first, first + len(counts) - 3), counts)
        if kind not in ("text", "boolean") or bins:
            raise ValueError(f"no bins are known for `{kind}`")
        return cls(Grid("text" if kind == "text" else "boolean"), counts)


def grid(column: ColumnStatistics) -> Grid | None:
    """Return the bins for a column, from its own quantiles; None for times and what has no value."""
    if column.kind in ("text", "boolean"):
        return Grid(column.kind)
    if column.kind != "number" or not column.quantiles:
        return None
    low, high = float(column.quantiles[0]), float(column.quantiles[-1])
    least, most = float(column.minimum or 0.0), float(column.maximum or 0.0)
    # Halves, as the distance of two doubles may be none.
    halves = (high / 2 - low / 2, most / 2 - least / 2, abs(high) / 2 / _CENTRE)
    spread = next((half for half in halves if half > 0), 0.5)
    exponent = max(1 + _ceil_log2(spread / _CENTRE), _ceil_log2(max(abs(low), abs(high), 1e-300)) - _FINEST)
    width = math.ldexp(1.0, exponent)
    first = max(math.floor(low / width) - _BESIDE, math.floor(max(least / width, -1e300)))
    last = min(math.floor(high / width) + _BESIDE, math.floor(min(most / width, 1e300)))
    return Grid("number", exponent, first, max(first, last))


def _ceil_log2(number: float) -> int:
    if not math.isfinite(number):
        return 1000
    fraction, exponent = math.frexp(number)
    return max(-1000, exponent - 1 if fraction == 0.5 else exponent)


class Sketcher(Protocol):
    """Sums up a table for comparisons to come."""

    def sketch(self, path: Path, key: Sequence[str]) -> Sketch:
        """Return the sketch of a table; columns of ``key`` that it lacks leave the whole row as the key."""
        ...

    def distributions(self, path: Path, grids: Mapping[str, Grid]) -> dict[str, Distribution]:
        """Return how the values of each column fall into its bins."""
        ...


def summed(sketcher: Sketcher, path: Path, key: Sequence[str], columns: Sequence[ColumnStatistics]) -> dict[str, Any]:
    """Return what git keeps of a table beside its profile, as plain values."""
    grids = {column.name: bins for column in columns if (bins := grid(column)) is not None}
    counted = sketcher.distributions(path, grids)
    return sketcher.sketch(path, key).to_json() | {"columns": {name: counted[name].to_json() for name in grids}}
