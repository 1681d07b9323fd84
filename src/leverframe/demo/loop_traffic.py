"""Rows of a partition as requests to a real server, each for its own time, and their labels as a file."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from leverframe.domain.features.training_set import AS_OF
from leverframe.errors import PipelineError

_CLIENTS, _ROWS = 2, 20  # at a time, and of a request
_PATIENCE = 30.0  # seconds for a server to close its log


@dataclass(frozen=True)
class Sent:
    """What was sent: rows, requests, and those that failed."""

    rows: int
    requests: int
    failed: int

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.rows:,} predictions in {self.requests:,} requests, {self.failed} failed"


def rows_of(path: Path, *, until: datetime, timezone: str, daily: int) -> pl.DataFrame:
    """Return about ``daily`` rows of each day of a partition of features, spread evenly, in order of time."""
    day = pl.col(AS_OF).dt.convert_time_zone(timezone).dt.date()
    rows, place = pl.col(AS_OF).len().over(day), pl.int_range(pl.len()).over(day)
    table = pl.read_parquet(path).filter(pl.col(AS_OF) < until).sort(AS_OF)
    return table.filter(place * daily % rows < daily)


def sent(port: int, model: str, rows: pl.DataFrame, name: str) -> Sent:
    """Send all rows; the id of a request is ``name`` with its number."""
    inputs = _inputs(port, model)
    columns = {each: _values(rows[each]) for each in inputs if each in rows.columns}
    bodies = [
        json.dumps(_body(f"{name}-{first // _ROWS}", inputs, columns, slice(first, first + _ROWS))).encode()
        for first in range(0, rows.height, _ROWS)
    ]
    connections = threading.local()

    def answered(body: bytes) -> bool:
        if not hasattr(connections, "one"):
            connections.one = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connections.one.request("POST", f"/v2/models/{model}/infer", body, {"content-type": "application/json"})
        response = connections.one.getresponse()
        response.read()
        return bool(response.status == 200)

    with ThreadPoolExecutor(_CLIENTS) as clients:
        answers = list(clients.map(answered, bodies))
    return Sent(rows.height, len(bodies), answers.count(False))


def write_labels(path: Path, rows: pl.DataFrame, name: str, label: str) -> None:
    """Write the labels of rows that were sent, as they arrive late: by request, place in it, and time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number = pl.int_range(pl.len())
    rows.select(
        id=pl.lit(f"{name}-") + (number // _ROWS).cast(pl.String),
        row=number % _ROWS,
        label=pl.col(label),
        known_at=pl.col(f"{label}_known_at"),
    ).filter(pl.col("label").is_not_null()).write_parquet(path)


def closed(log: Path) -> None:
    """Wait until a server has closed the files of its log, which only then are read."""
    until = time.monotonic() + _PATIENCE
    while any(log.glob("dt=*/*.part")):
        if time.monotonic() > until:
            raise PipelineError(
                "the server does not close the files of its log",
                why=f"after {_PATIENCE:g} seconds there is an open one in {log}",
                next="set `serve.log.seconds` to a few seconds in `loop.levers` of demo.yaml",
            )
        time.sleep(0.1)


def _inputs(port: int, model: str) -> dict[str, str]:
    """Return the inputs of a model with their datatypes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", f"/v2/models/{model}")
    found = json.loads(connection.getresponse().read())
    connection.close()
    return {each["name"]: each["datatype"] for each in found["inputs"]}


def _values(column: pl.Series) -> list[Any]:
    if column.dtype.is_temporal():
        return [None if value is None else value.isoformat() for value in column.to_list()]
    if column.dtype.is_float():
        column = column.fill_nan(None)
    return column.to_list()


def _body(id: str, inputs: Mapping[str, str], columns: Mapping[str, Sequence[Any]], rows: slice) -> dict[str, Any]:
    tensors = [
        {"name": name, "datatype": inputs[name], "shape": [len(values[rows]), 1], "data": list(values[rows])}
        for name, values in columns.items()
    ]
    return {"id": id, "inputs": tensors}
