"""A request of the V2 protocol as it came in the body of a POST: its envelope is read, its values are not looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from leverframe.domain.model.bundle.input_check import Tensor
from leverframe.domain.release.smoke import OWN
from leverframe.errors import RequestError
from leverframe.serving.binary import SIZE, Tail
from leverframe.serving.content_types import Parameters
from leverframe.serving.datatypes import singles
from leverframe.serving.envelope import DIMENSIONS, LONGEST, PARAMETERS, TENSORS
from leverframe.serving.repeated import refuse_repeated

_INTEGERS = frozenset(f"{kind}{bits}" for kind in ("INT", "UINT") for bits in (8, 16, 32, 64))
_FIELDS = frozenset({"id", "model_name", "model_version", "parameters", "inputs", "outputs"})  # KServe names the model
_PLAIN = frozenset({"name", "shape", "datatype", "data"})
_TENSOR_FIELDS = _PLAIN | {"parameters"}
_OUTPUT_FIELDS = frozenset({"name", "parameters"})
_DATATYPES = _INTEGERS | {"BOOL", "BYTES", "FP16", "FP32", "FP64"}


@dataclass(frozen=True)
class V2Request:
    """A request as it came: its id, None where it has none, its inputs, and the outputs it wants, all of them if none.

    Values of inputs are whatever JSON held; the check of the schema looks at them. ``internal`` requests are no
    traffic: a deployment tests by them.
    """

    id: str | None
    tensors: list[Tensor]
    outputs: frozenset[str] = frozenset()
    parameters: Parameters | None = None
    internal: bool = False

    def plain(self) -> list[Tensor]:
        """Return the inputs with their values decoded; raises ``RequestError``."""
        return self.parameters.decoded(self.tensors) if self.parameters else self.tensors

    def many(self, rows: int) -> bool:
        """Tell whether an input has more values than so many rows."""
        return any(type(tensor.data) is list and len(tensor.data) > rows for tensor in self.tensors)


def read(body: bytes, packed: str | None = None, own: bool = False) -> V2Request:
    """Return the request in a body; raises ``RequestError`` that says where it is none.

    ``packed`` is how many of its bytes are JSON, where values may stand behind it. ``own`` says that who sent it
    has the key of the server.
    """
    tail = None if packed is None else Tail(body, packed)
    text = body if tail is None else tail.json
    try:
        content = orjson.loads(text)
    except ValueError as error:
        raise _unreadable(f"it is no JSON: {str(error)[:120]}") from error
    if not isinstance(content, dict):
        raise _unreadable("it is no object")
    _refuse_unknown(content, _FIELDS, "")
    name, inputs = content.get("id"), content.get("inputs")
    if name is not None and (not isinstance(name, str) or len(name) > LONGEST):
        raise _unreadable(f"`id` is no text of at most {LONGEST} characters")
    request = _parameters(content, "")
    if not isinstance(inputs, list) or not inputs:
        raise _unreadable("`inputs` is no list with at least one input")
    if len(inputs) > TENSORS:
        raise _unreadable(f"it has more than {TENSORS:,} inputs")
    parts = [_tensor(number, part, tail) for number, part in enumerate(inputs)]
    if tail is not None:
        tail.end()
    given = {place: parameters for place, (_, parameters) in enumerate(parts) if parameters}
    wanted = _wanted(content.get("outputs"))
    refuse_repeated(text, content)
    outputs = {output: parameters for output, parameters in wanted.items() if parameters}
    internal = own and name is not None and name.startswith(OWN)
    tensors = [tensor for tensor, _ in parts]
    return V2Request(name, tensors, frozenset(wanted), Parameters(request, given, outputs), internal)


def _tensor(number: int, content: Any, tail: Tail | None) -> tuple[Tensor, Mapping[str, Any]]:
    """Return an input with its values and its parameters."""
    try:
        name, shape, datatype = content["name"], content["shape"], content["datatype"]
        data = content["data"] if tail is None or "data" in content else None
    except (TypeError, KeyError) as error:
        raise _unreadable(f"inputs.{number} has not name, shape, datatype and data") from error
    if type(name) is not str:
        raise _unreadable(f"inputs.{number}.name is no text")
    if type(shape) is not list or len(shape) > DIMENSIONS or any(type(size) is not int for size in shape):
        raise _unreadable(f"inputs.{number}.shape is no list of at most {DIMENSIONS} whole numbers")
    if type(datatype) is not str or datatype not in _DATATYPES:
        raise _unreadable(f"inputs.{number}.datatype is {str(datatype)[:40]!r}, which the protocol does not know")
    parameters: Mapping[str, Any] = {}
    if tail is not None or len(content) > len(_PLAIN):  # most have no parameters, and nothing unknown
        _refuse_unknown(content, _TENSOR_FIELDS, f"inputs.{number}.")
        parameters = _parameters(content, f"inputs.{number}.")
        if tail is not None and SIZE in parameters:
            if "data" in content:
                raise _unreadable(f"inputs.{number} has data and {SIZE}: values stand in one place")
            data = tail.taken(name, shape, datatype, parameters[SIZE])
            rest = {known: value for known, value in parameters.items() if known != SIZE}
            return Tensor(name, shape, datatype, data), rest
    return Tensor(name, shape, datatype, singles(data) if datatype == "FP32" else data), parameters


def _refuse_unknown(content: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    """Raise ``RequestError`` for a field that the protocol has not: it may be one that is written wrong."""
    if not content.keys() <= known:
        unknown = next(name for name in content if name not in known)
        raise _unreadable(f"`{where}{unknown[:60]}` is no field of the protocol")


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
    for number, output in enumerate(outputs if isinstance(outputs, list) else ()):
        if isinstance(output, dict):
            _refuse_unknown(output, _OUTPUT_FIELDS, f"outputs.{number}.")
    try:
        wanted = {output["name"]: _parameters(output, f"outputs.{n}.") for n, output in enumerate(outputs or ())}
    except (TypeError, KeyError):
        wanted = {None: {}}
    if any(type(name) is not str for name in wanted):
        raise _unreadable("`outputs` is no list of objects with a name")
    return wanted


def _unreadable(why: str) -> RequestError:
    return RequestError("the request cannot be read", why=why, next="the metadata of the model describe what it takes")
