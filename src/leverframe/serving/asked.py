"""A request of the V2 protocol as it came in the body of a POST: its envelope is read, its values are not looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from leverframe.domain.model.bundle.input_check import Tensor
from leverframe.errors import RequestError
from leverframe.serving.content_types import Parameters
from leverframe.serving.envelope import LONGEST, PARAMETERS, TENSORS

_INTEGERS = frozenset(f"{kind}{bits}" for kind in ("INT", "UINT") for bits in (8, 16, 32, 64))
_DATATYPES = _INTEGERS | {"BOOL", "BYTES", "FP16", "FP32", "FP64"}


@dataclass(frozen=True)
class Asked:
    """A request as it came: its id, None where it has none, its inputs, and the outputs it wants, all of them if none.

    Values of inputs are whatever JSON held; the check of the schema looks at them.
    """

    id: str | None
    tensors: list[Tensor]
    outputs: frozenset[str] = frozenset()
    parameters: Parameters | None = None

    def plain(self) -> list[Tensor]:
        """Return the inputs with their values decoded; raises ``RequestError``."""
        return self.parameters.decoded(self.tensors) if self.parameters else self.tensors


def read(body: bytes) -> Asked:
    """Return the request in a body; raises ``RequestError`` that says where it is none."""
    try:
        content = orjson.loads(body)
    except ValueError as error:
        raise _unreadable(f"it is no JSON: {str(error)[:120]}") from error
    if not isinstance(content, dict):
        raise _unreadable("it is no object")
    name, inputs = content.get("id"), content.get("inputs")
    if name is not None and (not isinstance(name, str) or len(name) > LONGEST):
        raise _unreadable(f"`id` is no text of at most {LONGEST} characters")
    request = _parameters(content, "")
    if not isinstance(inputs, list) or not inputs:
        raise _unreadable("`inputs` is no list with at least one input")
    if len(inputs) > TENSORS:
        raise _unreadable(f"it has more than {TENSORS:,} inputs")
    tensors = [_tensor(number, part) for number, part in enumerate(inputs)]
    own = {number: _parameters(part, f"inputs.{number}.") for number, part in enumerate(inputs) if "parameters" in part}
    wanted = _wanted(content.get("outputs"))
    return Asked(name, tensors, frozenset(wanted), Parameters(request, own, {n: p for n, p in wanted.items() if p}))


def _tensor(number: int, content: Any) -> Tensor:
    try:
        name, shape, datatype, data = content["name"], content["shape"], content["datatype"], content["data"]
    except (TypeError, KeyError) as error:
        raise _unreadable(f"inputs.{number} has not name, shape, datatype and data") from error
    if type(name) is not str:
        raise _unreadable(f"inputs.{number}.name is no text")
    if type(shape) is not list or any(type(size) is not int for size in shape):
        raise _unreadable(f"inputs.{number}.shape is no list of whole numbers")
    if type(datatype) is not str or datatype not in _DATATYPES:
        raise _unreadable(f"inputs.{number}.datatype is {str(datatype)[:40]!r}, which the protocol does not know")
    return Tensor(name, shape, datatype, data)


def _parameters(content: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Return the parameters of a request or a part of it, none where it has none."""
    parameters = content.get("parameters")
    if not parameters and (parameters is None or isinstance(parameters, dict)):
        return {}
    few = isinstance(parameters, dict) and len(parameters) <= PARAMETERS
    if not few or any(isinstance(parameter, list | dict) for parameter in parameters.values()):
        raise _unreadable(f"`{where}parameters` is no object with at most {PARAMETERS} plain values")
    plain: Mapping[str, Any] = parameters
    return plain


def _wanted(outputs: Any) -> dict[str, Mapping[str, Any]]:
    """Return the parameters of the outputs that are wanted, by name."""
    try:
        wanted = {output["name"]: _parameters(output, f"outputs.{n}.") for n, output in enumerate(outputs or ())}
    except (TypeError, KeyError):
        wanted = {None: {}}
    if any(type(name) is not str for name in wanted):
        raise _unreadable("`outputs` is no list of objects with a name")
    return wanted


def _unreadable(why: str) -> RequestError:
    return RequestError("the request cannot be read", why=why, next="the metadata of the model describe what it takes")
