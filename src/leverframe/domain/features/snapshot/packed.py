"""The rows of one key as one value: what a key-value store keeps.

A value is the number of rows, the rows of each block, and for each column of texts the number of
its words, their lengths and their bytes; codes count from the words of the value itself.
Everything is little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from leverframe.domain.features.snapshot.arrange import DTYPES, Arranged, dictionary
from leverframe.domain.features.snapshot.store import Array, Column, Matches, Rows

_COUNT = struct.Struct("<I")


@dataclass(frozen=True)
class Form:
    """What is known of all values of a table: its keys, its columns, and how wide each block is."""

    name: str
    keys: Mapping[str, str]
    unique: bool
    columns: Mapping[str, Column]
    widths: Mapping[str, int]

    @classmethod
    def of(cls, table: Arranged) -> Form:
        """Return the form of the values of a table."""
        rows = table.rows
        widths = {kind: rows.blocks[kind].shape[1] for kind in DTYPES if kind in rows.blocks}
        return cls(table.name, table.keys, rows.unique, rows.columns, widths)

    def texts(self) -> list[str]:
        """Return the columns of texts."""
        return [name for name, column in self.columns.items() if column.kind == "text"]


def packed(form: Form, rows: Rows, start: int, stop: int) -> bytes:
    """Return the rows of one key as one value."""
    blocks = {kind: rows.blocks[kind][start:stop] for kind in form.widths}
    words: list[bytes] = []
    for name in form.texts():
        if not words:
            blocks["int32"] = blocks["int32"].copy()
        column = blocks["int32"][:, form.columns[name].at]
        used, codes = np.unique(column, return_inverse=True)
        known = used[used >= 0]
        column[:] = codes - (len(used) - len(known))
        words.append(_packed_words([rows.words[name][code] for code in known.tolist()]))
    return b"".join([_COUNT.pack(stop - start), *(block.tobytes() for block in blocks.values()), *words])


def unpacked(form: Form, values: Sequence[bytes | None]) -> Matches:
    """Return the rows in the values of n asked keys, None for one that is unknown."""
    pieces: dict[str, list[bytes]] = {kind: [] for kind in form.widths}
    texts: dict[str, _Texts] = {name: _Texts([], []) for name in form.texts()}
    start, stop = np.zeros(len(values), np.int64), np.zeros(len(values), np.int64)
    total = 0
    for number, value in enumerate(values):
        if value is not None:
            (count,) = _COUNT.unpack_from(value)
            _read(form, value, count, pieces, texts)
            start[number], stop[number] = total, total + count
            total += count
    blocks = {kind: _block(kind, pieces[kind], width) for kind, width in form.widths.items()}
    if texts:
        blocks["int32"] = blocks["int32"].copy()  # of the joined bytes, which cannot be written
    counts = (stop - start)[[value is not None for value in values]]
    for name, text in texts.items():
        codes = blocks["int32"][:, form.columns[name].at]
        before = np.repeat(np.array(text.before, np.int32), counts)
        np.add(codes, before, out=codes, where=codes >= 0)
    words = {name: dictionary(content.words) for name, content in texts.items()}
    return Matches(start, stop, Rows(form.name, total, form.unique, form.columns, blocks, words))


@dataclass
class _Texts:
    """The words of a column over several values, and how many came before each value."""

    words: list[str]
    before: list[int]


def _read(form: Form, value: bytes, count: int, pieces: dict[str, list[bytes]], texts: dict[str, _Texts]) -> None:
    at = _COUNT.size
    for kind, width in form.widths.items():
        length = count * width * np.dtype(DTYPES[kind]).itemsize
        pieces[kind].append(value[at : at + length])
        at += length
    for text in texts.values():
        text.before.append(len(text.words))
        (number,) = _COUNT.unpack_from(value, at)
        lengths = struct.unpack_from(f"<{number}I", value, at + _COUNT.size)
        at += _COUNT.size * (1 + number)
        for length in lengths:
            text.words.append(value[at : at + length].decode("utf-8", "surrogatepass"))
            at += length


def _packed_words(words: Sequence[str]) -> bytes:
    content = [word.encode("utf-8", "surrogatepass") for word in words]
    return struct.pack(f"<{1 + len(content)}I", len(content), *map(len, content)) + b"".join(content)


def _block(kind: str, pieces: Sequence[bytes], width: int) -> Array:
    return np.frombuffer(b"".join(pieces), DTYPES[kind]).reshape(-1, width)
