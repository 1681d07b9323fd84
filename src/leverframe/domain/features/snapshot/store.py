"""What a store of a snapshot answers: three methods, whatever holds the rows.

Each key of a table owns a contiguous range of rows. ``Matches`` tells the ranges of the asked keys
and gives the columns that the ranges point into, without copying them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from leverframe.domain.features.windows import divided
from leverframe.errors import SnapshotError, nearest

Array = npt.NDArray[Any]
Keys = Sequence[Sequence[Any] | Array]


@dataclass(frozen=True)
class SnapshotInfo:
    """What a snapshot is of.

    ``spec`` is the hash of star.yaml and compiler. ``as_of`` is in microseconds since the epoch:
    what became known before that timestamp is inside. ``attributes`` is small JSON of the caller.
    """

    spec: str
    as_of: int
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """What is to be written: key columns and other columns, one value a row.

    Keys are whole numbers, doubles, bools or texts; no key column means one key for all rows. A row with a null
    in its key is left out, because nobody can ask for it. Rows of a key keep the order given.
    """

    name: str
    keys: Mapping[str, Array]
    columns: Mapping[str, Array | Decimals]


class WordTable:
    """The texts of a dictionary, decoded one by one from the bytes where they lie."""

    def __init__(self, ends: Array, content: Array) -> None:
        self.ends = ends
        self.content = content

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, code: int) -> str:
        piece: bytes = self.content[self.ends[code] : self.ends[code + 1]].tobytes()
        return piece.decode("utf-8", "surrogatepass")


class Texts:
    """A column of texts: codes into a dictionary, -1 for null.

    An index of one row gives a text or None, any other index an array of them.
    """

    def __init__(self, codes: Array, words: WordTable) -> None:
        self.codes = codes
        self.words = words

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> Any:
        codes = self.codes[rows]
        if np.ndim(codes) == 0:
            return self.words[codes] if codes >= 0 else None
        texts = np.empty(len(codes), object)
        texts[:] = [self.words[code] if code >= 0 else None for code in codes.tolist()]
        return texts


@dataclass(frozen=True)
class Decimals:
    """A column of decimals: whole numbers of their last digit, masked where null, and the digits after the point."""

    units: Any
    scale: int

    def __len__(self) -> int:
        return len(self.units)

    def __getitem__(self, rows: Any) -> Decimals:
        return Decimals(self.units[rows], self.scale)

    def numbers(self) -> Any:
        """Return the nearest doubles, masked where null."""
        whole = np.ma.getdata(self.units).astype(np.float64)
        return np.ma.MaskedArray(divided(whole, 10**self.scale), mask=np.ma.getmaskarray(self.units))


@dataclass(frozen=True)
class Column:
    """Where a column lies: its kind, its block and place there, and where its nulls are marked.

    ``kind`` is ``float32``, ``float64``, ``int32``, ``int64``, ``uint64``, ``bool`` or ``text``. The nulls of
    floats are NaN and those of texts code -1; other kinds have a column of the block ``bool``. ``scale`` is
    how many digits of a decimal, which is kept as a whole number, stand after the point.
    """

    kind: str
    at: int
    nulls: int | None = None
    scale: int | None = None

    @property
    def block(self) -> str:
        """Return the name of the block that holds the values."""
        return "int32" if self.kind == "text" else self.kind


@dataclass(frozen=True)
class Rows:
    """The rows of a table in memory: one matrix a type, and where each column lies in them."""

    table: str
    count: int
    unique: bool  # no key has more than one row
    columns: Mapping[str, Column]
    blocks: Mapping[str, Array]
    words: Mapping[str, WordTable]
    _places: dict[tuple[str, ...], tuple[str, Array | None] | None] = field(default_factory=dict)

    def column(self, name: str) -> Any:
        """Return a column over all rows, as a view."""
        where = self.where(name)
        values = self.blocks[where.block][:, where.at]
        if where.kind == "text":
            return Texts(values, self.words[name])
        if where.nulls is not None:
            values = np.ma.MaskedArray(values, mask=self.blocks["bool"][:, where.nulls], copy=False)
        return values if where.scale is None else Decimals(values, where.scale)

    def where(self, name: str) -> Column:
        """Return where a column lies; raises ``SnapshotError`` for a name that the table does not have."""
        if name not in self.columns:
            raise SnapshotError(
                f"table `{self.table}` of the snapshot has no column `{name}`",
                why="it was not among the columns when the snapshot was built",
                next=nearest(name, self.columns),
            )
        return self.columns[name]

    def place(self, names: tuple[str, ...]) -> tuple[str, Array | None] | None:
        """Return the one block of floats that holds all of ``names`` and their places, None for all of it in order."""
        if names not in self._places:
            self._places[names] = self._placed(names or tuple(self.columns))
        return self._places[names]

    def _placed(self, names: tuple[str, ...]) -> tuple[str, Array | None] | None:
        where = [self.where(name) for name in names]
        blocks = {column.block for column in where}
        if len(blocks) != 1 or not blocks <= {"float32", "float64"}:
            return None
        (block,) = blocks
        places = [column.at for column in where]
        whole = places == list(range(self.blocks[block].shape[1]))
        return block, None if whole else np.array(places)


class Matches:
    """The answer for n asked keys: rows ``start[i]`` to ``stop[i]`` of the columns belong to key i.

    Where both are equal the key is unknown or has a null.
    """

    __slots__ = ("_rows", "start", "stop")

    def __init__(self, start: Array, stop: Array, rows: Rows) -> None:
        self.start = start
        self.stop = stop
        self._rows = rows

    @property
    def rows(self) -> Rows:
        """Return all rows that the ranges point into."""
        return self._rows

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return tuple(self._rows.columns)

    def column(self, name: str) -> Any:
        """Return the column that ``start`` and ``stop`` point into: an array, or ``Texts``.

        Nulls are NaN for floats, masked for integers and bools that have any, None for texts.
        """
        return self._rows.column(name)

    def repeated(self, count: int) -> Matches:
        """Return the answer for one key as that for ``count`` equal ones."""
        return Matches(np.repeat(self.start, count), np.repeat(self.stop, count), self._rows)

    def take(self, names: Sequence[str] = ()) -> dict[str, Any]:
        """Return the columns' values of the asked keys, all columns unless some are named.

        Integers and bools come masked, floats with NaN, texts with None, where the key is unknown
        or the value null. Raises ``SnapshotError`` where a key may have several rows.
        """
        missing = self._missing()
        return {name: self._taken(name, missing) for name in names or self._rows.columns}

    def matrix(self, names: Sequence[str] = ()) -> Array:
        """Return the values of the asked keys as floats, one row a key, NaN for unknown and null.

        Columns of one float type give a matrix of that type in a single step; anything else is
        float64. Raises ``SnapshotError`` where a key may have several rows.
        """
        rows = self._rows
        place = rows.place(tuple(names))
        missing = self._missing()
        if place is None or not rows.count:
            taken = self.take(names).values()
            return np.stack([np.ma.filled(np.ma.asarray(column, float), np.nan) for column in taken], axis=1)
        block, places = place
        values = rows.blocks[block].take(self.start, axis=0)
        if missing is not None:
            values[missing] = np.nan
        return values if places is None else values[:, places]

    def _missing(self) -> Array | None:
        """Return which keys were not found, None if all were."""
        if not self._rows.unique:
            raise SnapshotError(
                f"table `{self._rows.table}` has several rows a key",
                why="a value a key exists only where every key has one row",
                next="use `start`, `stop` and `column` of the answer, and choose among the rows of a key",
            )
        missing: Array = self.start == self.stop
        return missing if missing.any() else None

    def _taken(self, name: str, missing: Array | None) -> Any:
        rows = self._rows
        where = rows.where(name)
        values = _take(rows.blocks[where.block][:, where.at], self.start)
        if where.kind == "text":
            return Texts(values if missing is None else np.where(missing, -1, values), rows.words[name])[:]
        if where.kind.startswith("float"):
            if missing is not None:
                values[missing] = np.nan
            return values
        mask = np.zeros(len(self.start), bool) if missing is None else missing
        if where.nulls is not None:
            mask = mask | _take(rows.blocks["bool"][:, where.nulls], self.start)
        masked: Any = np.ma.MaskedArray(values, mask=mask)
        return masked if where.scale is None else Decimals(masked, where.scale).numbers()


class Store(Protocol):
    """A snapshot that can be asked for rows by key."""

    def about(self) -> SnapshotInfo:
        """Return what the snapshot is of."""

    def find(self, table: str, keys: Keys) -> Matches:
        """Return the rows of the asked keys: one sequence a key column, n values each.

        A table without key columns is asked with no sequence and answers for one key.
        """

    def close(self) -> None:
        """Let go of the file or connection."""


def _take(values: Array, at: Array) -> Array:
    return values.take(at) if len(values) else np.zeros(len(at), values.dtype)
