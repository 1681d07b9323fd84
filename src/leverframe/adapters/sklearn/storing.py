"""How a model becomes bytes that are the same for the same model, and when bytes are opened.

Skops writes memory addresses, random names, the time of day and what lay in unused memory into
its archive; here addresses and names become an order of first appearance, the rest zero.
Opening trusts the types that skops trusts, those of ``known_types``, and those that the caller
names; anything else is refused by name.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import skops.io

from leverframe.adapters.sklearn.known_types import DEQUE, known
from leverframe.adapters.sklearn.tree_bounds import sound
from leverframe.errors import EstimatorError
from leverframe.words import kind_and_line

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that an archive can carry
_VALUES = ("JsonNode", "TypeNode")  # immutable: which of them share an address is an accident


def dumped(model: Any) -> bytes:
    """Return the canonical bytes of a model; raises ``EstimatorError`` for a part that skops cannot store."""
    try:
        return canonical(bytes(skops.io.dumps(model)))
    except Exception as error:
        raise EstimatorError(
            f"{type(model).__name__} cannot be stored",
            why=f"skops has no form for a part of it: {kind_and_line(error)}",
            next="replace that part, often a lambda or an open handle, by a class or a named function",
        ) from error


def types_to_trust(data: bytes) -> list[str]:
    """Return the types in a model that skops does not trust; raises ``EstimatorError`` for a damaged file."""
    try:
        return list(skops.io.get_untrusted_types(data=data)) if data else _no_bytes()
    except Exception as error:
        raise _damaged(error) from error


def check_types(types: Collection[str], declared: Collection[str]) -> None:
    """Raise ``EstimatorError`` with all of ``types`` that are neither known nor ``declared`` by the settings."""
    nameless = [name for name in types if "<" in name]
    if nameless:
        raise EstimatorError(
            f"the model holds {_listed(nameless)}, which cannot be stored",
            why="a function or class without a name of its own in a module cannot be found again",
            next="give it a name at the top level of a module",
        )
    if DEQUE in types:
        raise EstimatorError(
            f"the model holds a `{DEQUE}`, which cannot be stored",
            why="skops stores it without its items, so that the model that is opened is another one",
            next="hold a list in its place",
        )
    unknown = [name for name in types if not known(name) and name not in declared]
    if unknown:
        one = len(unknown) == 1
        raise EstimatorError(
            f"the model holds {'the type' if one else f'{len(unknown)} types'} {_listed(unknown)}, "
            f"which {'is' if one else 'are'} not trusted",
            why="opening a model of unknown types can run any code",
            next=f"if {'it is' if one else 'all are'} yours, write "
            f"`trusted_types: [{', '.join([*declared, *unknown])}]` under `train` in params.yaml and commit it; "
            "if not, do not open the file",
        )


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def opened(data: bytes) -> Any:
    """Return the model in bytes whose types were checked; raises ``EstimatorError`` for a damaged file."""
    try:
        model = skops.io.loads(data, trusted=types_to_trust(data))
    except EstimatorError:
        raise
    except Exception as error:
        raise _damaged(error) from error
    if not sound(model):
        raise _damaged(ValueError("a tree points outside of itself"))
    return model


def canonical(data: bytes) -> bytes:
    """Return a skops file with its addresses, names and dates replaced by an order of first appearance.

    Two files of one model become equal; what they load stays the same. Members are stored
    without compression, whose result depends on the version of the library.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        schema = json.loads(archive.read("schema.json"))
        order = _Order()
        content = {name: archive.read(name) for name in archive.namelist() if name != "schema.json"}
        text = json.dumps(order.renamed(schema, content), separators=(",", ":"))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for old, new in order.files.items():
            archive.writestr(zipfile.ZipInfo(new, _EPOCH), _without_gaps(content[old]))
        archive.writestr(zipfile.ZipInfo("schema.json", _EPOCH), text)
    return out.getvalue()


def _without_gaps(member: bytes) -> bytes:
    """Return an array of records with zeros between its fields, where memory left what it held before."""
    if not member.startswith(np.lib.format.MAGIC_PREFIX):
        return member
    records = np.load(io.BytesIO(member), allow_pickle=False)
    if not records.dtype.names:
        return member
    clean = np.zeros(records.shape, records.dtype)
    for name in records.dtype.names:
        clean[name] = records[name]
    out = io.BytesIO()
    np.save(out, clean, allow_pickle=False)
    return out.getvalue()


class _Order:
    """Numbers addresses and files in the order in which a schema names them, from 1."""

    def __init__(self) -> None:
        self.ids: dict[int, int] = {}
        self.files: dict[str, str] = {}

    def renamed(self, node: Any, files: Mapping[str, bytes]) -> Any:
        """Return the schema below ``node`` with numbers for addresses and names."""
        if isinstance(node, list):
            return [self.renamed(child, files) for child in node]
        if not isinstance(node, dict):
            return node
        if node.get("__loader__") == "SetNode":
            node = {**node, "content": sorted(node["content"], key=_without_ids)}
        return {key: self._value(key, value, node, files) for key, value in node.items() if not _accident(key, node)}

    def _value(self, key: str, value: Any, node: dict[str, Any], files: Mapping[str, bytes]) -> Any:
        if key == "__id__":
            return self.ids.setdefault(value, len(self.ids) + 1)
        if key == "file" and "__loader__" in node and value in files:
            return self.files.setdefault(value, f"{len(self.files) + 1:05d}{Path(value).suffix}")
        return self.renamed(value, files)


def _accident(key: str, node: dict[str, Any]) -> bool:
    return key == "__id__" and node.get("__loader__") in _VALUES


def _without_ids(node: Any) -> str:
    # The order of a set of texts depends on the hash seed of the process.
    return json.dumps(_stripped(node), sort_keys=True)


def _stripped(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _stripped(value) for key, value in node.items() if key != "__id__"}
    return [_stripped(child) for child in node] if isinstance(node, list) else node


def _no_bytes() -> list[str]:
    raise EOFError("the file is empty")


def _damaged(error: Exception) -> EstimatorError:
    return EstimatorError(
        "the model file cannot be read",
        why=f"it is damaged or no skops file: {kind_and_line(error)}",
        next="`dvc pull` fetches it again, `dvc repro train` makes it again",
    )
