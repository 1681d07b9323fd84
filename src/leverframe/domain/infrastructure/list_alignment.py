"""Lists of two trees side by side: what was taken out in front does not make all that follows look changed."""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from leverframe.domain.infrastructure.concealed import Concealed, JsonText

GONE = object()  # in place of a list of which nothing is left that differs
_NULL = Concealed("null", None)
_COMPARED = 1_000_000  # pairs of items that are compared; longer lists are, place by place


@dataclass(frozen=True)
class Position:
    """The place of an item: in the new list, or in the old one where it goes; ``side`` is its sign."""

    number: int
    side: str


def with_nulls(tree: Any) -> Any:
    """Return a tree whose items that are null are shown: they are there, unlike attributes that are."""
    if isinstance(tree, dict):
        return {key: with_nulls(part) for key, part in tree.items()}
    if isinstance(tree, list):
        return [_NULL if part is None else with_nulls(part) for part in tree]
    return tree


def aligned(old: Any, new: Any) -> tuple[Any, Any]:
    """Return two trees in which lists are mappings of ``Position`` to differing items, changed ones in pairs."""
    if isinstance(old, dict) and isinstance(new, dict):
        pairs = {key: aligned(part, new[key]) for key, part in old.items() if key in new}
        return (
            {key: pairs[key][0] if key in pairs else part for key, part in old.items()},
            {key: pairs[key][1] if key in pairs else part for key, part in new.items()},
        )
    if isinstance(old, list) and isinstance(new, list) and old and new and len(old) * len(new) <= _COMPARED:
        return _aligned_lists(old, new)
    return old, new


def _aligned_lists(old: list[Any], new: list[Any]) -> tuple[Any, Any]:
    before, after = dict[Position, Any](), dict[Position, Any]()
    for how, a, b, c, d in SequenceMatcher(None, list(map(_key, old)), list(map(_key, new))).get_opcodes():
        if how == "equal":
            continue
        both = min(b - a, d - c)
        for step in range(both):
            at = Position(c + step, "~")
            before[at], after[at] = aligned(old[a + step], new[c + step])
        before |= {Position(index, "-"): old[index] for index in range(a + both, b)}
        after |= {Position(index, "+"): new[index] for index in range(c + both, d)}
    return before or GONE, after or GONE


def _key(tree: Any) -> Hashable:
    """Return what two trees have in common only where they are the same, their hidden parts and types included."""
    if isinstance(tree, dict):
        return "map", tuple((key, _key(part)) for key, part in sorted(tree.items()))
    if isinstance(tree, list):
        return "list", tuple(map(_key, tree))
    if isinstance(tree, JsonText):
        return "json", _key(tree.text)
    if isinstance(tree, Concealed):
        return "hidden", tree.shown, json.dumps(tree.whole, sort_keys=True, default=str)
    return type(tree).__name__, tree
