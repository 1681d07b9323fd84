"""What is secret in a plan or a state of Terraform, and how texts lose it: by value, wherever it stands.

Terraform marks what it knows to be sensitive, and forgets the mark on the way: ``terraform_data.output`` shows a
sensitive input (hashicorp/terraform#35609), an error repeats it, a provisioner prints it. So every marked value is
collected, and hidden in every text, as it is and as JSON, addresses and base64 write it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any
from urllib.parse import quote

from leverframe.redaction import HIDDEN

# Below, a value is hidden only where Terraform marks it: hiding every `80` would spoil a text, and show what it is.
_LEAST_WORD = 4  # characters from which a value is hidden where it stands as a word of its own
_LEAST = 6  # characters from which it is hidden also inside of longer words
_ORDINARY = frozenset({"true", "false", "null", "none", "default"})


@dataclass(frozen=True)
class Secrets:
    """Secret values, and texts without them."""

    values: frozenset[str] = field(default_factory=frozenset)

    @staticmethod
    def of(values: Iterable[object]) -> Secrets:
        """Return the secrets in values: every string and number in them, at any depth."""
        return Secrets(frozenset(text for value in values for text in _texts(value)))

    def __or__(self, other: Secrets) -> Secrets:
        """Return both."""
        return self if other.values <= self.values else Secrets(self.values | other.values)

    def __repr__(self) -> str:
        """Tell how many there are, and none of them."""
        return f"Secrets({len(self.values)})"

    def hidden(self, text: str) -> str:
        """Return the text with ``***`` for each secret in it; those of less than 4 characters stay."""
        return self._pattern.sub(HIDDEN, text) if self._pattern else text

    def hidden_in(self, value: Any) -> Any:
        """Return a value of a JSON document in which every text has lost its secrets; ``***`` for a secret number."""
        if isinstance(value, str):
            return self.hidden(value)
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            return value if self.hidden(str(value)) == str(value) else HIDDEN
        if isinstance(value, dict):
            return {self.hidden(name): self.hidden_in(part) for name, part in value.items()}
        return [self.hidden_in(part) for part in value] if isinstance(value, list) else value

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        anywhere: set[str] = set()
        words: set[str] = set()
        for value in self.values:
            for part in {value, *(line.strip() for line in value.splitlines())}:
                if len(part) < _LEAST_WORD or part.lower() in _ORDINARY:
                    continue
                (words if len(part) < _LEAST or part.isdigit() else anywhere).update(_forms(part))
        patterns = [_either(anywhere)] if anywhere else []
        if words:
            patterns.append(rf"(?<![A-Za-z0-9_])(?:{_either(words)})(?![A-Za-z0-9_])")
        return re.compile("|".join(patterns)) if patterns else None


def _either(forms: Iterable[str]) -> str:
    """Return a pattern of any of many texts, the longest first, that costs no more where there are thousands."""
    tree: dict[str, Any] = {}
    for form in forms:
        node = tree
        for letter in form:
            node = node.setdefault(letter, {})
        node[""] = {}
    return _branches(tree)


def _branches(node: dict[str, Any]) -> str:
    """Return the pattern of a tree of letters; only where it branches is there a group."""
    text = ""
    while len(node) == 1 and "" not in node:
        ((letter, node),) = node.items()
        text += _letter(letter)
    parts = [_letter(letter) + _branches(child) for letter, child in sorted(node.items()) if letter]
    return f"{text}(?:{'|'.join(parts)}){'?' if '' in node else ''}" if parts else text


def _letter(letter: str) -> str:
    """Return a letter as a pattern; a value may be wrapped at its spaces, as Terraform wraps its errors."""
    return r"\s+(?:[│|]\s*)?" if letter == " " else re.escape(letter)


def _forms(value: str) -> set[str]:
    """Return a value as texts write it: as it is, in JSON once or twice, in an address, in base64."""
    forms = {value}
    for _ in range(2):
        forms |= {json.dumps(form, ensure_ascii=ascii_only)[1:-1] for form in forms for ascii_only in (True, False)}
        forms |= {_as_go(form) for form in forms}
    forms |= {value.replace("${", "$${").replace("%{", "%%{")}
    forms |= {quote(value, safe=""), quote(value, safe="/")}
    return forms | set(_in_base64(value.encode()))


def _as_go(text: str) -> str:
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _in_base64(value: bytes) -> Iterator[str]:
    """Yield what stands for a value in the base64 of any text that holds it, wherever in the text that is."""
    for before, first in ((0, 0), (1, 2), (2, 3)):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(b"\0" * before + value).decode()[first : (before + len(value)) * 8 // 6]
            if len(encoded) >= _LEAST:
                yield encoded


def secrets_of_plan(document: Mapping[str, Any]) -> Secrets:
    """Return every value that a plan (`show -json` of it) marks or lets infer as sensitive."""
    return Secrets.of(
        [
            *_variable_values(document),
            *_output_values(document),
            *(value for kind in ("resource_changes", "resource_drift") for value in _change_values(document, kind)),
            *_state_values(document.get("planned_values") or {}),
            *_state_values((document.get("prior_state") or {}).get("values") or {}),
        ]
    )


def secrets_of_state(document: Mapping[str, Any]) -> Secrets:
    """Return every value that a state (`show -json` of it) marks or lets infer as sensitive."""
    return Secrets.of(_state_values(document.get("values") or {}))


def with_inferred_marks(kind: str, marks: Any) -> Any:
    """Return the marks of a resource with those that Terraform forgets: the output of a marked input."""
    if kind != "terraform_data" or not isinstance(marks, dict) or not marks.get("input"):
        return marks
    return {**marks, "output": marks["input"] if not marks.get("output") else marks["output"]}


def marked(value: Any, marks: Any) -> Iterator[Any]:
    """Yield the parts of a value that its marks call sensitive."""
    if marks is True:
        yield value
    elif isinstance(marks, dict) and isinstance(value, dict):
        for name, mark in marks.items():
            yield from marked(value.get(name), mark)
    elif isinstance(marks, list) and isinstance(value, list):
        for item, mark in zip(value, marks, strict=False):
            yield from marked(item, mark)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _texts(item)


def _variable_values(document: Mapping[str, Any]) -> Iterator[Any]:
    module = (document.get("configuration") or {}).get("root_module") or {}
    given = document.get("variables") or {}
    for name, variable in (module.get("variables") or {}).items():
        if variable.get("sensitive"):
            yield (given.get(name) or {}).get("value")
            yield variable.get("default")
    yield from _constants_of_calls(module)


def _constants_of_calls(module: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what a module is called with for its sensitive variables, where that is written down."""
    for call in (module.get("module_calls") or {}).values():
        inner = call.get("module") or {}
        for name, variable in (inner.get("variables") or {}).items():
            if variable.get("sensitive"):
                yield ((call.get("expressions") or {}).get(name) or {}).get("constant_value")
                yield variable.get("default")
        yield from _constants_of_calls(inner)


def _output_values(document: Mapping[str, Any]) -> Iterator[Any]:
    for change in (document.get("output_changes") or {}).values():
        for when in ("before", "after"):
            yield from marked(change.get(when), change.get(f"{when}_sensitive"))


def _change_values(document: Mapping[str, Any], kind: str) -> Iterator[Any]:
    for resource in document.get(kind) or ():
        change = resource.get("change") or {}
        for when in ("before", "after"):
            marks = with_inferred_marks(resource.get("type", ""), change.get(f"{when}_sensitive"))
            yield from marked(change.get(when), marks)


def _state_values(values: Mapping[str, Any]) -> Iterator[Any]:
    for output in (values.get("outputs") or {}).values():
        if output.get("sensitive"):
            yield output.get("value")
    yield from _module_values(values.get("root_module") or {})


def _module_values(module: Mapping[str, Any]) -> Iterator[Any]:
    for resource in module.get("resources") or ():
        marks = with_inferred_marks(resource.get("type", ""), resource.get("sensitive_values"))
        yield from marked(resource.get("values"), marks)
    for child in module.get("child_modules") or ():
        yield from _module_values(child)
