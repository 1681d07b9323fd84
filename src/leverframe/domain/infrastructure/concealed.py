"""The values of a plan, once nothing in them is secret."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any

from leverframe.domain.infrastructure.sensitive_values import Secrets
from leverframe.redaction import HIDDEN, redacted

SENSITIVE = "(sensitive)"
_DEEPEST = 30  # levels of a JSON document whose parts are compared
KEYS = re.compile(r'\["((?:[^"\\]|\\.)*)"\]')  # of instances, as an address has them


@dataclass(frozen=True)
class Concealed:
    """A value that is secret or holds something secret: what may be shown of it, and all of it to compare."""

    shown: str
    whole: Any = field(repr=False)


@dataclass(frozen=True)
class JsonText:
    """A text that is a JSON document, without its secrets: as it is written, and its parts."""

    text: str | Concealed
    parts: Any


@dataclass(frozen=True)
class Unknown:
    """A value that is known only after the apply."""


@dataclass(frozen=True)
class Concealer:
    """Takes secrets out of values: those that are marked, those known by value, and what looks like one.

    ``secrets`` are those of the plan, the same on every machine, ``more`` what else this machine knows to be secret.
    """

    secrets: Secrets
    more: Secrets = field(default_factory=Secrets)

    @cached_property
    def _all(self) -> Secrets:
        return self.secrets | self.more

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        return redacted(self._all.hidden(text), {})

    def address(self, address: str, key: bytes) -> str:
        """Return an address in which each instance key that holds a secret of the plan is ``***`` and a keyed digest.

        Names of the configuration stay: what is protected is known by them. All machines hide the same, and two
        addresses stay two.
        """
        return KEYS.sub(lambda match: self._instance(match, key), address)

    def _instance(self, match: re.Match[str], key: bytes) -> str:
        shown = redacted(self.secrets.hidden(match[1]), {})
        if shown == match[1]:
            return match[0]
        return f'["{HIDDEN}-{hmac.new(key, match[1].encode(), hashlib.sha256).hexdigest()[:8]}"]'

    def tree(self, value: Any, marks: Any = None, unknown: Any = None, name: str = "") -> Any:
        """Return a value with ``Concealed`` for its secret parts, and ``Unknown`` for those that are not known yet."""
        if unknown is True:
            return Unknown()
        if marks is True and value is not None:
            return Concealed(SENSITIVE, value)
        if isinstance(value, dict) or (value is None and isinstance(unknown, dict) and unknown):
            return self._map(value or {}, marks, unknown)
        if isinstance(value, list):
            more = len(unknown) - len(value) if isinstance(unknown, list) else 0
            padded = [*value, *[None] * more]
            return [self.tree(item, _at(marks, at), _at(unknown, at), name) for at, item in enumerate(padded)]
        return self._leaf(value, name)

    def _map(self, value: dict[str, Any], marks: Any, unknown: Any) -> dict[str, Any]:
        later = {key for key, part in unknown.items() if part} if isinstance(unknown, Mapping) else set()
        tree = {}
        for at, key in enumerate(sorted({*value, *later})):
            shown = self.text(key)
            unique = key if shown == key else f"{shown}-{at}"
            tree[unique] = self.tree(value.get(key), _at(marks, key), _at(unknown, key), key)
        return tree

    def _leaf(self, value: Any, name: str) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if not isinstance(value, str):
            secret = self._all.hidden_in(value) != value
            return Concealed(SENSITIVE, value) if secret else value
        shown = self.text(value)
        if shown == value and value.strip() and _names_a_secret(name):
            shown = SENSITIVE
        leaf = value if shown == value else Concealed(shown, value)
        document, public = _document(value), _document(shown)
        if document is None or public is None:
            return leaf
        return JsonText(leaf, self.tree(document, self._unlike(document, public)))

    def _unlike(self, value: Any, public: Any) -> Any:
        """Return the marks of what is hidden in the text of a document and would be shown in its parts."""
        if isinstance(value, dict) and isinstance(public, dict) and value.keys() == public.keys():
            return {key: self._unlike(part, public[key]) for key, part in value.items()}
        if isinstance(value, list) and isinstance(public, list) and len(value) == len(public):
            return [self._unlike(*pair) for pair in zip(value, public, strict=True)]
        return value != public and not (isinstance(value, str) and self.text(value) != value)


def _document(text: str) -> Any:
    """Return the object or list that a text is in JSON; None where it is none, or not one that every reader reads so.

    What is nested too deep to be walked, and two values under one key, of which readers take one or the other, are left
    to be read as text.
    """
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        document = json.loads(text, parse_float=Decimal, object_pairs_hook=_unique, parse_constant=_no_number)
        json.dumps(document, ensure_ascii=False, default=str).encode()
    except (ValueError, RecursionError):
        return None
    return document if document and _flat(document) else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key stands twice")
    return values


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not of JSON")


def _flat(document: Any) -> bool:
    """Tell whether a document is nested no deeper than people nest them."""
    level = [document]
    for _ in range(_DEEPEST):
        level = [
            part
            for whole in level
            if isinstance(whole, dict | list)
            for part in (whole.values() if isinstance(whole, dict) else whole)
        ]
        if not level:
            return True
    return False


@lru_cache(maxsize=4096)  # a plan has few names, each many times
def _names_a_secret(name: str) -> bool:
    """Whether what has this name is a password, a token or a key, marked or not."""
    written = f'"{name}": "x"'
    return redacted(written, {}) != written


def _at(marks: Any, key: str | int) -> Any:
    """Return the part of marks that belongs to a key or an index; none where they end before."""
    if isinstance(marks, Mapping):
        return marks.get(key)
    if isinstance(marks, list) and isinstance(key, int) and key < len(marks):
        return marks[key]
    return None
