"""Files of logs as servers write them, good lines and bad ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from leverframe.adapters.duckdb.requests import Requests
from leverframe.domain.features.online import microseconds_of
from leverframe.domain.monitoring.batch import Batch, LogFacts
from leverframe.domain.monitoring.log_names import day_of
from leverframe.domain.monitoring.log_query import LogFile, LogQuery
from leverframe.domain.monitoring.monitored_column import MonitoredColumn

MODEL = "shop"
DAY = datetime(2026, 1, 2, tzinfo=UTC)
COLUMNS = (
    MonitoredColumn("weight", "numeric"),
    MonitoredColumn("place", "categorical"),
    MonitoredColumn("early", "boolean"),
)
QUERY = LogQuery(MODEL, COLUMNS)


def record(**other: Any) -> dict[str, Any]:
    """Return a record of one row of Leverframe's log."""
    return {
        "at": "2026-01-02T10:00:00+00:00",
        "id": "a",
        "model": MODEL,
        "version": "3",
        "bundle": "b" * 64,
        "form": "columns",
        "rows": 1,
        "columns": {"weight": [1.5], "place": ["x"], "early": [1.0]},
        "predictions": [[0.25, 0.75]],
        "milliseconds": 1.5,
        **other,
    }


def line(**other: Any) -> bytes:
    """Return such a record as a line without its end."""
    return json.dumps(record(**other)).encode()


def written(folder: Path, *lines: bytes, name: str = "dt=2026-01-02/100000-1-0001.jsonl") -> Path:
    """Write a file of a log and return the folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return folder


def files_of(folder: Path) -> list[LogFile]:
    """Return every file of a folder, whatever its name."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if "." in path.name)
    return [LogFile(folder / name, name, day_of(name)) for name in names]


def read(folder: Path, query: LogQuery = QUERY) -> tuple[list[Batch], LogFacts]:
    """Return the batches of a folder and the facts of the log."""
    log = Requests(files_of(folder), query)
    return list(log.batches()), log.facts


def rows_of(batches: list[Batch]) -> int:
    """Return the number of rows of all batches."""
    return sum(batch.rows for batch in batches)


def microseconds(text: str) -> int:
    """Return a timestamp in microseconds since the epoch."""
    return microseconds_of(datetime.fromisoformat(text))
