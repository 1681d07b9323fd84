"""Lines of files, many at a time, as Arrow: whatever bytes there are, and never more of them than a chunk."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from leverframe.adapters.duckdb.request_batches import Tally
from leverframe.domain.monitoring.log_query import LogFile

CHUNK = 16_000_000  # bytes
LONGEST = 4_000_000  # bytes of a line; a record of a hundred rows has some ten thousand


def openable(file: LogFile, tally: Tally) -> bool:
    """Tell whether there is anything to read in a file; what cannot be opened is noted by name."""
    tally.files += 1
    if file.path.is_dir() or (file.path.exists() and not file.path.is_file()):  # a pipe would keep us waiting
        tally.unreadable[file.name] = "it is no file"
        return False
    try:
        with file.path.open("rb") as handle:
            return bool(handle.read(1))
    except OSError as error:
        tally.unreadable[file.name] = (error.strerror or str(error)).lower()
        return False


def chunks(files: Sequence[LogFile], tally: Tally) -> Iterator[pa.Table]:
    """Yield tables of ``line``, ``file``, a number in ``files``, and its ``day``; what is no text is counted."""
    waiting: list[pa.Table] = []
    size = 0
    for number, file in enumerate(files):
        if not openable(file, tally):
            continue
        for block in _blocks(file, tally):
            table = _table(block, number, file, tally)
            waiting.append(table)
            size += len(block)
            if size >= CHUNK:
                yield pa.concat_tables(waiting)
                waiting, size = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


def _blocks(file: LogFile, tally: Tally) -> Iterator[bytes]:
    """Yield whole lines; one that is too long is counted and skipped, a file that breaks off is noted."""
    rest, skipping = b"", False
    try:
        with _opened(file.path) as handle:
            while data := handle.read(CHUNK):
                if skipping:
                    cut = data.find(b"\n")
                    if cut < 0:
                        continue
                    data, skipping = data[cut + 1 :], False
                rest += data
                end = rest.rfind(b"\n") + 1
                if end:
                    yield rest[:end]
                    rest = rest[end:]
                if len(rest) > LONGEST:
                    tally.malformed[file.name] += 1
                    rest, skipping = b"", True
    except (OSError, EOFError, zlib.error) as error:  # of a damaged archive, too
        tally.unreadable[file.name] = (getattr(error, "strerror", None) or str(error)).lower()
    if rest:
        yield rest + b"\n"


def _opened(path: Path) -> BinaryIO:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _table(block: bytes, number: int, file: LogFile, tally: Tally) -> pa.Table:
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    lines = pa.BinaryArray.from_buffers(pa.binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(block)])
    texts = _texts(lines, file, tally)
    return pa.table({"line": texts, "file": pa.array(np.full(len(texts), number, np.int32)),
                     "day": pa.array([file.day] * len(texts), pa.int64())})  # fmt: skip


def _texts(lines: Any, file: LogFile, tally: Tally) -> Any:
    try:
        return lines.cast(pa.string())
    except pa.ArrowInvalid:
        kept = []
        for line in lines.to_pylist():
            try:
                kept.append(line.decode())
            except UnicodeDecodeError:
                tally.malformed[file.name] += 1
        return pa.array(kept, pa.string())
