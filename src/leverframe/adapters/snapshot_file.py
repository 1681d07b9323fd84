"""The snapshot as one file: a header, then raw arrays that are mapped into memory and never copied.

    0   magic, format version, length of the header, length of the file (little-endian)
    24  SHA-256 of every other byte
    64  header: JSON that tells what the snapshot is of and where each array lies
    ..  arrays, each at a multiple of 64 bytes

The same tables make the same bytes. Nothing in the file is ever run or unpickled. All processes
of a machine that open the file share its pages.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from leverframe.domain.features.snapshot.arrange import Arranged, arranged
from leverframe.domain.features.snapshot.keys import Hashed, Index, Integers, Single
from leverframe.domain.features.snapshot.store import Array, Column, Keys, Matches, Rows, SnapshotInfo, Table, WordTable
from leverframe.errors import SnapshotError, nearest
from leverframe.files import replacing

MAGIC = b"LVFSNAP\n"
FORMAT = 1
ALIGNED = 64
_START = struct.Struct("<8sIIQ")
_DIGEST = slice(_START.size, _START.size + 32)
_CHUNK = 1 << 22
_FLAGS = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)


def write(path: Path, about: SnapshotInfo, tables: Iterable[Table | Arranged]) -> None:
    """Replace ``path`` with a snapshot of the tables; a reader that has the old file open keeps its content.

    Raises ``SnapshotError`` for a table that cannot be stored, ``DiskError`` where the disk refuses.
    """
    content = _Content()
    described = {}
    for table in tables:
        one = table if isinstance(table, Arranged) else arranged(table)
        if one.name in described:
            raise SnapshotError(
                f"the snapshot has two tables of the name `{one.name}`",
                why="a lookup could not tell them apart",
                next="give each table a name of its own",
            )
        described[one.name] = content.table(one)
    header = {
        "about": {"spec": about.spec, "as_of": about.as_of, "attributes": _sorted(about.attributes)},
        "tables": described,
    }
    with replacing(path) as temporary, temporary.open("wb+") as file:
        content.write(file, header)


class _Content:
    """The arrays of a file to come, in the order in which they are written."""

    def __init__(self) -> None:
        self.arrays: list[Array] = []

    def table(self, table: Arranged) -> dict[str, Any]:
        """Take in the arrays of a table and return its part of the header."""
        rows = table.rows
        return {
            "rows": rows.count,
            "unique": rows.unique,
            "keys": dict(table.keys),
            "index": self._index(table.index),
            "columns": {
                name: {"kind": column.kind, "at": column.at, "nulls": column.nulls}
                | ({} if column.scale is None else {"scale": column.scale})
                for name, column in rows.columns.items()
            },
            "blocks": {kind: self._number(block) for kind, block in rows.blocks.items()},
            "words": {
                name: [self._number(words.ends), self._number(words.content)] for name, words in rows.words.items()
            },
        }

    def write(self, file: BinaryIO, header: Mapping[str, Any]) -> None:
        """Write everything once, front to back, and the digest last."""
        places, end = [], 0
        for array in self.arrays:
            order = "C" if array.flags.c_contiguous else "F"
            places.append({"dtype": array.dtype.str, "shape": array.shape, "order": order, "offset": end})
            end = _aligned(end + array.nbytes)
        text = json.dumps({**header, "arrays": places}, allow_nan=False).encode()
        first = _aligned(ALIGNED + len(text))
        start = _START.pack(MAGIC, FORMAT, len(text), first + end)
        digest = hashlib.sha256(start)
        file.write(start.ljust(ALIGNED, b"\0"))
        gap = b"\0" * (ALIGNED - _DIGEST.stop)
        digest.update(gap + text.ljust(first - ALIGNED, b"\0"))
        file.write(text.ljust(first - ALIGNED, b"\0"))
        for array in self.arrays:
            for piece in (_bytes(array), memoryview(bytes(_aligned(array.nbytes) - array.nbytes))):
                digest.update(piece)
                file.write(piece)
        file.seek(_DIGEST.start)
        file.write(digest.digest())

    def _index(self, index: Index) -> dict[str, int | None]:
        parts: dict[str, Array | None] = {}
        if isinstance(index, Integers):
            parts = {"values": index.values, "starts": index.starts}
        elif isinstance(index, Hashed):
            parts = {"hashes": index.hashes, "ends": index.ends, "content": index.content, "starts": index.starts}
        return {name: None if part is None else self._number(part) for name, part in parts.items()}

    def _number(self, array: Array) -> int:
        self.arrays.append(array)
        return len(self.arrays) - 1


class SnapshotFile:
    """A snapshot file that is open for lookup.

    Raises ``SnapshotError`` for a file that is missing, damaged, of another format, or of another
    ``spec`` than the one asked for. ``verify=False`` trusts the content and opens without reading it.
    """

    def __init__(self, path: Path, *, spec: str | None = None, verify: bool = True) -> None:
        self._path = path
        if sys.byteorder != "little":
            raise self._unusable("this machine is big-endian, the file little-endian", "use a little-endian machine")
        try:
            with path.open("rb") as file:
                mapped, header, first = self._opened(file, verify=verify)
        except FileNotFoundError as error:
            raise self._unusable(
                "there is no such file", "`leverframe snapshot` makes it, `dvc pull` fetches it"
            ) from error
        except OSError as error:
            raise self._unusable(error.strerror or str(error), "fix that, then open it again") from error
        try:
            self._about = SnapshotInfo(**header["about"])
            self._check(spec)
            arrays = [_array(mapped, first, place) for place in header["arrays"]]
            self._tables = {name: _table(name, table, arrays) for name, table in header["tables"].items()}
            self._keys: dict[str, dict[str, str]] = {name: table["keys"] for name, table in header["tables"].items()}
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise self._damaged(f"its header makes no sense: {error!r}") from error

    def about(self) -> SnapshotInfo:
        """Return what the snapshot is of."""
        return self._about

    def table(self, table: str) -> tuple[Index, Rows]:
        """Return how the keys of a table are found, and all its rows; raises ``SnapshotError`` where there is none."""
        try:
            return self._tables[table]
        except KeyError:
            raise SnapshotError(
                f"the snapshot {self._path} has no table `{table}`",
                why="it was not among the tables when the snapshot was built, or the snapshot is closed",
                next=nearest(table, self._tables),
            ) from None

    def parts(self, table: str) -> list[tuple[Index, Rows]]:
        """Return the one part that a table has here."""
        return [self.table(table)]

    def arranged(self) -> list[Arranged]:
        """Return every table as it was written."""
        return [Arranged(name, self._keys[name], *self._tables[name]) for name in self._tables]

    def names(self) -> list[str]:
        """Return the names of the tables."""
        return list(self._tables)

    def find(self, table: str, keys: Keys) -> Matches:
        """Return the rows of the asked keys, one sequence a key column; the columns stay in the file."""
        index, rows = self.table(table)
        start, stop = index.find(keys)
        return Matches(start, stop, rows)

    def close(self) -> None:
        """Let go of the file; answers that are still in use keep their pages until they go."""
        # Never `mmap.close`: numpy does not hold the map open, so an answer would read unmapped memory.
        # Its arrays do refer to the map, which goes when the last of them goes.
        self._tables = {}

    def _opened(self, file: BinaryIO, *, verify: bool) -> tuple[mmap.mmap, dict[str, Any], int]:
        start = file.read(ALIGNED)
        if len(start) < ALIGNED or not start.startswith(MAGIC):
            raise self._damaged("it is cut short or no snapshot at all")
        _, version, length, size = _START.unpack_from(start)
        if version != FORMAT:
            why = f"it has format {version}, this version of Leverframe reads format {FORMAT}"
            raise self._unusable(why, "build the snapshot again with this version")
        there = file.seek(0, 2)
        if there != size:
            raise self._damaged(f"it has {there:,} bytes instead of {size:,}")
        if verify and _digest(file, start) != start[_DIGEST]:
            raise self._damaged("its content does not fit its SHA-256")
        mapped = mmap.mmap(file.fileno(), 0, flags=_FLAGS if verify else mmap.MAP_SHARED, prot=mmap.PROT_READ)
        try:
            return mapped, json.loads(mapped[ALIGNED : ALIGNED + length]), _aligned(ALIGNED + length)
        except ValueError as error:
            raise self._damaged("its header is no JSON") from error

    def _check(self, spec: str | None) -> None:
        if spec is not None and self._about.spec != spec:
            raise self._unusable(
                f"it holds features of spec {self._about.spec[:16]}, asked for are those of {spec[:16]}",
                "build the snapshot with the star.yaml and the version that the model was trained with",
            )

    def _damaged(self, why: str) -> SnapshotError:
        return self._unusable(why, "`dvc pull` fetches it again, `leverframe snapshot` makes it again")

    def _unusable(self, why: str, next: str) -> SnapshotError:
        return SnapshotError(f"the snapshot {self._path} cannot be used", why=why, next=next)


def opened_layer(path: Path, spec: str) -> SnapshotFile:
    """Return an open snapshot of ``spec`` whose content was verified."""
    return SnapshotFile(path, spec=spec)


def _array(mapped: mmap.mmap, first: int, place: Mapping[str, Any]) -> Array:
    shape, dtype = tuple(place["shape"]), np.dtype(place["dtype"])
    if 0 in shape:
        return np.zeros(shape, dtype)
    return np.ndarray(shape, dtype, mapped, first + place["offset"], order=place["order"])


def _table(name: str, header: Mapping[str, Any], arrays: list[Array]) -> tuple[Index, Rows]:
    rows = Rows(
        name,
        header["rows"],
        header["unique"],
        {column: Column(**fields) for column, fields in header["columns"].items()},
        {kind: arrays[number] for kind, number in header["blocks"].items()},
        {column: WordTable(arrays[ends], arrays[content]) for column, (ends, content) in header["words"].items()},
    )
    parts = {part: None if number is None else arrays[number] for part, number in header["index"].items()}
    keys: dict[str, str] = header["keys"]
    if "hashes" in parts:
        return Hashed(tuple(keys), tuple(keys.values()), **parts), rows  # type: ignore[arg-type]
    if "values" in parts:
        return Integers(next(iter(keys)), **parts), rows  # type: ignore[arg-type]
    return Single(rows.count), rows


def _digest(file: BinaryIO, start: bytes) -> bytes:
    digest = hashlib.sha256(start[: _DIGEST.start] + start[_DIGEST.stop :])
    file.seek(ALIGNED)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.digest()


def _sorted(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes in one order, so that the same ones make the same file."""
    return json.loads(json.dumps(attributes, sort_keys=True, allow_nan=False))  # type: ignore[no-any-return]


def _bytes(array: Array) -> memoryview:
    return memoryview(array.ravel(order="K").view(np.uint8).data) if array.size else memoryview(b"")


def _aligned(length: int) -> int:
    return -(-length // ALIGNED) * ALIGNED
