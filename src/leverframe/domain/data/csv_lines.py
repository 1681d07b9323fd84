"""Which lines of a CSV file have another number of fields than the first: a reader fills them with nulls silently.

Lines and fields are told apart as RFC 4180 does, with quotes that may hold separators and line breaks.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_CHUNK = 1 << 25  # bytes looked at together
_HEAD = 1 << 20  # bytes in which the first lines are sought
_LOOKED_AT = 1000  # suspicious lines that are read again, field by field
_OTHERS = ";\t|,"  # separators that a file may have in place of the declared one
_NEWLINE = ord("\n")

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Dialect:
    """How a text is cut into fields."""

    separator: str
    quote: str | None
    comment: str | None = None


@dataclass(frozen=True)
class Uneven:
    """The first line with ``fields`` in place of ``wanted`` fields, and how many ``lines`` there are of that kind."""

    line: int
    fields: int
    wanted: int
    lines: int


def uneven(content: bytes, dialect: Dialect, wanted: int | None = None) -> Uneven | None:
    """Return the lines whose number of fields is not ``wanted``, by default that of the first line; None if all fit.

    Empty lines do not count, and neither do comments.
    """
    data = np.frombuffer(content, np.uint8)
    ends, separators = _cut(data, dialect)
    starts = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
    fields = np.diff(np.searchsorted(separators, np.concatenate(([0], ends)))) + 1
    counted = _counted(data, starts, ends, dialect)
    if not counted.any():
        return None
    width = int(fields[np.argmax(counted)]) if wanted is None else wanted
    suspects = np.flatnonzero(counted & (fields != width))
    bad = list(_confirmed(content, suspects, (starts, ends, fields), dialect, width))
    if not bad:
        return None
    line = int(np.count_nonzero(data[: starts[bad[0][0]]] == _NEWLINE)) + 1
    return Uneven(line, bad[0][1], width, len(bad) + max(0, len(suspects) - _LOOKED_AT))


def other_separator(content: bytes, dialect: Dialect) -> str | None:
    """Return the separator that a file of one column seems to have: it stands equally often in its first two lines."""
    lines = content[:_HEAD].decode("utf-8", "replace").splitlines()
    lines = [line for line in lines[:50] if line and not (dialect.comment and line.startswith(dialect.comment))][:2]
    if len(lines) < 2 or _fields(lines[0], dialect) > 1:
        return None
    for mark in _OTHERS:
        first, second = (_fields(line, Dialect(mark, dialect.quote)) for line in lines)
        if mark != dialect.separator and first == second > 1:
            return mark
    return None


def _cut(data: NDArray[np.uint8], dialect: Dialect) -> tuple[Ints, Ints]:
    """Return where lines end, the last one included, and where separators stand outside of quotes."""
    ends, separators, inside = [], [], False
    for start in range(0, len(data), _CHUNK):
        chunk = data[start : start + _CHUNK]
        newlines, marks = chunk == _NEWLINE, chunk == ord(dialect.separator)
        quotes = chunk == ord(dialect.quote) if dialect.quote else None
        if quotes is not None and (inside or quotes.any()):
            quoted = np.logical_xor.accumulate(quotes) ^ inside
            inside = bool(quoted[-1])
            newlines, marks = newlines & ~quoted, marks & ~quoted
        ends.append(np.flatnonzero(newlines) + start)
        separators.append(np.flatnonzero(marks) + start)
    if len(data) and data[-1] != _NEWLINE:
        ends.append(np.array([len(data)]))
    nothing = np.zeros(0, np.int64)
    return np.concatenate([nothing, *ends]), np.concatenate([nothing, *separators])


def _counted(data: NDArray[np.uint8], starts: Ints, ends: Ints, dialect: Dialect) -> NDArray[np.bool_]:
    """Return which lines hold a row or the header."""
    if not len(ends):
        return np.zeros(0, bool)
    first = data[np.minimum(starts, len(data) - 1)]
    empty = (ends == starts) | ((ends == starts + 1) & (first == ord("\r")))
    counted: NDArray[np.bool_] = ~empty & (first != ord(dialect.comment)) if dialect.comment else ~empty
    return counted


def _confirmed(
    content: bytes, suspects: Ints, lines: tuple[Ints, Ints, Ints], dialect: Dialect, width: int
) -> Iterator[tuple[int, int]]:
    """Yield the lines that have another width read field by field, too: a quote within a field encloses nothing."""
    starts, ends, fields = lines
    for number in suspects[:_LOOKED_AT].tolist():
        text = content[int(starts[number]) : int(ends[number])]
        quoted = dialect.quote is not None and dialect.quote.encode() in text
        held = _fields(text.decode("utf-8", "replace"), dialect) if quoted else int(fields[number])
        if held != width:
            yield number, held


def _fields(line: str, dialect: Dialect) -> int:
    if dialect.quote is None:
        return line.count(dialect.separator) + 1
    try:
        rows = list(csv.reader([line], delimiter=dialect.separator, quotechar=dialect.quote))
    except csv.Error:  # a field of more than 128 kB: the marks tell
        return line.count(dialect.separator) + 1
    return len(rows[0]) if rows else 1
