"""The attributes of a change, each a line of a diff, from trees that hold no secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from leverframe.domain.infrastructure.concealed import Concealed, Unknown
from leverframe.domain.infrastructure.infra_plan import ChangeKind

_LONGEST = 240  # characters of one value
_CONTEXT = 40  # characters shown before the first difference of two long values
_SILENT = (ChangeKind.FORGET, ChangeKind.MOVE)  # nothing of the resource itself changes
_ABSENT = object()
_NAME = re.compile(r"[\w./:@*-]+")  # what needs no quotes in a path; anything else could look like more than one name


def path_text(path: Any) -> str:
    """Return a path of Terraform, a list of names and indices, as ``tags.Name`` or ``ingress[0].port``."""
    text = ""
    for step in path if isinstance(path, list) else [path]:
        number = isinstance(step, int | Decimal) and not isinstance(step, bool)
        name = step if isinstance(step, str) and _NAME.fullmatch(step) else json.dumps(step, ensure_ascii=False)
        text += f"[{step}]" if number else f".{name}" if text else name
    return text


def change_lines(kind: ChangeKind, before: Any, after: Any) -> tuple[str, ...]:
    """Return what differs between two trees: ``+ path = value``, ``- path = value`` or ``~ path: value -> value``."""
    if kind in _SILENT:
        return ()
    old, new = _leaves(before), _leaves(after)
    return tuple(
        line
        for path in [*old, *(path for path in new if path not in old)]
        if (line := _line(path, old.get(path, _ABSENT), new.get(path, _ABSENT)))
    )


def _leaves(tree: Any) -> dict[str, Any]:
    return {path_text(list(path)): value for path, value in _walk(tree, ()) if value is not None}


def _walk(tree: Any, path: tuple[Any, ...]) -> Iterator[tuple[Sequence[Any], Any]]:
    if isinstance(tree, dict) and tree:
        for name, part in tree.items():
            yield from _walk(part, (*path, name))
    elif isinstance(tree, list) and tree:
        for index, part in enumerate(tree):
            yield from _walk(part, (*path, index))
    else:
        yield path, tree


def _line(path: str, old: Any, new: Any) -> str:
    name = path or "value"
    if old == new and type(old) is type(new):
        return ""
    if old is _ABSENT:
        return f"+ {name} = {_shown(new)}"
    if new is _ABSENT:
        return f"- {name} = {_shown(old)}"
    shown, then = _shown(old, new), _shown(new, old)
    return f"~ {name}: {shown} -> {f'{then}, changed' if shown == then else then}"


def _shown(value: Any, other: Any = None) -> str:
    """Return a value on one line; of a long one, the part where it begins to differ from the other."""
    if isinstance(value, Unknown):
        return "(known after apply)"
    if isinstance(value, Concealed):
        return _clipped(" ".join(value.shown.split()), "")
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, str):
        return _clipped(json.dumps(value, ensure_ascii=False), json.dumps(other, ensure_ascii=False, default=str))
    return json.dumps(value)


def _clipped(text: str, other: str) -> str:
    if len(text) <= _LONGEST:
        return text
    same = next((at for at, (one, two) in enumerate(zip(text, other, strict=False)) if one != two), 0)
    start = max(0, same - _CONTEXT)
    shown = text[start : start + _LONGEST]
    return f"{'...' if start else ''}{shown}... ({len(text)} characters)"
