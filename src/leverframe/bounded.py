"""Documents of strangers, whose size says nothing of what they become: bounded before any object is made of them."""

from __future__ import annotations

import json
from typing import Any

import yaml

_DEPTH = 32  # containers in containers; what Leverframe writes has fewer than ten
_PARTS = 200_000  # values of a YAML document, those that an alias repeats counted again


def json_of(data: bytes | str) -> Any:
    """Return the content of a JSON document; raises ``ValueError`` for none, or one that is nested too deep."""
    try:
        content = json.loads(data)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if _depth(content) > _DEPTH:
        raise ValueError(f"nested deeper than {_DEPTH} levels")
    return content


def _depth(content: Any) -> int:
    level, depth = [content], 0
    while level := [part for part in level if isinstance(part, dict | list)]:
        if depth >= _DEPTH:
            return depth + 1
        depth += 1
        level = [inner for part in level for inner in (part.values() if isinstance(part, dict) else part)]
    return depth


def bounded_yaml(text: str) -> str:
    """Return the text of a YAML document; raises ``ValueError`` for one that would become far larger than it is.

    An alias may repeat a part that has aliases itself, and so on: nine lines can stand for a billion values.
    """
    sizes: dict[str, int] = {}
    opened: list[tuple[str | None, int]] = []  # the anchors around, each with the number of parts before it
    parts = 0
    try:
        for event in yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.AliasEvent):
                parts += sizes.get(event.anchor or "", _PARTS)  # one that is still open holds itself
            elif isinstance(event, yaml.CollectionStartEvent):
                opened.append((event.anchor, parts))
                parts += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                anchor, before = opened.pop()
                if anchor:
                    sizes[anchor] = parts - before
            elif isinstance(event, yaml.ScalarEvent):
                parts += 1
                if event.anchor:
                    sizes[event.anchor] = 1
            if parts >= _PARTS:
                raise ValueError(f"it stands for more than {_PARTS:,} values: its aliases repeat too much")
            if len(opened) > _DEPTH:
                raise ValueError(f"nested deeper than {_DEPTH} levels")
    except yaml.YAMLError as error:
        raise ValueError(str(error).replace("\n", " ")) from error
    return text
