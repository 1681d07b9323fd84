"""What is secret in a plan or a state of Terraform, and how texts lose it: by value, wherever it stands.

Terraform marks what it knows to be sensitive, and forgets the mark on the way: ``terraform_data.output`` shows a
sensitive input (hashicorp/terraform#35609), an error repeats it, a provisioner prints it. So every marked value is
collected, and hidden in every text, as it is and as JSON, addresses and base64 write it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

from leverframe.domain.infrastructure.secret_search import SecretSearch, can_be_hidden
from leverframe.redaction import HIDDEN

_NAME = re.compile(r"[a-z]{1,12}(?:_[a-z]{1,12})*")  # of an attribute, which a key of a secret map may be as well


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
        return self._search.hidden(text, HIDDEN)

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
    def _search(self) -> SecretSearch:
        return SecretSearch(self.values)


def secrets_of_plan(document: Mapping[str, Any], named: Collection[str] = ()) -> Secrets:
    """Return every value that a plan (`show -json` of it) marks or lets infer as sensitive.

    ``named`` are variables that are secret whether the root module marks them or not.
    """
    values = [
        *_variable_values(document, named),
        *_output_values(document),
        *(value for kind in ("resource_changes", "resource_drift") for value in _change_values(document, kind)),
        *_state_values(document.get("planned_values") or {}),
        *_state_values((document.get("prior_state") or {}).get("values") or {}),
    ]
    return Secrets.of(values) | _keys_of(values, document.get("configuration"))


def secrets_of_state(document: Mapping[str, Any]) -> Secrets:
    """Return every value that a state (`show -json` of it) marks or lets infer as sensitive."""
    values = list(_state_values(document.get("values") or {}))
    return Secrets.of(values) | _keys_of(values)


def unmarked(document: Mapping[str, Any], named: Collection[str]) -> list[str]:
    """Return which variables the root module does not mark as sensitive, and have a value that cannot be hidden."""
    declared = ((document.get("configuration") or {}).get("root_module") or {}).get("variables") or {}
    given = document.get("variables") or {}
    return [
        name
        for name in named
        if not (declared.get(name) or {}).get("sensitive")
        and any(text and not can_be_hidden(text) for text in _texts((given.get(name) or {}).get("value")))
    ]


def _keys_of(values: Iterable[Any], configuration: Any = None) -> Secrets:
    """Return the keys of secret maps: a token may be one. A name is none, nor is what the configuration writes down."""
    keys = {key for value in values for key in _keys(value) if not _NAME.fullmatch(key)}
    written = json.dumps(configuration, ensure_ascii=False, default=str) if keys and configuration else ""
    return Secrets(frozenset(key for key in keys if not _stands(json.dumps(key, ensure_ascii=False)[1:-1], written)))


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _keys(part)


def _stands(word: str, text: str) -> bool:
    return bool(text) and bool(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text))


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


def _variable_values(document: Mapping[str, Any], named: Collection[str]) -> Iterator[Any]:
    module = (document.get("configuration") or {}).get("root_module") or {}
    given = document.get("variables") or {}
    for name, variable in (module.get("variables") or {}).items():
        if variable.get("sensitive"):
            yield (given.get(name) or {}).get("value")
            yield variable.get("default")
    yield from ((given.get(name) or {}).get("value") for name in named)
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
