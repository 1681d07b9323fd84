"""How a YAML file is read: as YAML 1.2, which is what DVC reads, with errors that name the line.

Under YAML 1.1 `1e-3` is a text, `on` is true and `12:30` is 750. DVC follows 1.2, so whatever
reads a file that DVC reads as well has to follow it too. Nothing heavy is imported here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from leverframe.errors import SettingsError, guide_page

_CONFLICT = re.compile(r"^(<{7} |={7}$|>{7} )", re.MULTILINE)
_DIGITS = "0123456789"
_LONGEST = 1000  # digits of a number: what prints or compares longer ones fails, or takes for ever
_DEEPEST = 200  # values within one another
_SCALARS: tuple[tuple[str, str, str], ...] = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    (
        "float",
        r"[-+]?\d[\d_]*\.[\d_]*([eE][-+]?\d+)?|[-+]?\d[\d_]*[eE][-+]?\d+"
        r"|[-+]?\.[\d_]+([eE][-+]\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+." + _DIGITS,
    ),
    ("int", r"[-+]?(0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[\d_]+)", "-+" + _DIGITS),
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("merge", "<<", "<"),
    (
        "timestamp",
        r"\d{4}-\d\d-\d\d"
        r"|\d{4}-\d\d?-\d\d?([Tt]|[ \t]+)\d\d?:\d\d:\d\d(\.\d*)?([ \t]*(Z|[-+]\d\d?(:\d\d)?))?",
        _DIGITS,
    ),
)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The safe loader, with the plain scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - the parent's contract


def _whole_number(loader: Any, node: yaml.ScalarNode) -> int:
    """Return an integer; a leading zero does not make it octal, `0o` does."""
    text = str(loader.construct_scalar(node)).replace("_", "")
    digits = text.lstrip("+-")
    base = {"0b": 2, "0o": 8, "0x": 16}.get(digits[:2], 10)
    if len(digits) > _LONGEST:
        raise yaml.constructor.ConstructorError(None, None, f"a number of {len(digits):,} digits", node.start_mark)
    try:
        value = int(digits if base == 10 else digits[2:], base)
    except ValueError as error:
        raise yaml.constructor.ConstructorError(None, None, f"`{text}` is no number", node.start_mark) from error
    return -value if text.startswith("-") else value


def _timestamp(loader: Any, node: yaml.ScalarNode) -> Any:
    """Return a date or a time; one that the calendar has not is an error of the file."""
    try:
        return loader.construct_yaml_timestamp(node)
    except (ValueError, OverflowError) as error:
        words = f"`{node.value[:40]}` is no date: {error}"
        raise yaml.constructor.ConstructorError(None, None, words, node.start_mark) from error


def _fill_loader() -> None:
    for tag, pattern, first in _SCALARS:
        compiled = re.compile(f"^(?:{pattern})$", re.ASCII)
        for character in [*first, ""] if tag == "null" else first:
            _Loader.yaml_implicit_resolvers.setdefault(character, []).append((f"tag:yaml.org,2002:{tag}", compiled))
    _Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)
    _Loader.add_constructor("tag:yaml.org,2002:timestamp", _timestamp)


_fill_loader()


def load(path: Path, *, what: str) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises ``SettingsError`` when the file is missing, holds merge-conflict markers, is not
    YAML, repeats a key, or is not a mapping.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"cannot read {what} {path}",
            why=str(error.strerror or error),
            next="run the command in the root of the repository, or name the file",
        ) from error
    return parse(decoded(content, name=str(path)), name=str(path), what=what)


def decoded(content: bytes, *, name: str) -> str:
    """Return the text of a YAML file, line ends as they are; raises ``SettingsError`` where it is not UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsError(
            f"{name} is not UTF-8, line {line}",
            why=f"the byte 0x{content[error.start]:02x} begins no character there",
            next="save the file as UTF-8; the line may be a comment that was written with another encoding",
        ) from error


def parse(text: str, *, name: str, what: str) -> dict[str, Any]:
    """Return the mapping in YAML ``text``; ``name`` is what errors call it."""
    _refuse_conflict(text, name)
    try:
        content = _constructed(text, name)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise SettingsError(
            f"{name} is not YAML{where}",
            why=str(getattr(error, "problem", None) or error).replace("\n", " "),
            next="fix the line named above; indentation is by spaces",
        ) from error
    if not isinstance(content, dict):
        raise SettingsError(
            f"{name} holds no sections",
            why=f"{what} is a mapping of names to values, this is {type(content).__name__}",
            next=f"start from the example in {guide_page('settings.md')}",
        )
    return content


def with_values(text: str, values: Mapping[str, str], *, name: str) -> str:
    """Return YAML text in which the scalars at some keys, such as ``features.train.last``, have other texts.

    Comments, order and quotes stay; a value that was written plain stays so if it remains of its type. Raises
    ``SettingsError`` for a key that is not there, whose value is no scalar, or is shared through an anchor.
    """
    parse(text, name=name, what="a file of parameters")
    nodes = _places(text, values, name)
    changed = text
    for key, node in sorted(nodes.items(), key=lambda place: -place[1].start_mark.index):
        start, end = node.start_mark.index, node.end_mark.index
        changed = changed[:start] + _scalar(node, text[start:end], values[key]) + changed[end:]
    try:
        moved = {key: node.value for key, node in _places(changed, values, name).items()}
        whole = moved == dict(values) and _others(changed, values) == _others(text, values)
    except (SettingsError, yaml.YAMLError):
        whole = False
    if not whole:
        raise SettingsError(
            f"{name} cannot be changed in place",
            why=f"{', '.join(f'`{key}`' for key in values)}: not every one is a short text on a line of its own",
            next="write each as `key: value`, without anchors, tags or blocks of text",
        )
    return changed


def values_at(text: str, keys: Iterable[str], *, name: str) -> dict[str, str]:
    """Return the texts of the scalars at some keys; raises ``SettingsError`` as ``with_values`` does."""
    parse(text, name=name, what="a file of parameters")
    return {key: node.value for key, node in _places(text, keys, name).items()}


def _places(text: str, keys: Iterable[str], name: str) -> dict[str, yaml.ScalarNode]:
    """Return the node of each key, with marks that count characters."""
    root = yaml.compose(text, yaml.SafeLoader)
    return {key: _place(root, key, name) for key in keys}


def _others(text: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return every value as it is read by its key, but those of ``values``."""
    return {key: repr(value) for key, value in leaves(_constructed(text, "")) if key not in values}


def _place(root: yaml.Node | None, key: str, name: str) -> yaml.ScalarNode:
    """Return the node of a key whose parts are joined by dots."""
    node, shared = root, _shared(root)
    for part in key.split("."):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        inner = [value for given, value in pairs if given.value == part]
        if not inner:
            raise SettingsError(
                f"there is no `{key}` in {name}",
                why=f"`{part}` of it is missing, so the window cannot be moved there",
                next="add the key, or correct its name",
            )
        node = inner[0]
        if id(node) in shared:
            raise SettingsError(
                f"`{key}` in {name} is shared through an anchor",
                why="a change of it would change other values as well",
                next="write the value out instead of `&` and `*`",
            )
    if not isinstance(node, yaml.ScalarNode):
        raise SettingsError(
            f"`{key}` in {name} is no single value",
            why="the window is moved by changing one text or number a key",
            next="name the key below it",
        )
    return node


def _shared(root: yaml.Node | None) -> set[int]:
    """Return the nodes that stand in more than one place."""
    met, shared, waiting = set[int](), set[int](), [root]
    while waiting:
        node = waiting.pop()
        if id(node) in met:
            shared.add(id(node))
            continue
        met.add(id(node))
        if isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
    return shared


def _scalar(node: yaml.ScalarNode, written: str, value: str) -> str:
    """Return a value in the form in which another was written: in its quotes, or plain where it is read the same."""
    if node.style == "'" and "\n" not in value:
        return "'" + value.replace("'", "''") + "'"
    plain = node.style is None and re.fullmatch(r"[\w.+-]+(:[\w.+-]+)*", value) is not None
    if plain and _type(value) is _type(node.value):
        return value if written else f" {value}"
    quoted = json.dumps(value, ensure_ascii=False)
    return quoted if written else f" {quoted}"


def _type(text: str) -> type | None:
    """Return the type as which a plain scalar is read."""
    try:
        return type(_constructed(text, ""))
    except (yaml.YAMLError, ValueError):
        return None


def documents(text: str) -> list[Any]:
    """Return the documents in the YAML that a program wrote; raises ``ValueError`` for what is none."""
    try:
        return [document for document in yaml.load_all(text, _Loader) if document is not None]
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def leaves(content: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value of nested mappings with its name, keys joined by dots."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from leaves(value, f"{name}.{key}".strip("."))
    else:
        yield name, content


def _refuse_conflict(text: str, name: str) -> None:
    conflict = _CONFLICT.search(text)
    if conflict:
        line = text.count("\n", 0, conflict.start()) + 1
        raise SettingsError(
            f"unresolved merge in {name}, line {line}",
            why=f"the line starts with `{conflict.group().strip()}`, a conflict marker of git",
            next=f"edit {name}, keep what is right of both sides, remove the markers, then `git add {name}`",
        )


def _constructed(text: str, name: str) -> Any:
    _refuse_deep(text)
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if "*" in text:
            _refuse_recursive(node)
        _refuse_repeated_keys(node, name)
        return None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _refuse_deep(text: str) -> None:
    """Raise ``YAMLError`` for values within so many others that the parser, compiled code, would end the process."""
    flow = text.count("[") + text.count("{")
    if flow <= _DEEPEST and not any(_may_nest(line) for line in text.split("\n")):
        return  # as nearly every file: only then are its events read one by one
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            mark: Any = event.start_mark  # of compiled code, with the same fields
            raise yaml.MarkedYAMLError(problem=f"values lie within more than {_DEEPEST} others", problem_mark=mark)


def _refuse_recursive(root: yaml.Node | None) -> None:
    """Raise ``YAMLError`` for a value that holds itself by an anchor: whoever walks or prints it would never end."""
    waiting: list[tuple[Any, bool]] = [(root, False)]
    around, whole = set[int](), set[int]()
    while waiting:
        node, left = waiting.pop()
        if left:
            around.discard(id(node))
            whole.add(id(node))
        elif id(node) in around:
            mark: Any = node.start_mark
            raise yaml.MarkedYAMLError(problem="a value holds itself, by an anchor", problem_mark=mark)
        elif isinstance(node, yaml.CollectionNode) and id(node) not in whole:
            around.add(id(node))
            pairs = isinstance(node, yaml.MappingNode)
            inside = [part for pair in node.value for part in pair] if pairs else node.value
            waiting += [(node, True), *((child, False) for child in inside)]


def _may_nest(line: str) -> bool:
    """Tell whether a line is indented as deep, or may open as many values of its own."""
    indented = len(line) - len(line.lstrip(" "))
    return len(line) > _DEEPEST and indented + line.count("-") + line.count("?") > _DEEPEST // 2


def _refuse_repeated_keys(root: yaml.Node | None, name: str) -> None:
    waiting: list[Any] = [root]
    met: set[int] = set()  # an anchor is walked once, however often it is referred to
    while waiting:
        node = waiting.pop()
        if id(node) in met:
            continue
        met.add(id(node))
        if isinstance(node, yaml.MappingNode):
            _refuse_repeated_keys_of(node, name)
            waiting.extend(value for _, value in node.value)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)


def _refuse_repeated_keys_of(mapping: yaml.MappingNode, name: str) -> None:
    seen: set[str] = set()
    for key, _ in mapping.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value in seen:
            raise SettingsError(
                f"`{key.value}` stands twice in {name}, line {key.start_mark.line + 1}",
                why="YAML would silently keep only the last of them",
                next="remove one of the two",
            )
        seen.add(key.value)
