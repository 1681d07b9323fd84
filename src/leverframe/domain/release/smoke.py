"""Test requests for a candidate before it gets traffic: rows with known predictions, and requests it must refuse."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from leverframe.domain.model.bundle.bundle_manifest import Manifest
from leverframe.domain.model.bundle.conversion import limits
from leverframe.domain.model.bundle.schema import AS_OF, Schema
from leverframe.domain.release.serve import request

OWN = "leverframe-check"  # begins the id of our own requests, which are no traffic and are not logged
_BYTES = 1_000_000  # of golden rows in one request: a thousand of long texts would be more than a server reads

Response = tuple[int, Mapping[str, Any]]


def golden_requests(schema: Schema, golden: Sequence[Mapping[str, Any]]) -> Iterator[tuple[bytes, list[Any]]]:
    """Yield bodies for the golden rows of each form, none too large for a server, with the predictions of training."""
    for _, group in groupby(golden, key=lambda row: row["form"]):
        yield from _requests(schema, list(group))


def _requests(schema: Schema, rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[bytes, list[Any]]]:
    body, half = _body(request(schema, [row["inputs"] for row in rows])), len(rows) // 2
    if half and len(body) > _BYTES:
        yield from _requests(schema, rows[:half])
        yield from _requests(schema, rows[half:])
    else:
        yield body, [row["prediction"] for row in rows]


def differs(schema: Schema, expected: Sequence[Any], response: Response, manifest: Manifest) -> str:
    """Return how a response differs from the expected predictions, empty where it does not."""
    status, content = response
    if status != 200:
        return f"the golden rows got status {status}: {str(content.get('error', ''))[:200]}"
    try:
        given = numbers(schema, content)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        return f"the response has not the form of the schema: {error!r}"
    if len(given) != len(expected):
        return f"{len(given)} rows were predicted instead of {len(expected)}"
    wanted = [expected_number(schema, prediction) for prediction in expected]
    allowed = limits(np.array(wanted, np.float64)[:, 0], manifest.tolerance, manifest.scale).tolist()
    for row, (ours, theirs, limit) in enumerate(zip(given, wanted, allowed, strict=True)):
        if len(ours) != len(theirs) or not all(abs(a - b) <= limit for a, b in zip(ours, theirs, strict=True)):
            return f"golden row {row} was predicted as {ours} instead of {theirs}"
    return ""


def numbers(schema: Schema, content: Mapping[str, Any]) -> list[list[float]]:
    """Return the numbers of a response, a list a row: predicted probabilities, or the prediction."""
    name = "prediction" if schema.label.kind == "regression" else "probability"
    output = {tensor["name"]: tensor for tensor in content["outputs"]}[name]
    width = len(schema.classes) if schema.label.kind == "multiclass" else 1
    flat = [float(value) for value in output["data"]]
    if not all(map(math.isfinite, flat)):
        raise ValueError("a number is not finite")
    return [flat[start : start + width] for start in range(0, len(flat), width)]


def expected_number(schema: Schema, prediction: Any) -> list[float]:
    """Return the numbers that the response of a server holds of a row's prediction."""
    if schema.label.kind == "regression":
        return [float(prediction)]
    if schema.label.kind == "binary":
        return [float(prediction[schema.classes.index("1")])]
    return [float(value) for value in prediction]


def bad_requests(schema: Schema, golden: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, bytes]]:
    """Yield requests with a name for what is wrong with each: a server responds to every one with 4xx."""
    row = golden[0]["inputs"]
    good: list[dict[str, Any]] = request(schema, [row])["inputs"]
    first, rest = good[0], good[1:]
    keys = [field.name for field in schema.keys if field.name != AS_OF]
    needed = next((tensor for tensor in good if tensor["name"] in keys), first)
    number = next((tensor for tensor in good if tensor["datatype"] in ("FP64", "INT64", "UINT64")), None)
    yield "no JSON", b'{"inputs": ['
    yield "nothing", b""
    yield "a list", b"[]"
    yield "no inputs", b"{}"
    yield "empty inputs", b'{"inputs": []}'
    yield "deep JSON", b'{"inputs": ' + b"[" * 3000 + b"]" * 3000 + b"}"
    yield "not a number", b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [NaN]}]}'
    if keys or not schema.keys:  # else the others may be a request by keys
        yield "a column too few", _body({"inputs": [tensor for tensor in good if tensor is not needed]})
    yield "a column twice", _body({"inputs": [*good, first]})
    yield "an unknown column", _body({"inputs": [*good, {**first, "name": "no such column"}]})
    yield "an unknown datatype", _body({"inputs": [{**first, "datatype": "COMPLEX"}, *rest]})
    yield "a negative shape", _body({"inputs": [{**first, "shape": [-1]}, *rest]})
    yield "an empty shape", _body({"inputs": [{**first, "shape": []}, *rest]})
    yield "a shape with too many rows", _body({"inputs": [{**first, "shape": [5, 1]}, *rest]})
    if rest:
        longer = {**first, "shape": [2], "data": first["data"] * 2}
        yield "columns of different lengths", _body({"inputs": [longer, *rest]})
    yield "a value that is an object", _body({"inputs": [{**first, "data": [{"a": 1}]}, *rest]})
    yield "data that are no list", _body({"inputs": [{**first, "data": "text"}, *rest]})
    if number is not None:
        others = [tensor for tensor in good if tensor is not number]
        yield "text for a number", _body({"inputs": [{**number, "data": ["twelve"]}, *others]})
        yield "a boolean for a number", _body({"inputs": [{**number, "data": [True]}, *others]})
        yield "a number beyond every double", _body({"inputs": [{**number, "data": [10**400]}, *others]})


def _body(content: Mapping[str, Any]) -> bytes:
    return json.dumps({"id": OWN, **content}, separators=(",", ":")).encode()
