"""Values as bytes behind the JSON of a body, the extension `binary_tensor_data`, a default of Triton's clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from leverframe.domain.model.bundle.input_check import Tensor
from leverframe.domain.model.bundle.schema import MAXIMUM_ROWS
from leverframe.errors import RequestError
from leverframe.serving.content_types import Parameters
from leverframe.serving.envelope import texts_in, unpackable

EXTENSION = "binary_tensor_data"
SIZE = "binary_data_size"
_TYPES = {
    "BOOL": "?", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
    **{f"INT{8 * size}": f"<i{size}" for size in (1, 2, 4, 8)},
    **{f"UINT{8 * size}": f"<u{size}" for size in (1, 2, 4, 8)},
}  # fmt: skip


class Tail:
    """The bytes behind the JSON, of which each input takes its own in turn."""

    def __init__(self, body: bytes, length: str) -> None:
        """Find where the JSON ends, by what the header says; raises ``RequestError``."""
        end = int(length) if length.isascii() and length.isdigit() and len(length) < 20 else len(body) + 1
        if end > len(body):
            raise _wrong(f"its header `inference-header-content-length` is {length[:30]!r}", "a body ends before that")
        self.json, self._rest, self._at = body[:end], body, end

    def taken(self, name: str, shape: Any, datatype: str, size: Any) -> list[Any]:
        """Return the values of an input that has so many of the bytes; raises ``RequestError``."""
        if type(size) is not int or not 0 <= size <= len(self._rest) - self._at:
            left = len(self._rest) - self._at
            raise _wrong(f"`{name[:60]}` has the parameter {SIZE} {size!r:.40}", f"{left:,} bytes are left for it")
        packed = self._rest[self._at : self._at + size]
        self._at += size
        fault = unpackable(Tensor(name, shape, datatype, None), packed)
        if fault:
            raise _wrong(fault, "its datatype and shape say otherwise")
        if (texts_in(packed) if datatype == "BYTES" else size // np.dtype(_TYPES[datatype]).itemsize) > MAXIMUM_ROWS:
            raise _wrong(f"`{name[:60]}` has too many values", f"a request has at most {MAXIMUM_ROWS:,} rows")
        return _texts(packed) if datatype == "BYTES" else np.frombuffer(packed, _TYPES[datatype]).tolist()

    def end(self) -> None:
        """Raise ``RequestError`` where bytes are left that belong to no input."""
        if self._at != len(self._rest):
            raise _wrong(f"{len(self._rest) - self._at:,} bytes are behind the last input", f"no {SIZE} names them")


def packed(reply: Mapping[str, Any], wanted: Parameters) -> tuple[bytes, int | None]:
    """Return the body of a response, with those outputs as bytes that a request wants so.

    And how many bytes of it are JSON; None where all of them are.
    """
    every = wanted.request.get("binary_data_output") is True
    outputs, tails = [], []
    for output in reply["outputs"]:
        if wanted.outputs.get(output["name"], {}).get("binary_data", every) is not True:
            outputs.append(output)
            continue
        tails.append(_bytes_of(output["datatype"], output["data"]))
        parameters = {**output.get("parameters", {}), SIZE: len(tails[-1])}
        outputs.append({**{name: output[name] for name in output if name != "data"}, "parameters": parameters})
    if not tails:
        return orjson.dumps(reply), None
    head = orjson.dumps({**reply, "outputs": outputs})
    return b"".join([head, *tails]), len(head)


def _texts(data: bytes) -> list[bytes]:
    texts, at = [], 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        texts.append(data[at + 4 : end])
        at = end
    return texts


def _bytes_of(datatype: str, values: list[Any]) -> bytes:
    if datatype != "BYTES":
        return np.array(values, _TYPES[datatype]).tobytes()
    texts = [str(value).encode() for value in values]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def _wrong(what: str, why: str) -> RequestError:
    return RequestError(what, why=why, next="send the values in JSON, or as the extension for binary tensors says")
