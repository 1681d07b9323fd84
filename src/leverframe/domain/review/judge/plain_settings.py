"""Whether an edit of a settings file changes plain values alone: nothing that runs code, or leads elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from leverframe.errors import LeverframeError
from leverframe.settings import LEVERS, PARAMS
from leverframe.yaml_files import parse

_SIZE = 200_000  # bytes of a file of settings that is read
# Anchors, aliases, tags, directives and further documents: another reader of YAML may make other values of them.
_ODD = re.compile(r"(?:^|[\s\[{,:?-])[&*!][^\s\"',\]}]|^(?:%|---|\.\.\.)|<<", re.MULTILINE)
_DEEP = re.compile(r"^ {80}|(?:[-?] +){12}", re.MULTILINE)  # no setting is so deep, and readers of YAML recurse
_MOST_DEEP = 24  # brackets within one another
_COMMENT = re.compile(r"^[ ]*#.*$", re.MULTILINE)
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}")  # neither a path, nor an address, nor a module
_KEY = re.compile(r"\d{4}(?:-\d\d){0,2}")  # of a partition
_COLUMN = re.compile(r"[A-Za-z0-9_*?\[\]-]{1,80}")
_ZONE = re.compile(r"[A-Za-z]+(?:[/_+-][A-Za-z0-9]+){0,4}")
_RUNS_CODE = ("data.case", "data.dependencies", "train.estimator", "train.trusted_types", "features.spark")
_OF_STAGES = ("data", "features", "train", "evaluate", "bundle")
_HARMLESS = ("report",)  # of leverframe.yaml: all other sections are rules, roles, or reach elsewhere
_NAME = re.compile(r"[A-Za-z0-9_@=+-]{1,80}")  # of a key: with a dot it could be taken for two
_COLUMNS = ("features.select", "features.label", "evaluate.slices")


def odd_form(content: bytes) -> str:
    """Return what of a YAML file another reader may read otherwise; empty for plain text without such."""
    if len(content) > _SIZE:
        return f"it has more than {_SIZE:,} bytes"
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return "it is not UTF-8"
    strange = next((letter for letter in text if not (letter.isprintable() or letter == "\n")), "")
    if strange:
        return f"it holds the character U+{ord(strange):04X}"
    if _DEEP.search(text) or _depth(text) > _MOST_DEEP:
        return "it is nested too deeply"
    match = _ODD.search(_COMMENT.sub("", text))
    return f"it holds `{match[0].strip()[:8]}`: an anchor, a tag or a second document" if match else ""


def _depth(text: str) -> int:
    """Return how many brackets are open at once at most, wherever they stand."""
    most = depth = 0
    for letter in text:
        depth = max(0, depth + (letter in "[{") - (letter in "]}"))
        most = max(most, depth)
    return most


def beyond_values(name: str, before: bytes | None, after: bytes | None) -> str:
    """Return what of an edit is more than plain values, in words; empty where it changes nothing else.

    ``name`` is that of the file: of ``params.yaml`` and ``leverframe.yaml`` the keys are known, of all others only
    numbers and dates are plain.
    """
    if before is None or after is None:
        return "the whole file was added or removed"
    odd = odd_form(after)
    if odd:
        return odd
    try:
        sides = [parse(side.decode(), name=name, what="settings") for side in (before, after)]
    except (LeverframeError, UnicodeDecodeError) as error:
        return error.what if isinstance(error, LeverframeError) else "the base has bytes that are not UTF-8"
    ours, theirs = (dict(_values(side)) for side in sides)
    plain = _PLAIN.get(name, _number)
    for path in sorted(ours.keys() | theirs.keys(), key=str):
        if path in ours and path in theirs and _same(ours[path], theirs[path]):
            continue
        unclear = [key for key in path if not (isinstance(key, str) and _NAME.fullmatch(key))]
        if unclear:
            return f"the key `{unclear[0]!r:.60}` may be taken for another"
        key = ".".join(map(str, path))
        if not all(plain(key, side[path]) for side in (ours, theirs) if path in side):
            return f"`{key}` is more than a plain value"
    return ""


def _values(side: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield each value with the keys that lead to it, each of its type; an empty mapping is a value as well."""
    if isinstance(side, Mapping) and side:
        for key, value in side.items():
            yield from _values(value, (*path, key))
    else:
        yield path, side


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same, of the same type; a list as well."""
    return type(one) is type(other) and repr(one) == repr(other)


def _of_params(key: str, value: Any) -> bool:
    """Tell whether a value of ``params.yaml`` is plain."""
    section = key.partition(".")[0]
    if section not in _OF_STAGES:
        return _number(key, value)
    if any(key == name or key.startswith(f"{name}.") for name in _RUNS_CODE):
        return False
    if key in _COLUMNS:
        return _each(value, lambda text: isinstance(text, str) and _COLUMN.fullmatch(text) is not None)
    if key == "data.timezone":
        return isinstance(value, str) and _ZONE.fullmatch(value) is not None
    return _each(value, _word)


def _of_levers(key: str, value: Any) -> bool:
    """Tell whether a value of ``leverframe.yaml`` is plain; rules and environments are for owners."""
    return key.partition(".")[0] in _HARMLESS and _number(key, value)


def _number(_: str, value: Any) -> bool:
    """Tell whether a value is a number, a boolean, nothing, or a partition: it is harmless in any command line."""
    return _each(value, lambda part: not isinstance(part, str) or _KEY.fullmatch(part) is not None)


def _each(value: Any, plain: Callable[[Any], bool]) -> bool:
    parts = value if isinstance(value, list) else [value]
    return all(not isinstance(part, list | dict) and plain(part) for part in parts)


def _word(value: Any) -> bool:
    return not isinstance(value, str) or bool(_WORD.fullmatch(value) or _KEY.fullmatch(value))


_PLAIN: Mapping[str, Callable[[str, Any], bool]] = {str(PARAMS): _of_params, str(LEVERS): _of_levers}
