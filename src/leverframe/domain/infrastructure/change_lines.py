"""The attributes of a change, each a line of a diff, from trees that hold no secret."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from typing import Any

from leverframe.domain.infrastructure.concealed import SENSITIVE, Concealed, JsonText, Unknown
from leverframe.domain.infrastructure.infra_plan import ChangeKind
from leverframe.domain.infrastructure.list_alignment import GONE, Position, aligned, with_nulls
from leverframe.domain.infrastructure.long_texts import added_text, capped, changed_text

_LONGEST = 240  # characters of one value
_SILENT = (ChangeKind.FORGET, ChangeKind.MOVE)  # nothing of the resource itself changes
_ABSENT = object()
_MISSING = (_ABSENT, GONE)
_NAME = re.compile(r"[\w./:@*-]+")  # what needs no quotes in a path; anything else could look like more than one name


def path_text(path: Any) -> str:
    """Return a path of Terraform, a list of names and indices, as ``tags.Name`` or ``ingress[0].port``."""
    text = ""
    for place in path if isinstance(path, list) else [path]:
        step = place.number if isinstance(place, Position) else place
        number = isinstance(step, int | Decimal) and not isinstance(step, bool)
        name = step if isinstance(step, str) and _NAME.fullmatch(step) else json.dumps(step, ensure_ascii=False)
        text += f"[{step}]" if number else f".{name}" if text else name
    return text


def change_lines(kind: ChangeKind, before: Any, after: Any) -> tuple[str, ...]:
    """Return what differs between two trees: ``+ path = value``, ``- path = value`` or ``~ path: value -> value``.

    Of a long text that is there afterwards every part that is new or differs is shown, and of one that is JSON by its
    paths; of one that goes, the beginning.
    """
    return () if kind in _SILENT else tuple(_compared((), before, after))


def _compared(path: tuple[Any, ...], before: Any, after: Any, *, nulls: bool = False) -> Iterator[str]:
    before, after = aligned(with_nulls(before), with_nulls(after))
    later = {at for at, value in _walk(after, path) if isinstance(value, Unknown)}  # of these nothing goes
    old, new = (
        {at: value for at, value in _walk(tree, path, later) if value not in _MISSING and (value is not None or nulls)}
        for tree in (before, after)
    )
    for at in [*old, *(at for at in new if at not in old)]:
        yield from _lines(at, old.get(at, _ABSENT), new.get(at, _ABSENT))


def _walk(
    tree: Any, path: tuple[Any, ...], whole: Collection[tuple[Any, ...]] = ()
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield the values of a tree by path; ``whole`` are paths of one value, whatever is below them."""
    if path in whole or not (isinstance(tree, dict | list) and tree):
        yield path, tree
        return
    for name, part in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield from _walk(part, (*path, name), whole)


def _lines(path: tuple[Any, ...], old: Any, new: Any) -> Iterator[str]:
    name = path_text(list(path)) or "value"
    if old == new and type(old) is type(new):
        return
    if new is _ABSENT:
        yield f"- {name} = {_shown(old)}"
    elif long := _long_lines((path, name), old, new):
        yield from long
    elif old is _ABSENT:
        yield f"+ {name} = {_shown(new)}"
    else:
        shown, then = _shown(old), _shown(new)
        yield f"~ {name}: {shown} -> {f'{then}, changed' if shown == then else then}"


def _long_lines(at: tuple[tuple[Any, ...], str], old: Any, new: Any) -> Sequence[str]:
    """Return what is new in a long text, of JSON by its paths; nothing where both sides are short or no texts."""
    path, name = at
    before, after = _text(old), _text(new)
    if after is None or max(len(before or ""), len(after)) <= _LONGEST:
        return ()
    if isinstance(new, JsonText) and (isinstance(old, JsonText) or old is _ABSENT):
        parts = old.parts if isinstance(old, JsonText) else _ABSENT
        lines = list(capped(name, list(_compared(path, parts, new.parts, nulls=True))))
        if lines:  # else both are the same JSON, written otherwise
            return lines
    if before is None:
        gone = [] if old is _ABSENT else [f"- {name} = {_shown(old)}"]
        return [*gone, *added_text(name, after)]
    if before == after:
        return [f"~ {name}: {_shown(new)}, changed in what is hidden of it"]
    return list(changed_text(name, before, after))


def _text(value: Any) -> str | None:
    """Return what may be shown of a text; None for anything else, and where nothing of it may."""
    if isinstance(value, JsonText):
        return _text(value.text)
    if isinstance(value, Concealed):
        return None if value.shown == SENSITIVE else value.shown
    return value if isinstance(value, str) else None


def _shown(value: Any) -> str:
    """Return a value on one line; of a long one the beginning."""
    if isinstance(value, JsonText):
        return _shown(value.text)
    if isinstance(value, Unknown):
        return "(known after apply)"
    if isinstance(value, Concealed):
        return _clipped(" ".join(value.shown.split()))
    return _clipped(_written(value))


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_written(name)}: {_written(part)}' for name, part in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, JsonText | Unknown | Concealed):
        return _shown(value)
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"
