"""What a datatype makes of the numbers in JSON, and servers that take none but the datatypes of the metadata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from leverframe.domain.model.bundle.input_check import Tensor
from leverframe.domain.model.bundle.metadata import datatype
from leverframe.domain.model.bundle.schema import Schema
from leverframe.errors import RequestError

_SINGLE = float(np.finfo(np.float32).max)


def singles(data: Any) -> Any:
    """Return the data of an `FP32` of JSON with each number as single precision has it, and gRPC sends it.

    What is no number in its range stays, for the check of the schema to refuse.
    """
    if type(data) is not list:
        return data
    if set(map(type, data)) == {float}:
        numbers = np.array(data, np.float64)
        if (np.abs(numbers) <= _SINGLE).all():
            return numbers.astype(np.float32).tolist()
    return [[_single(value[0])] if type(value) is list and len(value) == 1 else _single(value) for value in data]


def _single(value: Any) -> Any:
    return float(np.float32(value)) if type(value) in (int, float) and abs(value) <= _SINGLE else value


def refuse_undeclared(schema: Schema, tensors: Sequence[Tensor]) -> None:
    """Raise ``RequestError`` for the first input of a checked request that converts what the protocol lets it convert.

    That is another datatype than the declared one, and a whole number that is written as a fraction: 2.0 as INT64.
    """
    fields = {field.name: field for field in (*schema.keys, *schema.columns)}  # of both forms, as the metadata has them
    for tensor in tensors:
        wanted = datatype(fields[tensor.name])
        if tensor.datatype != wanted:
            raise _refused(f"`{tensor.name}` has the datatype {tensor.datatype}", wanted)
        for row, value in enumerate(tensor.data if "INT" in wanted else ()):
            number = value[0] if type(value) is list else value
            if type(number) is float:
                raise _refused(f"`{tensor.name}` in row {row} is {number!r}", wanted)


def _refused(what: str, wanted: str) -> RequestError:
    return RequestError(
        what, why=f"the metadata of the model declare {wanted}, and this server converts nothing (`serve.datatypes`)",
        next=f"send {wanted}",
    )  # fmt: skip
