"""How a model becomes bytes that are the same for the same model, and when bytes are opened.

Skops writes memory addresses, random names, the time of day and what lay in unused memory into
its archive; here addresses and names become an order of first appearance, the rest zero.
Opening trusts the types that skops trusts, ``TRUSTED``, and those that the caller names;
anything else is refused by name.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import skops.io

from leverframe.errors import EstimatorError

# Reported by skops for plain scikit-learn models, because a crafted file could make their trees
# point outside of themselves; `check_trees` looks before the first prediction.
TREE_PREDICTOR = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
TREE = "sklearn.tree._tree.Tree"
TRUSTED = frozenset({TREE_PREDICTOR, TREE, "numpy.dtype"})

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that an archive can carry
_VALUES = ("JsonNode", "TypeNode")  # immutable: which of them share an address is an accident


def dumped(model: Any) -> bytes:
    """Return the canonical bytes of a model; raises ``EstimatorError`` for a part that skops cannot store."""
    try:
        return canonical(bytes(skops.io.dumps(model)))
    except Exception as error:
        raise EstimatorError(
            f"{type(model).__name__} cannot be stored",
            why=f"skops has no form for a part of it: {first_line(error)}",
            next="replace that part, often a lambda or an open handle, by a class or a named function",
        ) from error


def types_to_trust(data: bytes) -> list[str]:
    """Return the types in a model that skops does not trust; raises ``EstimatorError`` for a damaged file."""
    try:
        return list(skops.io.get_untrusted_types(data=data)) if data else _no_bytes()
    except Exception as error:
        raise _damaged(error) from error


def check_types(types: Collection[str], declared: Collection[str], module: str) -> None:
    """Raise ``EstimatorError`` for the first of ``types`` that neither we nor ``module`` declare as trusted."""
    unknown = [each for each in types if each not in TRUSTED and each not in declared]
    nameless = [each for each in types if "<" in each]
    if nameless:
        raise EstimatorError(
            f"the model holds `{nameless[0]}`, which cannot be stored",
            why="a function or class without a name of its own in a module cannot be found again",
            next=f"give it a name at the top level of {module}",
        )
    if unknown:
        more = f"; {len(unknown) - 1} more: {', '.join(unknown[1:6])}" if len(unknown) > 1 else ""
        raise EstimatorError(
            f"the model holds the type `{unknown[0]}`, which is not trusted",
            why=f"opening a model of unknown types can run any code{more}",
            next=f"if the type is yours, name it in `TRUSTED_TYPES = (...)` of {module}; if not, do not open the file",
        )


def opened(data: bytes) -> Any:
    """Return the model in bytes whose types were checked; raises ``EstimatorError`` for a damaged file."""
    try:
        model = skops.io.loads(data, trusted=types_to_trust(data))
    except EstimatorError:
        raise
    except Exception as error:
        raise _damaged(error) from error
    check_trees(model)
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
            return [self.renamed(each, files) for each in node]
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
    return [_stripped(each) for each in node] if isinstance(node, list) else node


def check_trees(model: Any) -> None:
    """Raise ``EstimatorError`` for a tree that points outside of itself: using it could end the process."""
    for tree, width in _trees(model, 0, set()):
        if type(tree).__name__ == "TreePredictor":
            inner = tree.nodes["is_leaf"] == 0
            children = [tree.nodes[each][inner].astype(np.int64) for each in ("left", "right")]
            asked = tree.nodes["feature_idx"][inner]
            sets = tree.nodes["bitset_idx"][tree.nodes["is_categorical"] == 1]
            fits = len(sets) == 0 or int(sets.max()) < len(tree.raw_left_cat_bitsets)
        else:
            inner = tree.children_left != -1
            children = [tree.children_left[inner], tree.children_right[inner]]
            asked = tree.feature[inner]
            fits = True
        at = np.flatnonzero(inner)
        # Children come after their parent in every tree that was grown, so no walk can be endless.
        fits = fits and all(bool(((child > at) & (child < len(inner))).all()) for child in children)
        if not fits or len(inner) == 0 or not bool(((asked >= 0) & (asked < width)).all()):
            raise _damaged(ValueError("a tree points outside of itself"))


def _trees(part: Any, width: int, seen: set[int]) -> Iterator[tuple[Any, int]]:
    """Yield the trees inside ``part``, each with the number of features that its owner takes."""
    if id(part) in seen or isinstance(part, str | bytes | int | float | type(None)):
        return
    seen.add(id(part))
    if f"{type(part).__module__}.{type(part).__qualname__}" in (TREE, TREE_PREDICTOR):
        yield part, width
    else:
        width = getattr(part, "n_features_in_", width)
        for each in _parts(part):
            yield from _trees(each, width, seen)


def _parts(part: Any) -> Iterator[Any]:
    if isinstance(part, dict):
        yield from part.values()
    elif isinstance(part, np.ndarray):
        yield from part.flat if part.dtype == object else ()
    elif isinstance(part, list | tuple | set):
        yield from part
    else:
        yield from vars(part).values() if hasattr(part, "__dict__") else ()


def _no_bytes() -> list[str]:
    raise EOFError("the file is empty")


def _damaged(error: Exception) -> EstimatorError:
    return EstimatorError(
        "the model file cannot be read",
        why=f"it is damaged or no skops file: {first_line(error)}",
        next="`dvc pull` fetches it again, `dvc repro train` makes it again",
    )


def first_line(error: Exception) -> str:
    """Return the kind of an error and the first line of what it says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
