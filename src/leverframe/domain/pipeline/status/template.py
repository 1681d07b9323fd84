"""The resolution of `${...}` in a pipeline definition, as DVC does it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from leverframe.errors import DefinitionError, nearest

_EXPRESSION = re.compile(r"(?<!\\)\$\{(.*?)\}")


@dataclass(frozen=True)
class FlagStyle:
    """How a mapping becomes command line flags, as ``parsing`` in the configuration of DVC says."""

    negated: bool = False
    repeated: bool = False


@dataclass(frozen=True)
class Scope:
    """The values that templates may name; ``where`` is what errors call the place.

    ``loaded`` are the files whose values are in there as a whole.
    """

    values: Mapping[str, Any]
    where: str
    flags: FlagStyle = FlagStyle()
    loaded: frozenset[str] = frozenset()

    def inside(self, where: str, **more: Any) -> Scope:
        """Return the scope of a place within this one, ``more`` values hiding those of the same name."""
        return replace(self, values={**self.values, **nameable(more)}, where=where)

    def resolve(self, content: Any, *, key: str = "") -> Any:
        """Return ``content`` with every template replaced, in keys and values.

        ``key`` is the field of the stage that is being resolved: only a ``cmd`` may hold a
        mapping, which becomes flags. Raises ``DefinitionError`` for a name that is not there.
        """
        if isinstance(content, dict):
            return {self.resolve(name, key=key): self.resolve(value, key=key) for name, value in content.items()}
        if isinstance(content, list):
            return [self.resolve(value, key=key) for value in content]
        return self._text(content, key) if isinstance(content, str) else content

    def _text(self, text: str, key: str) -> Any:
        first = _EXPRESSION.match(text)
        if first and first[0] == text:
            value = self._select(first[1])
            if key and isinstance(value, (dict, list)):
                raise self._not_a_text(first[1], value)
            return value
        return _EXPRESSION.sub(lambda match: self._embedded(match[1], key), text).replace(r"\${", "${")

    def _embedded(self, expression: str, key: str) -> str:
        value = self._select(expression)
        if isinstance(value, dict) and key == "cmd":
            return flags(value, self.flags)
        if isinstance(value, (dict, list)):
            raise self._not_a_text(expression, value)
        return text_of(value)

    def _not_a_text(self, expression: str, value: object) -> DefinitionError:
        return DefinitionError(
            f"`${{{expression}}}` in {self.where} resolves to a {type(value).__name__}",
            why="only a single value can be part of a string; a mapping only of `cmd`",
            next="name one value inside it",
        )

    def _select(self, expression: str) -> Any:
        value: Any = self.values
        for part in expression.replace("[", ".").replace("]", "").split("."):
            name = part.strip()
            if isinstance(value, Mapping) and name in value:
                value = value[name]
            elif isinstance(value, list) and re.fullmatch(r"-?\d+", name) and -len(value) <= int(name) < len(value):
                value = value[int(name)]
            else:
                raise self._unknown(expression, name, value)
        return value

    def _unknown(self, expression: str, name: str, within: object) -> DefinitionError:
        return DefinitionError(
            f"`${{{expression}}}` in {self.where} has no value",
            why=f"`{name}` is not defined there",
            next=nearest(name, [str(key) for key in within] if isinstance(within, Mapping) else []),
        )


def nameable(value: Any) -> Any:
    """Return ``value`` as templates see it: entries whose key is not a text cannot be named."""
    if isinstance(value, dict):
        return {key: nameable(inner) for key, inner in value.items() if isinstance(key, str)}
    return [nameable(inner) for inner in value] if isinstance(value, list) else value


def merged(into: Mapping[str, Any], more: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return both mappings as one, merged at every depth.

    Raises ``DefinitionError`` when both define the same value: DVC allows no overwriting.
    """
    both = dict(into)
    for key, value in more.items():
        known = both.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            both[key] = merged(known, value, source)
        elif key in both:
            raise DefinitionError(
                f"`{key}` of {source} is already defined",
                why="DVC does not allow one value to overwrite another",
                next="rename one of them, or load only the keys you need with `file:key`",
            )
        else:
            both[key] = value
    return both


def text_of(value: object) -> str:
    """Return a single value as part of a string."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def flags(values: Mapping[str, Any], style: FlagStyle) -> str:
    """Return a mapping as command line flags, nested names joined by dots."""
    return " ".join(flag for name, value in _flattened(values, "") for flag in _flag(name, value, style))


def _flattened(values: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in values.items():
        inner = isinstance(value, dict)
        pairs.extend(_flattened(value, f"{prefix}{name}.") if inner else [(f"{prefix}{name}", value)])
    return pairs


def _flag(name: str, value: Any, style: FlagStyle) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}"] if value else [f"--no-{name}"] * style.negated
    if isinstance(value, list) and style.repeated:
        return [f"--{name} {_word(entry, name)}" for entry in value]
    if isinstance(value, list):
        return [f"--{name}", *(_word(entry, name) for entry in value)] if value else []
    return [f"--{name} {_word(value, name)}"]


def _word(value: Any, name: str) -> str:
    if isinstance(value, (list, dict)):
        raise DefinitionError(
            f"the list `{name}` in a command holds another list or mapping",
            why="a flag takes single values",
            next=f"flatten `{name}`",
        )
    return shlex.quote(value) if isinstance(value, str) else str(value)
