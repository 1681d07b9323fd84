"""Rows of a partition as requests to a real server, each for its own time, and their labels as a file."""

from __future__ import annotations

import csv
import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from leverframe.domain.features.training_set import AS_OF
from leverframe.domain.model.evaluate.holdout import local_days, numbered
from leverframe.domain.model.table import Table
from leverframe.errors import PipelineError

_CLIENTS, _ROWS = 2, 20  # at a time, and of a request
_PATIENCE = 30.0  # seconds for a server to close its log


@dataclass(frozen=True)
class TrafficCounts:
    """What was sent: rows, requests, and those that failed."""

    rows: int
    requests: int
    failed: int

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.rows:,} predictions in {self.requests:,} requests, {self.failed} failed"


@dataclass(frozen=True)
class Rows:
    """Rows of a partition of features in order of time: their values by column, as JSON has them."""

    values: Mapping[str, Sequence[Any]]

    @classmethod
    def of(cls, table: Table, *, until: datetime, timezone: str, daily: int) -> Rows:
        """Return about ``daily`` rows of each day before ``until``, spread evenly."""
        times = table.get_column(AS_OF).to_numpy().astype("datetime64[us]")
        order = np.argsort(times, kind="stable")
        order = order[times[order] < np.datetime64(until.astimezone(UTC).replace(tzinfo=None), "us")]
        days = numbered(local_days(times[order], timezone))
        count = np.bincount(days)
        place = np.arange(len(days)) - (np.cumsum(count) - count)[days]
        chosen = order[place * daily % count[days] < daily].tolist()
        columns = {}
        for name in table.columns:
            values = table.get_column(name).to_list()
            columns[name] = [_plain(values[row]) for row in chosen]
        return cls(columns)

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.values[AS_OF])


def sent(port: int, model: str, rows: Rows, name: str) -> TrafficCounts:
    """Send all rows; the id of a request is ``name`` with its number."""
    inputs = _inputs(port, model)
    bodies = list(_bodies(rows, name, inputs))
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
    return TrafficCounts(len(rows), len(bodies), answers.count(False))


def one(port: int, model: str, rows: Rows) -> bytes:
    """Return a request of the first row without its time, which every release takes for now."""
    inputs = {name: datatype for name, datatype in _inputs(port, model).items() if name != AS_OF}
    return next(_bodies(Rows({name: values[:1] for name, values in rows.values.items()}), "example", inputs))


def write_labels(path: Path, rows: Rows, name: str, label: str) -> None:
    """Write the labels of rows that were sent, as they arrive late: by request, place in it, and time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = zip(rows.values[label], rows.values[f"{label}_known_at"], strict=True)
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["id", "row", "label", "known_at"])
        for place, (value, at) in enumerate(known):
            if value is not None:
                writer.writerow([f"{name}-{place // _ROWS}", place % _ROWS, value, at])


def logged(log: Path, name: str, requests: int) -> None:
    """Wait until so many requests named ``name`` stand in closed files of a log, which only then are read."""
    until, begins = time.monotonic() + _PATIENCE, f'"id":"{name}-'.encode()
    while sum(path.read_bytes().count(begins) for path in log.glob("dt=*/*.jsonl")) < requests:
        if time.monotonic() > until:
            raise PipelineError(
                "the server does not close the files of its log",
                why=f"after {_PATIENCE:g} seconds {log} has fewer than the {requests:,} requests that were answered",
                next="set `serve.log.seconds` to a few seconds in `loop.levers` of demo.yaml",
            )
        time.sleep(0.1)


def _inputs(port: int, model: str) -> dict[str, str]:
    """Return the inputs of a model with their datatypes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", f"/v2/models/{model}")
    metadata = json.loads(connection.getresponse().read())
    connection.close()
    return {tensor["name"]: tensor["datatype"] for tensor in metadata["inputs"]}


def _bodies(rows: Rows, name: str, inputs: Mapping[str, str]) -> Iterator[bytes]:
    for first in range(0, len(rows), _ROWS):
        parts = {column: rows.values[column][first : first + _ROWS] for column in inputs if column in rows.values}
        tensors = [
            {"name": column, "datatype": inputs[column], "shape": [len(part), 1], "data": part}
            for column, part in parts.items()
        ]
        yield json.dumps({"id": f"{name}-{first // _ROWS}", "inputs": tensors}).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return None if isinstance(value, float) and not np.isfinite(value) else value
