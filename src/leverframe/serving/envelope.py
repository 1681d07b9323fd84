"""What a request may hold at most, looked at before MLServer makes objects of it.

MLServer hands a body to pydantic as it is. Four megabytes of ``{},{},`` in place of tensors are four errors each:
one such request held the server for 40 seconds and took 6 GB.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

from fastapi import HTTPException
from mlserver.rest.requests import Request

from leverframe.domain.bundle.schema import MAXIMUM_ROWS

TENSORS = 5_000  # inputs, and outputs that are asked for
DIMENSIONS = 8
PARAMETERS = 100
LONGEST = 256  # characters of an id


class BoundedRequest(Request):  # type: ignore[misc]
    """MLServer's request, whose JSON is refused with 400 where it holds more of anything than a model could use."""

    async def json(self) -> Any:
        """Return the content; raises ``HTTPException``."""
        content = await super().json()
        why = too_much(content)
        if why:
            raise HTTPException(400, why)
        return content


def too_much(content: Any) -> str:
    """Return what a request has too much of, empty if nothing; what is of another kind is left to MLServer."""
    if not isinstance(content, dict):
        return "" if not isinstance(content, list) else "the request cannot be read: it is a list, not an object"
    if isinstance(content.get("id"), str) and len(content["id"]) > LONGEST:
        return f"the id of a request has at most {LONGEST} characters"
    lists = [content.get(name) for name in ("inputs", "outputs")]
    tensors = [each for each in lists if isinstance(each, list)]
    if any(len(each) > TENSORS for each in tensors):
        return f"a request has at most {TENSORS:,} inputs and outputs"
    told = _parameters(content)
    for each in chain.from_iterable(tensors):
        if told or not isinstance(each, dict):
            return told or "the request cannot be read: an input is an object with name, shape, datatype and data"
        told = _tensor(each)
    return told


def _tensor(tensor: dict[str, Any]) -> str:
    name = str(tensor.get("name"))[:60]
    shape, data = tensor.get("shape"), tensor.get("data")
    if isinstance(shape, list) and len(shape) > DIMENSIONS:
        return f"`{name}` has {len(shape):,} dimensions; a column has the shape [rows] or [rows, 1]"
    if isinstance(data, list) and len(data) > MAXIMUM_ROWS:
        return _too_many(name)
    return _parameters(tensor)


def _parameters(owner: dict[str, Any]) -> str:
    found = owner.get("parameters")
    if not isinstance(found, dict):
        return ""
    if len(found) > PARAMETERS or any(isinstance(each, list | dict) for each in found.values()):
        return f"parameters are at most {PARAMETERS} plain values"
    return ""


def too_much_of(request: Any) -> str:
    """Return the same of a request in gRPC, where tensors may come as packed bytes."""
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
    return f"`{name[:60]}` has too many values; at most {MAXIMUM_ROWS:,} rows are answered at once"


def _texts(packed: bytes) -> int:
    """Return how many texts are packed, at most one more than may come."""
    found, at = 0, 0
    if len(packed) <= 4 * MAXIMUM_ROWS:  # each has its length before it, in four bytes
        return len(packed) // 4
    while at < len(packed) and found <= MAXIMUM_ROWS:
        at += 4 + int.from_bytes(packed[at : at + 4], "little")
        found += 1
    return found
