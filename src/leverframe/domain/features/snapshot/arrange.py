"""How a table becomes sorted keys and packed rows, the same for the same table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from leverframe.domain.features.snapshot.keys import Hashed, Index, Integers, Single, canonical, hashed, is_null
from leverframe.domain.features.snapshot.store import Array, Column, Decimals, Rows, Table, WordTable
from leverframe.errors import SnapshotError

DTYPES = {"float32": "<f4", "float64": "<f8", "int32": "<i4", "int64": "<i8", "uint64": "<u8", "bool": "|b1"}


@dataclass(frozen=True)
class Arranged:
    """A table ready to be stored: its key columns with their kinds, how keys are found, and the rows."""

    name: str
    keys: Mapping[str, str]
    index: Index
    rows: Rows


def arranged(table: Table) -> Arranged:
    """Return the table with its rows ordered by key; raises ``SnapshotError`` for what cannot be stored."""
    count = _length(table)
    kinds = {name: _key_kind(table, name) for name in table.keys}
    index, order, groups = _grouped(table, kinds, count)
    blocks: dict[str, list[Array]] = {}
    columns: dict[str, Column] = {}
    words: dict[str, WordTable] = {}
    for name, values in table.columns.items():
        columns[name] = _placed(table, name, values, order, blocks, words)
    unique = groups == len(order)
    memory = "C" if unique else "F"  # a row at a time where a key has one, else a column of a key's rows
    packed = {kind: np.array(np.stack(blocks[kind], axis=1), order=memory) for kind in DTYPES if kind in blocks}  # type: ignore[call-overload]
    return Arranged(table.name, kinds, index, Rows(table.name, len(order), unique, columns, packed, words))


def dictionary(texts: Sequence[str]) -> WordTable:
    """Return texts as a dictionary in the order given."""
    content = [text.encode("utf-8", "surrogatepass") for text in texts]
    return WordTable(ends([len(encoded) for encoded in content]), np.frombuffer(b"".join(content), np.uint8))


def ends(lengths: Sequence[int] | Array) -> Array:
    """Return where pieces of these lengths begin when they lie end to end, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype("<i8")


def _length(table: Table) -> int:
    lengths = {name: len(values) for name, values in (*table.keys.items(), *table.columns.items())}
    if len(set(lengths.values())) > 1:
        raise _refused(table, f"its columns differ in length: {lengths}", "give every column one value a row")
    return next(iter(lengths.values()), 0)


def _grouped(table: Table, kinds: Mapping[str, str], count: int) -> tuple[Index, Array, int]:
    """Return how keys are found, the order of the rows, and the number of keys."""
    if not kinds:
        return Single(count), np.arange(count), min(count, 1)
    ((first, kind), *others) = kinds.items()
    if kind == "int" and not others:
        return _by_integer(first, table.keys[first])
    return _by_hash(table, kinds)


def _by_integer(name: str, given: Any) -> tuple[Index, Array, int]:
    values, kept = _whole(given)
    order = np.argsort(values[kept], kind="stable")
    order = kept[order]
    values = values[order]
    first = _first_of_each(values)
    starts = None if first.all() else _starts(first)
    return Integers(name, values[first], starts), order, int(first.sum())


def _by_hash(table: Table, kinds: Mapping[str, str]) -> tuple[Index, Array, int]:
    """Order the keys by hash and canonical bytes; each distinct key is hashed once."""
    names = tuple(kinds)
    numbers: dict[bytes | None, int] = {}
    encoded = canonical(names, tuple(kinds.values()), [table.keys[name] for name in names])
    codes = np.fromiter((numbers.setdefault(key, len(numbers)) for key in encoded), np.int64, len(encoded))
    distinct = list(numbers)
    hashes = hashed(distinct)
    by_hash = _sorted_without_null(hashes, distinct)
    rank = np.full(len(distinct) + 1, -1, np.int64)
    rank[by_hash] = np.arange(len(by_hash))
    ranks = rank[codes]
    kept = np.flatnonzero(ranks >= 0)
    order = kept[np.argsort(ranks[kept], kind="stable")]
    first = _first_of_each(ranks[order])
    content = [distinct[number] or b"" for number in by_hash]
    index = Hashed(
        names,
        tuple(kinds.values()),
        hashes[by_hash],
        ends([len(key) for key in content]),
        np.frombuffer(b"".join(content), np.uint8),
        None if first.all() else _starts(first),
    )
    return index, order, len(by_hash)


def _placed(
    table: Table, name: str, given: Any, order: Array, blocks: dict[str, list[Array]], words: dict[str, WordTable]
) -> Column:
    """Put a column into the block of its type and return where it lies."""
    scale = given.scale if isinstance(given, Decimals) else None
    kind, values, nulls = _column(table, name, given.units if isinstance(given, Decimals) else given)
    if kind == "text":
        words[name], values = _encoded(values)
    where = Column(kind, 0).block
    block = blocks.setdefault(where, [])
    block.append(values[order].astype(DTYPES[where], copy=False))
    at = len(block) - 1
    if nulls is None:
        return Column(kind, at, scale=scale)
    marks = blocks.setdefault("bool", [])
    marks.append(nulls[order])
    return Column(kind, at, len(marks) - 1, scale)


def _column(table: Table, name: str, given: Any) -> tuple[str, Any, Array | None]:
    """Return the kind of a column, its values, and which are null if that needs marks of its own."""
    mask = np.ma.getmaskarray(given) if np.ma.isMA(given) else None
    values = np.ma.getdata(given)
    kind = values.dtype.name
    if values.dtype.kind in "UO":
        return "text", _texts(table, name, values, mask), None
    if kind not in DTYPES:
        why = f"its column `{name}` is of type {kind}"
        raise _refused(
            table, why, f"convert it to one of {', '.join(DTYPES)} or text; a timestamp to int64 microseconds"
        )
    if values.dtype.kind == "f":
        return kind, values if mask is None else np.where(mask, np.nan, values), None
    if mask is None or not mask.any():
        return kind, values, None
    return kind, np.where(mask, np.zeros(1, values.dtype), values), mask


def _texts(table: Table, name: str, values: Array, mask: Array | None) -> list[str | None]:
    texts = [None if is_null(value) else value for value in values.tolist()]
    wrong = next((value for value in texts if value is not None and not isinstance(value, str)), None)
    if wrong is not None:
        why = f"its column `{name}` holds {wrong!r}, which is no text"
        raise _refused(table, why, "give numbers as an array of their type, masked where they are null")
    return texts if mask is None else [None if gone else text for text, gone in zip(texts, mask, strict=True)]


def _encoded(texts: Sequence[str | None]) -> tuple[WordTable, Array]:
    distinct = sorted({text for text in texts if text is not None})
    codes: dict[str | None, int] = {text: code for code, text in enumerate(distinct)}
    codes[None] = -1
    return dictionary(distinct), np.fromiter(map(codes.__getitem__, texts), np.int32, len(texts))


def _key_kind(table: Table, name: str) -> str:
    values = np.ma.compressed(np.ma.asarray(table.keys[name]))  # what lies behind a mask may be of another type
    if all(map(is_null, values.tolist())):
        return "nothing"  # a column without a value may be asked for with one of any type
    known = {"b": "bool", "U": "text", "f": "float"}.get(values.dtype.kind)
    if known:
        return known
    if values.dtype.kind in "iu":
        return "int" if int(values.max(initial=0)) < 2**63 else "wide"
    some = [value for value in values.tolist() if not is_null(value)]
    kinds = {type(value) for value in some} if values.dtype.kind == "O" else {None}
    for kind, types in (("text", {str}), ("bool", {bool}), ("int", {int})):
        if kinds <= types:
            return "wide" if kind == "int" and not all(-(2**63) <= value < 2**63 for value in some) else kind
    why = f"its key `{name}` is of type {values.dtype.name}" + ("" if None in kinds else " and mixes or lacks types")
    raise _refused(table, why, "convert the key to int64, bool or text")


def _whole(given: Any) -> tuple[Array, Array]:
    """Return an integer key as int64, and the rows where it is not null."""
    if np.ma.isMA(given):
        valid = ~np.ma.getmaskarray(given)
        given = np.ma.getdata(given)
    else:
        valid = np.ones(len(given), bool)
    if given.dtype.kind == "O":
        valid = valid & np.array([not is_null(value) for value in given.tolist()], bool)
        given = np.where(valid, given, 0)
    return given.astype("<i8"), np.flatnonzero(valid)


def _sorted_without_null(hashes: Array, distinct: Sequence[bytes | None]) -> list[int]:
    pairs = list(zip(hashes.tolist(), distinct, strict=True))
    return sorted((number for number, key in enumerate(distinct) if key is not None), key=pairs.__getitem__)


def _first_of_each(values: Array) -> Array:
    """Return which of sorted values differ from the one before."""
    first = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return first


def _starts(first: Array) -> Array:
    return np.append(np.flatnonzero(first), len(first)).astype("<i8")


def _refused(table: Table, why: str, next: str) -> SnapshotError:
    return SnapshotError(f"table `{table.name}` cannot be part of a snapshot", why=why, next=next)
