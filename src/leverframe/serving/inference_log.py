"""Requests and predictions, one JSON object a request and line, written beside the traffic and never before it.

Requests never wait: they put a record into a bounded queue, and one that is full drops it and
counts. A thread writes and flushes; a file is closed by size or age, and only then loses the
ending ``.part``, so that who reads ``*.jsonl`` reads whole files. A record is chosen by the hash
of its request, so that a retry is chosen alike. Requests that were refused or failed are only
counted: a line tells how many there were since the flush before, so that a flood fills no disk.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import json
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from io import FileIO
from pathlib import Path
from typing import Any

_FLUSH = 0.5  # seconds at most between a record and the disk
_CHUNK = 1 << 16  # bytes that are written, or dropped, at once; a longer line is one of its own
_PART = ".part"


@dataclass(frozen=True)
class LogSettings:
    """Where and how much is logged; ``share`` of the requests, ``deny`` names columns that never are.

    A file is closed at ``megabytes`` or after ``seconds`` and removed after ``days``; of one request at most ``rows``
    rows are kept.
    """

    folder: str
    share: float = 1.0
    deny: tuple[str, ...] = ()
    rows: int = 100
    megabytes: float = 16.0
    seconds: float = 300.0
    queue: int = 10_000
    days: float = 90.0


@dataclass(frozen=True)
class Outcome:
    """How requests to a release ended that were not answered: ``outcome`` is `refused` or `failed`."""

    model: str
    version: str
    bundle: str
    outcome: str


class InferenceLog:
    """Writes records into ``settings.folder`` until it is closed, at the latest when the process ends."""

    def __init__(self, settings: LogSettings, on_drop: Callable[[], None] = lambda: None) -> None:
        self.settings = settings
        self._folder = Path(settings.folder)
        self._on_drop = on_drop
        self._queue: queue.Queue[Mapping[str, Any] | None] = queue.Queue(settings.queue)
        self._counts: dict[Outcome, tuple[datetime, int]] = {}  # since the flush before: the first time, and how many
        self._counting = threading.Lock()
        self._sequence = 0
        self._file: FileIO | None = None
        self._path = Path()
        self._began, self._size = 0.0, 0  # of the file, which is whole lines up to there
        close_leftovers(self._folder)
        self._thread = threading.Thread(target=self._write, name="inference-log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def wants(self, request: str) -> bool:
        """Tell whether the request of that id is among those that are logged."""
        if self.settings.share >= 1:
            return True
        number = int.from_bytes(hashlib.sha256(request.encode()).digest()[:8], "big")
        return number < self.settings.share * 2**64

    def put(self, record: Mapping[str, Any]) -> None:
        """Take a record, whose arrays are turned into JSON later; one that finds no room is dropped and counted."""
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._on_drop()

    def count(self, outcome: Outcome, at: datetime) -> None:
        """Count a request that was not answered."""
        with self._counting:
            first, count = self._counts.get(outcome, (at, 0))
            self._counts[outcome] = first, count + 1

    def close(self) -> None:
        """Write what is left and close the file."""
        if self._thread.is_alive():
            with suppress(queue.Full):
                self._queue.put(None, timeout=2)
            self._thread.join(timeout=5)
        atexit.unregister(self.close)

    def _write(self) -> None:
        while True:
            waited = self._next()
            if waited is None:
                break
            self._append([*waited, *self._counted()])
            if self._file is not None and time.monotonic() - self._began > self.settings.seconds:
                self._rotate()
        self._rotate()

    def _next(self) -> list[Mapping[str, Any]] | None:
        """Return the records that arrived within the time to the next flush; None when nothing more will come."""
        records: list[Mapping[str, Any]] = []
        until = time.monotonic() + _FLUSH
        while len(records) < 1000 and (patience := until - time.monotonic()) > 0:
            try:
                record = self._queue.get(timeout=patience)
            except queue.Empty:
                break
            if record is None:
                self._append([*records, *self._counted()])
                return None
            records.append(record)
        return records

    def _counted(self) -> list[Mapping[str, Any]]:
        """Return a record for each way in which requests ended unanswered since the flush before."""
        with self._counting:
            counts, self._counts = self._counts, {}
        return [{"at": at.isoformat(), **asdict(outcome), "count": count} for outcome, (at, count) in counts.items()]

    def _append(self, records: Sequence[Mapping[str, Any]]) -> None:
        lines: list[bytes] = []
        for record in records:
            try:
                lines.append(_line(record))
            except Exception:  # a value that is no JSON in any way: the others are logged
                self._on_drop()
        most = min(_CHUNK, self.settings.megabytes * 1e6)
        while lines:
            some, size = 0, 0
            while some < len(lines) and (not some or size + len(lines[some]) <= most):
                size += len(lines[some])
                some += 1
            if not self._put(b"".join(lines[:some])):
                for line in lines[:some]:  # some of them may fit
                    if not self._put(line):
                        self._on_drop()
            del lines[:some]

    def _put(self, data: bytes) -> bool:
        """Write lines as a whole, or none of them: a full disk must neither end the traffic nor cut a record."""
        try:
            if self._file is None:
                self._begin()
            assert self._file is not None  # noqa: S101 - just begun
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._undo()
            return False
        self._size += len(data)
        if self._size > self.settings.megabytes * 1e6:
            self._rotate()
        return True

    def _undo(self) -> None:
        """Take away what was written of lines that were dropped; a file without any is removed."""
        if self._file is None:
            return
        try:
            self._file.truncate(self._size)
        except OSError:  # the next server takes the cut line away
            with suppress(OSError):
                self._file.close()
            self._file = None
            return
        if not self._size:
            self._rotate()

    def _begin(self) -> None:
        now = datetime.now(UTC)
        folder = self._folder / f"dt={now:%Y-%m-%d}"
        folder.mkdir(parents=True, exist_ok=True)
        self._sequence += 1
        self._path = folder / f"{now:%H%M%S}-{os.getpid()}-{self._sequence:04d}.jsonl{_PART}"
        remove_older(self._folder, now.date() - timedelta(days=self.settings.days))
        self._file = self._path.open("ab", buffering=0)  # so that it is known what a full disk took
        fcntl.flock(self._file, fcntl.LOCK_EX)  # ends with the process, however it ends
        self._began, self._size = time.monotonic(), 0

    def _rotate(self) -> None:
        if self._file is None:
            return
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._path.rename(self._path.with_suffix("")) if self._size else self._path.unlink()
        self._file = None


def _line(record: Mapping[str, Any]) -> bytes:
    """Return a record as a line; quickly, as requests wait for the same interpreter."""
    import orjson  # noqa: PLC0415 - an extra, which those who only read settings lack

    try:
        return orjson.dumps(record, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a whole number of more than 64 bits, half of a character
        return json.dumps(record, separators=(",", ":"), default=_plain).encode() + b"\n"


def _plain(values: Any) -> Any:
    """Return an array as JSON has it: NaN, infinite and masked are null."""
    if not hasattr(values, "tolist"):
        return str(values)
    return _finite(values.tolist())


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def remove_older(folder: Path, first: date) -> None:
    """Remove the closed files of days before ``first``, and the folders that hold nothing else."""
    for day in folder.glob("dt=*"):
        with suppress(ValueError, OSError):
            if date.fromisoformat(day.name.removeprefix("dt=")) < first:
                for file in day.glob("*.jsonl"):
                    file.unlink()
                day.rmdir()


def close_leftovers(folder: Path) -> None:
    """Close the files of servers that were killed: a line that was cut short is taken away."""
    for part in folder.glob(f"dt=*/*.jsonl{_PART}"):
        with suppress(OSError), part.open("r+b") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where its server lives
            whole = handle.read().rfind(b"\n") + 1
            handle.truncate(whole)
            part.rename(part.with_suffix("")) if whole else part.unlink()
