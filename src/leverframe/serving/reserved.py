"""The parameters that the protocol and its extensions reserve: of the right kind, and none that this server has not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leverframe.errors import RequestError

_KINDS: Mapping[str, tuple[frozenset[type], str]] = {
    "sequence_id": (frozenset({int, str}), "a whole number or a text"),
    "sequence_start": (frozenset({bool}), "true or false"),
    "sequence_end": (frozenset({bool}), "true or false"),
    "priority": (frozenset({int}), "a whole number"),
    "timeout": (frozenset({int}), "a whole number"),
    "binary_data_output": (frozenset({bool}), "true or false"),
    "binary_data": (frozenset({bool}), "true or false"),
}
_ABSENT = {
    "shared_memory_region": "it shares no memory with clients",
    "shared_memory_byte_size": "it shares no memory with clients",
    "shared_memory_offset": "it shares no memory with clients",
    "classification": "it has the outputs that the metadata name, and no others",
    "binary_data_size": "no bytes behind the JSON belong to it",
}


def refuse_wrong(parameters: Mapping[str, Any], where: str) -> None:
    """Raise ``RequestError`` for a reserved parameter of another kind, or of an extension that is not there.

    Ignored it would be a request that was answered otherwise than it says. Others are the client's own.
    """
    for name, value in parameters.items():
        if name in _ABSENT:
            raise RequestError(
                f"{where} has the parameter `{name}`", why=f"this server does not do that: {_ABSENT[name]}",
                next="send the values themselves, and leave the parameter out",
            )  # fmt: skip
        kinds, words = _KINDS.get(name, (None, ""))
        if kinds is not None and value is not None and type(value) not in kinds:
            raise RequestError(
                f"{where} has the parameter `{name}` {value!r:.40}", why=f"the protocol wants {words}",
                next="send that, or leave the parameter out",
            )  # fmt: skip
