"""What the parameters of a request say of its values: how texts are encoded, and which rows of a tensor are missing.

MLServer's clients name a content type in the parameters of a tensor, or of the request for all of them. A value that is
encoded is decoded here, before anything looks at it; what this server does not decode it refuses, and never takes as it
is. A request without parameters never comes here.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leverframe.domain.features.request import timestamp
from leverframe.domain.model.bundle.input_check import Tensor
from leverframe.domain.model.bundle.schema import AS_OF, MAXIMUM_ROWS
from leverframe.errors import RequestError
from leverframe.serving.reserved import refuse_wrong

NULLS = "nulls"  # parameter of a tensor: the rows without a value, as "0,5"; gRPC has no null of its own
_PLAIN = ("str", "np")  # values are what they are
_KNOWN = "str, np, base64, hex, or datetime for `as_of`; pd for a whole request"


def content_type(parameters: Mapping[str, Any], where: str) -> str:
    """Return the content type that parameters name, in small letters, empty where they name none.

    Raises ``RequestError`` for one that is no text, and for two; ``where`` says whose the parameters are.
    """
    named = [value for name, value in parameters.items() if _names_a_type(name) and value is not None]
    for value in named:
        if not isinstance(value, str) or value != named[0]:
            raise _wrong(f"{where} has the content type {value!r:.40}", "a content type is one text")
    return str(named[0]).strip().lower() if named else ""


def _names_a_type(name: str) -> bool:
    return name.replace("-", "_").lower() in ("content_type", "contenttype")


def plain_parameters(tensor: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tensor whose parameters gRPC can carry: it has no lists, so they are JSON."""
    parameters = tensor.get("parameters") or {}
    lists = {name: json.dumps(value, ensure_ascii=False) for name, value in parameters.items() if type(value) is list}
    return {**tensor, "parameters": {**parameters, **lists}} if lists else dict(tensor)


@dataclass(frozen=True)
class Parameters:
    """The parameters of a request, and those of its inputs and outputs that have any, by their place or name."""

    request: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self.request or self.inputs or self.outputs)

    def decoded(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the inputs with the values that they have by their own parameters, or by those of the request.

        Raises ``RequestError`` for a content type that is unknown or of other data, for a value that is not of it,
        for an output that is wanted in another form than it has, and for a reserved parameter that is wrong.
        """
        refuse_wrong(self.request, "the request")
        for place, parameters in self.inputs.items():
            refuse_wrong(parameters, f"`{tensors[place].name[:60]}`")
        for name, parameters in self.outputs.items():
            refuse_wrong(parameters, f"output `{name[:60]}`")
            wanted = content_type(parameters, f"output `{name[:60]}`")
            if wanted and wanted not in _PLAIN:
                raise _wrong(f"output `{name[:60]}` is asked for as {wanted[:40]!r}", "it is sent as the metadata say")
        common = content_type(self.request, "the request")
        if common not in ("", "pd", *_PLAIN, *_DECODERS):
            raise _wrong(f"the request has the content type {common[:40]!r}", "this server does not decode it")
        return [_plain(tensor, self.inputs.get(place, {}), common) for place, tensor in enumerate(tensors)]


def _plain(tensor: Tensor, parameters: Mapping[str, Any], common: str) -> Tensor:
    """Return a tensor with its values decoded; those of the request hold for texts alone."""
    own = content_type(parameters, f"`{tensor.name[:60]}`")
    if own:
        tensor = _decoded(tensor, own)
    elif common in _DECODERS and tensor.datatype == "BYTES":
        tensor = _decoded(tensor, common)
    return _without(tensor, parameters[NULLS]) if NULLS in parameters else tensor


def _decoded(tensor: Tensor, kind: str) -> Tensor:
    name = f"`{tensor.name[:60]}`"
    if kind == "np" or (kind == "str" and tensor.datatype == "BYTES"):
        return tensor
    if kind == "datetime" and tensor.name == AS_OF:
        return tensor._replace(data=_texts_of(tensor, kind, _as_timestamp))
    if kind not in _DECODERS or tensor.datatype != "BYTES":
        why = f"its datatype is {tensor.datatype}" if kind in ("str", *_DECODERS) else "this server does not decode it"
        raise _wrong(f"{name} has the content type {kind[:40]!r}", why)
    return tensor._replace(data=_texts_of(tensor, kind, _DECODERS[kind]))


def _texts_of(tensor: Tensor, kind: str, decode: Callable[[str], str]) -> list[Any]:
    """Return the data with each text decoded; what is no text stays, for the check of the schema to refuse."""
    texts: list[Any] = []
    values = _flat(tensor.data)
    for row, value in enumerate(values if len(values) <= MAXIMUM_ROWS else ()):  # too many are refused for that
        if not isinstance(value, str | bytes) or value == b"":  # null, of which gRPC knows no more than no bytes
            texts.append(value)
            continue
        try:
            texts.append(decode(value.decode("ascii") if isinstance(value, bytes) else value))
        except (ValueError, RequestError) as error:
            shown = repr(value) if len(value) <= 40 else f"{value[:40]!r}..."
            raise _wrong(
                f"`{tensor.name[:60]}` in row {row} is {shown}", f"that is no {kind} of a text in UTF-8"
            ) from error
    return texts


def _flat(data: Any) -> list[Any]:
    """Return one value a row, nothing of what is no list: the check of the schema refuses it."""
    rows = data if isinstance(data, list) else []
    return [value[0] if type(value) is list and len(value) == 1 else value for value in rows]


def _base64(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-8")
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def _hex(text: str) -> str:
    if any(letter.isspace() for letter in text):
        raise ValueError("white space")
    return bytes.fromhex(text).decode("utf-8")


def _as_timestamp(text: str) -> str:
    timestamp(text)
    return text


_DECODERS: Mapping[str, Callable[[str], str]] = {"base64": _base64, "hex": _hex}


def _without(tensor: Tensor, rows: Any) -> Tensor:
    """Return the tensor without a value in some rows; no bytes in the others are an empty text."""
    short = isinstance(rows, str) and len(rows) <= 8 * MAXIMUM_ROWS
    numbers = [part.strip() for part in rows.split(",") if part.strip()] if short else ["?"]
    values = _flat(tensor.data)
    if not all(part.isascii() and part.isdigit() and int(part[:9]) < len(values) for part in numbers):
        kind = "" if isinstance(rows, str) else "it is no text; "
        raise RequestError(
            f"`{tensor.name[:60]}` has the parameter {NULLS} {str(rows)[:40]!r}",
            why=f"{kind}a text names the rows without a value, from 0 to {len(values) - 1}, as in '0,5'",
            next=f"name such rows, or leave {NULLS} out",
        )
    missing = set(map(int, numbers))
    kept = ["" if value == b"" else value for value in values]
    return tensor._replace(data=[None if row in missing else value for row, value in enumerate(kept)])


def _wrong(what: str, why: str) -> RequestError:
    return RequestError(what, why=why, next=f"leave the content type out and send plain values, or one of {_KNOWN}")
