"""Golden rows: requests of both forms with the predictions of the trained model, which every server must give.

They are drawn from the hold-out, and pass the check of requests before they are packed: what a server refuses is said
where the model is bundled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.bounded import json_of
from leverframe.domain.features.plan import Plan
from leverframe.domain.features.request import Requests
from leverframe.domain.features.snapshot.store import Store
from leverframe.domain.features.training_set import Feature
from leverframe.domain.features.vector import as_inputs, vectors
from leverframe.domain.model.bundle.input_check import Tensor, checked, strict_features, unaccepted
from leverframe.domain.model.bundle.metadata import datatype
from leverframe.domain.model.bundle.schema import AS_OF, Schema
from leverframe.errors import BundleError, RequestError

_EXACT = 2**53  # up to which a double holds each whole number

Row = dict[str, Any]
Predict = Callable[[Mapping[str, NDArray[Any]]], NDArray[np.float64]]


def golden_row(line: bytes) -> Row:
    """Return a row as a bundle has it; raises ``ValueError`` for what is none."""
    row = json_of(line)
    if not (isinstance(row, dict) and {"form", "inputs", "prediction"} <= set(row) and isinstance(row["inputs"], dict)):
        raise ValueError("a golden row has form, inputs and prediction")
    return row


def by_columns(schema: Schema, predict: Predict, columns: Mapping[str, NDArray[Any]], count: int) -> list[Row]:
    """Return ``count`` rows spread over the hold-out, as raw columns."""
    rows = len(next(iter(columns.values())))
    chosen = np.unique(np.linspace(0, rows - 1, min(rows, count)).astype(np.int64))
    few = {name: column[chosen] for name, column in columns.items()}
    booleans = {field.name for field in schema.columns if field.kind == "boolean"}
    sent = {name: as_sent(column) if name in booleans else column for name, column in few.items()}
    return _rows("columns", sent, predict(few))


def by_keys(
    schema: Schema, predict: Predict, fields: Mapping[str, Any], looked_in: tuple[Plan, Store, Sequence[Feature]],
    count: int,
) -> list[Row]:  # fmt: skip
    """Return the newest ``count`` rows of the hold-out that can be asked by their keys at the time of the snapshot.

    ``fields`` are the columns of a request and ``as_of``, all rows of the hold-out each.

    Raises ``BundleError`` where the snapshot gives no row everything that the model needs.
    """
    plan, store, features = looked_in
    timestamp, why = store.about().as_of, ""
    for rows in _newest(len(fields[AS_OF]), count):
        part = {name: column[rows] for name, column in fields.items() if name != AS_OF}
        asked = Requests(part, np.full(len(rows), timestamp, np.int64))
        inputs = as_inputs(vectors(plan, store, asked), features)
        refused = dict(unaccepted(strict_features(schema), inputs))
        kept = [row for row in range(len(rows)) if row not in refused][-count:]
        why = why or next((f"{error.what}: {error.why}" for error in refused.values()), "")
        if kept:
            at = np.full(len(kept), f"{np.datetime64(timestamp, 'us')}Z", object)
            sent = {**{name: column[kept] for name, column in part.items()}, AS_OF: at}
            return _rows("keys", sent, predict({name: column[kept] for name, column in inputs.items()}))
    raise BundleError(
        "no row of the hold-out can be requested by its keys",
        why=why or "the hold-out is empty",
        next="let the model take missing values, as with an imputer, or leave the feature out of `features.select`",
    )


def refuse_unservable(schema: Schema, golden: Sequence[Row]) -> None:
    """Raise ``BundleError`` for the first golden row that a server would refuse."""
    for form in sorted({row["form"] for row in golden}):
        try:
            checked(schema, tensors(schema, [row for row in golden if row["form"] == form]))
        except RequestError as error:
            raise BundleError(
                f"a server would refuse golden rows by {form}: {error.what}",
                why=f"{error.why}; the row is one of the hold-out",
                next="let the contract of the spine in contracts.py allow what its rows hold, or correct the rows",
            ) from error


def tensors(schema: Schema, rows: Sequence[Mapping[str, Any]]) -> list[Tensor]:
    """Return golden rows of one form as the tensors of one request."""
    fields = schema.columns if rows[0]["form"] == "columns" else schema.keys
    types = {field.name: datatype(field) for field in fields}
    return [Tensor(name, [len(rows)], types[name], [row["inputs"][name] for row in rows]) for name in rows[0]["inputs"]]


def as_sent(column: NDArray[Any]) -> NDArray[Any]:
    """Return a boolean feature as a client sends it; a model takes it as a number."""
    return np.array([None if np.isnan(value) else bool(value) for value in column.astype(np.float64)], object)


def _newest(rows: int, count: int) -> Iterator[NDArray[np.int64]]:
    """Yield the newest places among ``rows``, more of them each time."""
    for most in dict.fromkeys(min(rows, size) for size in (count, 64 * count, rows)):
        if most:
            yield np.arange(rows - most, rows)


def _rows(form: str, columns: Mapping[str, Any], predictions: NDArray[np.float64]) -> list[Row]:
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [
        {"form": form, "inputs": dict(zip(columns, map(_plain, row), strict=True)), "prediction": prediction}
        for row, prediction in zip(rows, predictions.tolist(), strict=True)
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        if value != value:  # noqa: PLR0124 - NaN
            return None
        return int(value) if value.is_integer() and abs(value) <= _EXACT else value
    return value
