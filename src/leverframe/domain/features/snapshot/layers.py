"""A snapshot in layers: a base, and above it newer rows of the keys that changed since.

A layer holds all rows of its keys, so the newest layer that has a key has its rows; one that replaces a
table as a whole hides what lies below. Every question is answered from one immutable list of layers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from leverframe.domain.features.snapshot.arrange import Arranged, dictionary
from leverframe.domain.features.snapshot.keys import Index
from leverframe.domain.features.snapshot.store import Array, Column, Keys, Matches, Rows, SnapshotInfo, WordTable
from leverframe.errors import SnapshotError, nearest

Part = tuple[Index, Rows]


class Layer(Protocol):
    """Tables in memory."""

    def names(self) -> list[str]:
        """Return the names of the tables."""

    def table(self, table: str) -> Part:
        """Return how the keys of a table are found, and its rows."""


class Layered:
    """The ``Store`` port over ``layers``, the newest first, each with the tables that it replaces as a whole."""

    def __init__(self, about: SnapshotInfo, layers: Sequence[tuple[Layer, Collection[str]]]) -> None:
        self._about = about
        self._parts: dict[str, list[Part]] = {}
        hidden: set[str] = set()
        for layer, whole in layers:
            for name in layer.names():
                if name not in hidden:
                    self._parts.setdefault(name, []).append(layer.table(name))
            hidden |= set(whole)

    def about(self) -> SnapshotInfo:
        """Return what the snapshot is of."""
        return self._about

    def parts(self, table: str) -> list[Part]:
        """Return the parts of a table, the newest first; raises ``SnapshotError`` where there is none."""
        try:
            return self._parts[table]
        except KeyError:
            raise SnapshotError(
                f"the online store has no table `{table}`",
                why="it was not among the tables when the store was written, or the store is closed",
                next=nearest(table, self._parts) if self._parts else "`leverframe materialize --full` writes it anew",
            ) from None

    def find(self, table: str, keys: Keys) -> Matches:
        """Return the rows of the asked keys, each from the newest part that has it."""
        parts = self.parts(table)
        ranges = [index.find(keys) for index, _ in parts]
        taken = np.full(len(ranges[0][0]), len(parts) - 1)
        for number in reversed(range(len(parts) - 1)):
            start, stop = ranges[number]
            taken[start < stop] = number
        used = np.unique(taken).tolist() or [len(parts) - 1]
        if len(used) == 1:
            start, stop = ranges[used[0]]
            return Matches(start, stop, parts[used[0]][1])
        return together([(*ranges[number], taken == number, parts[number][1]) for number in used])

    def close(self) -> None:
        """Let go of the layers; answers that are in use keep theirs."""
        self._parts = {}


def fits(above: Arranged, below: Part) -> bool:
    """Tell whether rows can lie above others: keys of the same kinds, and columns of the same types."""
    index, rows = below
    ours, theirs = (
        {name: (column.kind, column.scale) for name, column in side.columns.items()} for side in (above.rows, rows)
    )
    return above.index.kinds == index.kinds and ours == theirs


@dataclass(frozen=True)
class _Picked:
    """Some rows of a part."""

    rows: Rows
    at: Array


def together(pieces: Sequence[tuple[Array, Array, Array, Rows]]) -> Matches:
    """Return ranges over the rows of several parts, copied one after another; each range once."""
    picked, total = [], 0
    start, stop = np.zeros(len(pieces[0][0]), np.int64), np.zeros(len(pieces[0][0]), np.int64)
    for first, last, chosen, rows in pieces:
        mine = chosen & (first < last)
        begins, which = np.unique(first[mine], return_inverse=True)
        ends = np.zeros(len(begins), np.int64)
        ends[which] = last[mine]
        sizes = ends - begins
        places = np.cumsum(sizes) - sizes
        at = np.arange(sizes.sum()) + np.repeat(begins - places, sizes)
        start[mine] = total + places[which]
        stop[mine] = start[mine] + sizes[which]
        picked.append(_Picked(rows, at))
        total += len(at)
    return Matches(start, stop, _joined(picked, total))


def _joined(picked: Sequence[_Picked], total: int) -> Rows:
    """Return the picked rows as one table; nulls get marks wherever a part has some."""
    first = picked[0].rows
    blocks: dict[str, list[Array]] = {}
    columns: dict[str, Column] = {}
    words: dict[str, WordTable] = {}
    for name, column in first.columns.items():
        parts = [piece.rows.blocks[column.block][:, piece.rows.columns[name].at][piece.at] for piece in picked]
        if column.kind == "text":
            parts, words[name] = _renumbered(parts, [piece.rows.words[name] for piece in picked])
        block = blocks.setdefault(column.block, [])
        block.append(np.concatenate(parts))
        at, nulls = len(block) - 1, None
        if any(piece.rows.columns[name].nulls is not None for piece in picked):
            marks = blocks.setdefault("bool", [])
            marks.append(np.concatenate([_nulls(piece, name) for piece in picked]))
            nulls = len(marks) - 1
        columns[name] = Column(column.kind, at, nulls, column.scale)
    unique = all(piece.rows.unique for piece in picked)
    stacked = {kind: np.stack(arrays, axis=1) for kind, arrays in blocks.items()}
    return Rows(first.table, total, unique, columns, stacked, words)


def _nulls(part: _Picked, name: str) -> Array:
    nulls = part.rows.columns[name].nulls
    return np.zeros(len(part.at), bool) if nulls is None else part.rows.blocks["bool"][:, nulls][part.at]


def _renumbered(parts: Sequence[Array], words: Sequence[WordTable]) -> tuple[list[Array], WordTable]:
    """Return codes of several dictionaries as codes of one, of the texts that are in use."""
    known: dict[str, int] = {}
    made = []
    for codes, texts in zip(parts, words, strict=True):
        used, where = np.unique(codes, return_inverse=True)
        numbers = [-1 if code < 0 else known.setdefault(texts[code], len(known)) for code in used.tolist()]
        made.append(np.array(numbers, np.int32)[where] if numbers else codes)
    return made, dictionary(list(known))
