"""The newest requests out of closed inference-log files; they come from outside, so each line is held to its form."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path

from leverframe.domain.monitoring.serving_skew import LookedUp
from leverframe.domain.release.replay import LoggedRequest, RequestLog

_LINE = 4_000_000  # bytes; a record of a hundred rows has some ten thousand
_WHOLE = 64_000_000  # bytes that are looked at, newest first: four files of the usual size
_LINES = 200_000  # that are looked at
_COUNT = 2_000  # bytes; such a line has no columns
_ID = 100  # characters that are kept
_FORMS = ("columns", "keys")


def newest(folder: Path, model: str, count: int) -> RequestLog:
    """Return the newest ``count`` requests of a model in ``dt=*/*.jsonl``, which are the files that are closed."""
    requests: list[LoggedRequest] = []
    malformed = 0
    for line in islice(_backwards(folder.glob("dt=*/*.jsonl")), _LINES):
        if len(requests) >= count:
            break
        if line is not None and is_count(line):
            continue
        request = None if line is None else logged_request(line)
        if request is None:
            malformed += 1
        elif request.model == model:
            requests.append(request)
    return RequestLog(tuple(reversed(requests)), malformed)


def is_count(line: bytes) -> bool:
    """Tell whether a line counts requests that were not answered; it holds none of them."""
    if b'"outcome"' not in line or len(line) > _COUNT:
        return False
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and record.get("outcome") in ("refused", "failed")


def logged_request(line: bytes) -> LoggedRequest | None:
    """Return the request that a line of a log tells of; None for a line that tells of none."""
    if len(line) > _LINE:
        return None
    try:
        record = json.loads(line)
        at, columns = datetime.fromisoformat(record["at"]), record["columns"]
        texts = [record[name] for name in ("id", "model", "form")]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(columns, dict) or not all(isinstance(column, list) for column in columns.values()):
        return None
    if at.tzinfo is None or not all(isinstance(text, str) for text in texts) or texts[2] not in _FORMS:
        return None
    # JSON may hold halves of characters, which no file of ours can.
    return LoggedRequest(texts[0][:_ID].encode(errors="replace").decode(), texts[1], at, texts[2], columns)


def newest_lookups(files: Iterable[Path], model: str, rows: int) -> tuple[LookedUp, ...]:
    """Return the newest requests by keys to a model that say what was looked up, up to so many rows."""
    requests: list[LookedUp] = []
    for line in islice(_backwards(files), _LINES):
        if sum(request.rows for request in requests) >= rows:
            break
        request = None if line is None or b'"features"' not in line else looked_up(line, model)
        if request is not None:
            requests.append(request)
    return tuple(reversed(requests))


def looked_up(line: bytes, model: str) -> LookedUp | None:
    """Return what a line says of a lookup for a model; None for a line that says nothing of one."""
    request = logged_request(line)
    if request is None or request.model != model or request.form != "keys":
        return None
    record = json.loads(line)
    features, predictions, bundle = (record.get(name) for name in ("features", "predictions", "bundle"))
    if not isinstance(features, dict) or not isinstance(predictions, list) or not isinstance(bundle, str):
        return None
    columns = [*features.values(), *request.columns.values()]
    if not all(isinstance(column, list) and len(column) == len(predictions) for column in columns):
        return None
    try:
        snapshot = datetime.fromisoformat(record["snapshot"])
    except (ValueError, KeyError, TypeError):
        return None
    if snapshot.tzinfo is None or not predictions:
        return None
    return LookedUp(request.id, request.at, bundle, request.columns, features, snapshot, predictions)


def _backwards(files: Iterable[Path]) -> Iterator[bytes | None]:
    """Yield lines of files, the newest first; None for a file that cannot be read."""
    room = _WHOLE
    for file in sorted(files, reverse=True):
        if room <= 0:
            return
        if not file.is_file():  # a pipe would keep us waiting
            continue
        try:
            data, whole = _tail(file, room)
        except OSError:
            yield None
            continue
        room -= len(data)
        yield from _lines(data, whole)


def _tail(file: Path, room: int) -> tuple[bytes, bool]:
    """Return the last ``room`` bytes of a file, and whether they are all of it."""
    with file.open("rb") as handle:
        size = handle.seek(0, os.SEEK_END)
        handle.seek(max(0, size - room))
        return handle.read(room), size <= room


def _lines(data: bytes, whole: bool) -> Iterator[bytes]:
    """Yield lines, the last first, one at a time: a list of millions would not fit; one that may be cut is left out."""
    end = len(data)
    while end >= 0:
        start = data.rfind(b"\n", 0, end)
        if start < 0 and not whole:
            return
        if start + 1 < end:
            yield data[start + 1 : end]
        end = start
