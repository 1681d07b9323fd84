"""Whether the compiled trees inside a model point only into themselves: they are followed without a look at bounds.

A crafted file of trusted types could otherwise end the process, or read its memory, at the first prediction. Also
whether they learned from missing values, which no converter knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from leverframe.adapters.sklearn.known_types import NEIGHBOUR_TREES, TREE, TREE_PREDICTOR


def sound(model: Any) -> bool:
    """Tell whether every tree inside a model points into itself, and asks for features that its owner takes."""
    try:
        return all(_fits(tree, width) for tree, width in _trees(model, 0, set()))
    except (IndexError, TypeError, ValueError):
        return False


def split_on_missing(model: Any) -> bool:
    """Tell whether a tree inside a model learned to part missing values from all others: at an infinite threshold.

    Histogram gradient boosting is not meant, whose trees have a form of their own.
    """
    trees = (tree for tree, _ in _trees(model, 0, set()) if _name(tree) == TREE)
    with np.errstate(over="ignore"):
        return any(bool(np.isinf(tree.threshold.astype(np.float32)).any()) for tree in trees)


def _fits(tree: Any, width: int) -> bool:
    name = _name(tree)
    if name in NEIGHBOUR_TREES:
        return _neighbours_fit(tree)
    if name == TREE_PREDICTOR:
        inner = tree.nodes["is_leaf"] == 0
        children = [tree.nodes[side][inner].astype(np.int64) for side in ("left", "right")]
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
    return fits and len(inner) > 0 and bool(((asked >= 0) & (asked < width)).all())


def _neighbours_fit(tree: Any) -> bool:
    """Tell it of a tree of neighbours: rows in range, nodes that hold a range of rows, children that exist."""
    data, rows, nodes, bounds, _, levels, count, *_ = tree.__getstate__()
    data, rows, nodes, bounds = (np.asarray(part) for part in (data, rows, nodes, bounds))
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    start, stop = nodes["idx_start"], nodes["idx_end"]
    return (
        data.ndim == 2
        and rows.shape == (len(data),)
        and len(nodes) == count == 2**levels - 1
        and bounds.ndim == 3
        and bounds.shape[1:] == (count, data.shape[1])
        and bool(((rows >= 0) & (rows < len(data))).all())
        and bool(((start >= 0) & (start <= stop) & (stop <= len(data))).all())
        and bool((2 * inner + 2 < count).all())
    )


def _trees(part: Any, width: int, seen: set[int]) -> Iterator[tuple[Any, int]]:
    """Yield the trees inside ``part``, each with the number of features that its owner takes."""
    if id(part) in seen or isinstance(part, str | bytes | int | float | type(None)):
        return
    seen.add(id(part))
    if _name(part) in (TREE, TREE_PREDICTOR, *NEIGHBOUR_TREES):
        yield part, width
    else:
        width = getattr(part, "n_features_in_", width)
        for inner in _parts(part):
            yield from _trees(inner, width, seen)


def _name(part: Any) -> str:
    return f"{type(part).__module__}.{type(part).__qualname__}"


def _parts(part: Any) -> Iterator[Any]:
    if isinstance(part, dict):
        yield from part.values()
    elif isinstance(part, np.ndarray):
        yield from part.flat if part.dtype == object else ()
    elif isinstance(part, list | tuple | set | frozenset):
        yield from part
    else:
        yield from vars(part).values() if hasattr(part, "__dict__") else ()
