"""How keys are found: integers by search in sorted order, texts and composites by a stable hash.

The hash is of canonical bytes and the same on every machine. Keys that share a hash lie side by
side, and the bytes themselves are compared, so a collision costs time and never a wrong row.
"""

from __future__ import annotations

import hashlib
import struct
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from leverframe.domain.features.snapshot.store import Array, Keys
from leverframe.errors import SnapshotError

INT64 = np.dtype("<i8")
Ranges = tuple[Array, Array]
Owned = tuple[bytes, int, int]  # the canonical bytes of a key, and where its rows start and stop


class Index(Protocol):
    """Finds the ranges of rows of asked keys."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of each key column."""

    @property
    def size(self) -> int:
        """How many keys there are."""

    def find(self, keys: Keys) -> Ranges:
        """Return where the rows of each asked key start and stop."""

    def one(self, key: Sequence[Any]) -> tuple[int, int]:
        """Return where the rows of one key start and stop, its values plain; without arrays, so that it is quick."""

    def entries(self) -> Iterator[Owned]:
        """Yield every key with its rows."""


@dataclass(frozen=True)
class Single:
    """The one key of a table without key columns."""

    rows: int
    kinds: tuple[str, ...] = ()
    size: int = 1

    def find(self, keys: Keys) -> Ranges:
        """Return all rows for the one key that there is."""
        checked(keys, ())
        return np.zeros(1, np.int64), np.full(1, self.rows)

    def one(self, key: Sequence[Any]) -> tuple[int, int]:
        """Return all rows."""
        checked([[value] for value in key], ())
        return 0, self.rows

    def entries(self) -> Iterator[Owned]:
        """Yield the one key, which has no bytes."""
        yield b"", 0, self.rows


@dataclass(frozen=True)
class Integers:
    """One integer key column: sorted values, and where the rows of each start, None for a row each."""

    name: str
    values: Array
    starts: Array | None
    kinds: tuple[str, ...] = ("int",)

    @property
    def size(self) -> int:
        """How many keys there are."""
        return len(self.values)

    def find(self, keys: Keys) -> Ranges:
        """Return the ranges by one search over the sorted values."""
        asked = keys[0] if len(keys) == 1 else ()
        valid: Array | None = None
        if not isinstance(asked, np.ndarray) or asked.dtype != INT64 or asked.ndim != 1 or np.ma.isMA(asked):
            checked(keys, (self.name,))
            asked, valid = integers(self.name, asked)
        if not len(self.values):
            return np.zeros(len(asked), np.int64), np.zeros(len(asked), np.int64)
        at = self.values.searchsorted(asked)
        np.minimum(at, len(self.values) - 1, out=at)
        present = self.values.take(at) == asked
        return ranges(at, present if valid is None else present & valid, self.starts)

    def one(self, key: Sequence[Any]) -> tuple[int, int]:
        """Return the range by one search."""
        checked([[value] for value in key], (self.name,))
        if _encoder(self.name, "int")(key[0]) is None:
            return 0, 0
        values, wanted = self._view, int(key[0])
        at = bisect_left(values, wanted)
        return _range(at, self.starts) if at < len(values) and values[at] == wanted else (0, 0)

    @cached_property
    def _view(self) -> memoryview:
        return self.values.data

    def entries(self) -> Iterator[Owned]:
        """Yield every key with its rows, in order of the keys."""
        content = (struct.pack("<q", value) for value in self.values.tolist())
        return _owned(content, self.starts, len(self.values))


@dataclass(frozen=True)
class Hashed:
    """Texts and composites: sorted hashes, the canonical bytes of each key, and where its rows start."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    hashes: Array
    ends: Array
    content: Array
    starts: Array | None

    @property
    def size(self) -> int:
        """How many keys there are."""
        return len(self.hashes)

    def find(self, keys: Keys) -> Ranges:
        """Return the ranges by a search over the hashes and a comparison of the bytes."""
        checked(keys, self.names)
        asked = canonical(self.names, self.kinds, keys)
        at = self.hashes.searchsorted(hashed(asked))
        present = np.zeros(len(asked), bool)
        for number, (key, first) in enumerate(zip(asked, at.tolist(), strict=True)):
            if key is not None:
                place = self._compared(key, first)
                at[number], present[number] = max(place, 0), place >= 0
        np.minimum(at, max(len(self.hashes) - 1, 0), out=at)
        if not len(self.hashes):
            return np.zeros(len(asked), np.int64), np.zeros(len(asked), np.int64)
        return ranges(at, present, self.starts)

    def one(self, key: Sequence[Any]) -> tuple[int, int]:
        """Return the range by a search over the hashes and a comparison of the bytes."""
        if len(key) != len(self.names):
            checked([[value] for value in key], self.names)
        parts = [encode(value) for encode, value in zip(self._encoders, key, strict=True)]
        if None in parts:
            return 0, 0
        content = b"".join(part for part in parts if part is not None)
        first = bisect_left(self._view, int.from_bytes(_hash(content), "little"))
        place = self._compared(content, first)
        return _range(place, self.starts) if place >= 0 else (0, 0)

    @cached_property
    def _encoders(self) -> list[Callable[[Any], bytes | None]]:
        return [_encoder(name, kind) for name, kind in zip(self.names, self.kinds, strict=True)]

    @cached_property
    def _view(self) -> memoryview:
        return self.hashes.data

    def entries(self) -> Iterator[Owned]:
        """Yield every key with its rows, in order of the hashes."""
        content, ends = self.content.tobytes(), self.ends.tolist()
        pieces = (content[start:stop] for start, stop in pairwise(ends))
        return _owned(pieces, self.starts, len(self.hashes))

    def _compared(self, key: bytes, first: int) -> int:
        """Return the place of ``key`` among the keys of its hash, which begin at ``first``; -1 if it is not there."""
        place = first
        while place < len(self.hashes) and self.hashes[place] == self.hashes[first]:
            if self.content[self.ends[place] : self.ends[place + 1]].tobytes() == key:
                return place
            place += 1
        return -1


def _range(place: int, starts: Array | None) -> tuple[int, int]:
    return (place, place + 1) if starts is None else (int(starts[place]), int(starts[place + 1]))


def ranges(at: Array, present: Array, starts: Array | None) -> Ranges:
    """Return start and stop of the keys at the places ``at``, both equal where not ``present``."""
    if starts is None:
        return at, at + present
    start = starts.take(at)
    return start, np.where(present, starts.take(at + 1), start)


def checked(keys: Keys, names: Sequence[str]) -> None:
    """Raise ``SnapshotError`` unless there is one sequence a key column, all of one length."""
    if len(keys) != len(names) or len({len(key) for key in keys}) > 1:
        raise SnapshotError(
            f"{len(keys)} sequences of keys of length {[len(key) for key in keys]} were asked for",
            why=f"the table has the key columns {list(names)}, and each needs as many values as the others",
            next="give one sequence a key column, in that order",
        )


def integers(name: str, values: Any) -> tuple[Array, Array]:
    """Return the values of an integer key as int64, and which of them are no null and fit."""
    if not np.ma.isMA(values):
        array = np.asarray(values)
        if array.dtype.kind in "ib" or not len(array):
            return array.astype(INT64), np.ones(len(array), bool)
    encode = _encoder(name, "int")
    encoded = [encode(value) for value in _listed(values)]
    valid = np.array([value is not None for value in encoded], bool)
    return np.array([struct.unpack("<q", value)[0] if value else 0 for value in encoded], INT64), valid


def canonical(names: Sequence[str], kinds: Sequence[str], keys: Keys) -> list[bytes | None]:
    """Return the canonical bytes of each key, None for a key with a null."""
    parts = [
        list(map(_encoder(name, kind), _listed(values))) for name, kind, values in zip(names, kinds, keys, strict=True)
    ]
    if len(parts) == 1:
        return parts[0]
    return [None if None in key else b"".join(key) for key in zip(*parts, strict=True)]


def codes(names: Sequence[str], asked: Keys, held: Keys) -> Ranges:
    """Return numbers for keys that are asked and for those that a store holds, equal where the keys are; -1 for a null.

    Raises ``SnapshotError`` for a text where the store holds none, or the other way round.
    """
    numbers: dict[tuple[Any, ...], int] = {}
    for name, ours, theirs in zip(names, map(_listed, asked), map(_listed, held), strict=True):
        texts = [{isinstance(value, str) for value in values if not is_null(value)} for values in (ours, theirs)]
        if len(texts[0] | texts[1]) > 1:
            text = True in texts[1]
            wrong = next(value for value in ours if not is_null(value) and isinstance(value, str) != text)
            _refused(name, "text" if text else "other", wrong)
    sides = [
        [-1 if any(map(is_null, key)) else numbers.setdefault(key, len(numbers)) for key in zip(*columns, strict=True)]
        for columns in (list(map(_listed, asked)), list(map(_listed, held)))
    ]
    return np.array(sides[0], np.int64), np.array(sides[1], np.int64)


def hashed(keys: Sequence[bytes | None]) -> Array:
    """Return a 64-bit hash of each key's bytes."""
    return np.frombuffer(b"".join([_hash(key or b"") for key in keys]), "<u8")


def _hash(key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=8).digest()


def is_null(value: Any) -> bool:
    """Tell whether a value stands for nothing: None, NaN, or what is masked."""
    return value is None or value is np.ma.masked or value != value  # noqa: PLR0124 - only NaN differs from itself


def _owned(content: Iterable[bytes], starts: Array | None, count: int) -> Iterator[Owned]:
    places = range(count + 1) if starts is None else starts.tolist()
    return ((key, start, stop) for key, (start, stop) in zip(content, pairwise(places), strict=True))


def _listed(values: Any) -> list[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


def _encoder(name: str, kind: str) -> Callable[[Any], bytes | None]:
    pack = struct.pack

    def text(value: Any) -> bytes | None:
        if isinstance(value, str):
            content = value.encode("utf-8", "surrogatepass")
            return pack("<I", len(content)) + content
        return None if is_null(value) else _refused(name, "text", value)

    def integer(value: Any) -> bytes | None:
        whole = _whole(name, value)
        return None if whole is None or not -(2**63) <= whole < 2**63 else pack("<q", whole)

    def wide(value: Any) -> bytes | None:
        whole = _whole(name, value)
        return None if whole is None or not -(2**127) <= whole < 2**127 else whole.to_bytes(16, "little", signed=True)

    def double(value: Any) -> bytes | None:
        if is_null(value):
            return None
        if not isinstance(value, int | float):
            return _refused(name, "number", value)
        return pack("<d", value + 0.0) if abs(value) < 2**53 else None  # -0.0 is 0.0; larger ones are no keys

    def boolean(value: Any) -> bytes | None:
        if is_null(value):
            return None
        return pack("<?", value) if value in (0, 1) else _refused(name, "bool", value)

    def nothing(_: Any) -> bytes | None:
        return None

    kinds = {"text": text, "int": integer, "wide": wide, "float": double, "bool": boolean, "nothing": nothing}
    return kinds[kind]


def _whole(name: str, value: Any) -> int | None:
    """Return a whole number, None for a null and for a number with a fraction, which no key equals."""
    if is_null(value):
        return None
    try:
        whole = int(value)
        fits = whole == value
    except (TypeError, ValueError, OverflowError):
        fits = isinstance(value, float)
        whole = 0
    if isinstance(value, str) or not (fits or isinstance(value, float)):
        _refused(name, "integer", value)
    return whole if whole == value else None


def _refused(name: str, kind: str, value: Any) -> bytes:
    raise SnapshotError(
        f"key `{name}` is asked with {value!r}",
        why=f"the column holds {kind} values, this is of type {type(value).__name__}",
        next="convert the value before asking",
    )
