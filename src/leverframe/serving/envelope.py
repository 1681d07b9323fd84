"""What a request over gRPC may hold at most, and where: looked at before MLServer makes objects of it.

Sixty thousand tensors of nothing held the server for seconds, and packed texts may be many and small.
"""

from __future__ import annotations

from itertools import chain
from math import prod
from typing import Any

from leverframe.domain.model.bundle.schema import MAXIMUM_ROWS

TENSORS = 5_000  # inputs, and outputs that are asked for
DIMENSIONS = 8
PARAMETERS = 100
LONGEST = 256  # characters of an id
_CONTENTS = {  # the field of a message that has the values of a datatype, and how many bytes one has when packed
    "BOOL": ("bool_contents", 1), "BYTES": ("bytes_contents", 0), "FP16": ("bytes_contents", 2),
    "FP32": ("fp32_contents", 4), "FP64": ("fp64_contents", 8),
    "INT8": ("int_contents", 1), "INT16": ("int_contents", 2), "INT32": ("int_contents", 4),
    "INT64": ("int64_contents", 8), "UINT8": ("uint_contents", 1), "UINT16": ("uint_contents", 2),
    "UINT32": ("uint_contents", 4), "UINT64": ("uint64_contents", 8),
}  # fmt: skip


def too_much_of(request: Any) -> str:
    """Return what a request has too much of, empty if nothing; its tensors may come as packed bytes."""
    if len(request.id) > LONGEST:
        return f"the id of a request has at most {LONGEST} characters"
    if max(len(request.inputs), len(request.outputs), len(request.raw_input_contents)) > TENSORS:
        return f"a request has at most {TENSORS:,} inputs and outputs"
    if any(len(message.parameters) > PARAMETERS for message in chain((request,), request.inputs, request.outputs)):
        return f"parameters are at most {PARAMETERS} plain values"
    for part in request.inputs:
        if len(part.shape) > DIMENSIONS:
            return f"`{part.name[:60]}` has {len(part.shape):,} dimensions; a column has the shape [rows] or [rows, 1]"
    given = [(tensor.name, len(values)) for tensor in request.inputs for _, values in tensor.contents.ListFields()]
    for packed, part in zip(request.raw_input_contents, request.inputs, strict=False):
        given.append((part.name, texts_in(packed) if part.datatype == "BYTES" else len(packed) // 8))
    name = next((name for name, values in given if values > MAXIMUM_ROWS), None)
    return "" if name is None else _too_many(name)


def misplaced_in(request: Any) -> str:
    """Return which values of a request are not where its datatype and shape say, empty if all are.

    MLServer takes one of several contents, whatever the datatype, and unpacks bytes without a look at their length.
    """
    empty = [tensor for tensor in request.inputs if not tensor.contents.ListFields()]
    for part in request.inputs:
        wanted, _ = _CONTENTS.get(part.datatype, ("", 0))
        filled = [field.name for field, _ in part.contents.ListFields()]
        if wanted and filled and filled != [wanted]:
            return f"`{part.name[:60]}` has values in {', '.join(filled)}; {part.datatype} has them in {wanted} alone"
    raw = request.raw_input_contents
    if raw and len(empty) < len(request.inputs):
        filled = next(tensor.name for tensor in request.inputs if tensor.contents.ListFields())
        return f"`{filled[:60]}` has contents beside raw contents; a request has values in one of them alone"
    if raw and len(raw) != len(empty):
        return f"the request has {len(raw)} raw contents for {len(empty)} inputs without values"
    faults = (unpackable(tensor, packed) for packed, tensor in zip(raw, empty, strict=False))
    parts = (request, *request.inputs, *request.outputs)
    return next(filter(None, faults), "") or next(filter(None, map(_unreadable_type, parts)), "")


def unpackable(tensor: Any, packed: bytes) -> str:
    """Return why packed values are not those of a tensor."""
    name, (_, width) = f"`{tensor.name[:60]}`", _CONTENTS.get(tensor.datatype, ("", 0))
    if tensor.datatype == "BYTES":
        at = 0
        while at < len(packed):
            at += 4 + int.from_bytes(packed[at : at + 4], "little")
        return f"{name} has raw contents that end within a text" if at != len(packed) else ""
    rows = prod(tensor.shape)
    if tensor.datatype == "BOOL" and packed.translate(None, b"\0\1"):
        return f"{name} has raw contents that are neither 0 nor 1"
    if width and len(packed) != width * rows:
        wanted = f"{rows:,} values of {tensor.datatype} have {width * rows:,}"
        return f"{name} has {len(packed):,} bytes of raw contents; {wanted}"
    return ""


def _unreadable_type(part: Any) -> str:
    """Return that a parameter of a request, an input or an output has no value, or that a content type is no text."""
    where = f"`{part.name[:60]}`" if hasattr(part, "name") else "the request"
    for name, parameter in part.parameters.items():
        kind = parameter.WhichOneof("parameter_choice")
        if kind is None:
            return f"{where} has the parameter `{name[:60]}` without a value"
        if name == "content_type" and kind != "string_param":
            return f"{where} has a content type that is no text"
    return ""


def _too_many(name: str) -> str:
    return f"`{name[:60]}` has too many values; at most {MAXIMUM_ROWS:,} rows per request"


def texts_in(packed: bytes) -> int:
    """Return how many texts are packed, at most one more than may come."""
    count, at = 0, 0
    if len(packed) <= 4 * MAXIMUM_ROWS:  # each has its length before it, in four bytes
        return len(packed) // 4
    while at < len(packed) and count <= MAXIMUM_ROWS:
        at += 4 + int.from_bytes(packed[at : at + 4], "little")
        count += 1
    return count
