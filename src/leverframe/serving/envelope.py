"""What a request over gRPC may hold at most, looked at before MLServer makes objects of it.

Sixty thousand tensors of nothing held the server for seconds, and packed texts may be many and small.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

from leverframe.domain.model.bundle.schema import MAXIMUM_ROWS

TENSORS = 5_000  # inputs, and outputs that are asked for
DIMENSIONS = 8
PARAMETERS = 100
LONGEST = 256  # characters of an id


def too_much_of(request: Any) -> str:
    """Return what a request has too much of, empty if nothing; its tensors may come as packed bytes."""
    if len(request.id) > LONGEST:
        return f"the id of a request has at most {LONGEST} characters"
    if max(len(request.inputs), len(request.outputs), len(request.raw_input_contents)) > TENSORS:
        return f"a request has at most {TENSORS:,} inputs and outputs"
    if any(len(each.parameters) > PARAMETERS for each in chain((request,), request.inputs, request.outputs)):
        return f"parameters are at most {PARAMETERS} plain values"
    for each in request.inputs:
        if len(each.shape) > DIMENSIONS:
            return f"`{each.name[:60]}` has {len(each.shape):,} dimensions; a column has the shape [rows] or [rows, 1]"
    given = [(each.name, len(values)) for each in request.inputs for _, values in each.contents.ListFields()]
    for packed, each in zip(request.raw_input_contents, request.inputs, strict=False):
        given.append((each.name, _texts(packed) if each.datatype == "BYTES" else len(packed) // 8))
    found = next((name for name, values in given if values > MAXIMUM_ROWS), None)
    return "" if found is None else _too_many(found)


def _too_many(name: str) -> str:
    return f"`{name[:60]}` has too many values; at most {MAXIMUM_ROWS:,} rows per request"


def _texts(packed: bytes) -> int:
    """Return how many texts are packed, at most one more than may come."""
    found, at = 0, 0
    if len(packed) <= 4 * MAXIMUM_ROWS:  # each has its length before it, in four bytes
        return len(packed) // 4
    while at < len(packed) and found <= MAXIMUM_ROWS:
        at += 4 + int.from_bytes(packed[at : at + 4], "little")
        found += 1
    return found
