"""The values of a plan, once nothing in them is secret: what may be shown, and what a digest may be made of."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from leverframe.domain.infrastructure.sensitive_values import Secrets
from leverframe.redaction import redacted

SENSITIVE = "(sensitive)"
_COST = {"n": 2**15, "r": 8, "p": 1, "maxmem": 2**26}  # of one guess, where there is no key: 32 MiB and 0.1 s


@dataclass(frozen=True)
class Concealed:
    """A value that is secret or holds something secret: ``shown`` without it, and a keyed digest of all of it."""

    shown: str
    mac: str


@dataclass(frozen=True)
class Unknown:
    """A value that is known only after the apply."""


def digest_key(lineage: str, secrets: Secrets) -> bytes:
    """Return the key under which secret values enter a digest that is published.

    Without a key, a short secret could be guessed from the digest, as the rest of the change is public. The lineage of
    a state is random, and known to exactly those who may read the state, where the secrets stand in clear. Before the
    first apply there is no state: then the key is of all secrets of the plan together, and each guess is made slow
    (scrypt, RFC 7914). Neither is ever written anywhere.
    """
    if lineage:
        return hashlib.sha256(b"leverframe infra " + lineage.encode()).digest()
    material = canonical(sorted(secrets.values))
    return hashlib.scrypt(material, salt=b"leverframe infra", **_COST)


@dataclass(frozen=True)
class Concealer:
    """Turns values of a plan into trees of what is known and shown, under the key of ``digest_key``."""

    secrets: Secrets
    key: bytes

    def tree(self, value: Any, marks: Any = None, unknown: Any = None, name: str = "") -> Any:
        """Return a value with ``Concealed`` for what its marks or its content make secret, ``Unknown`` for the rest."""
        if unknown is True:
            return Unknown()
        if marks is True:
            return Concealed(SENSITIVE, self._mac(value))
        if isinstance(value, dict) or (isinstance(unknown, dict) and value is None):
            known = value or {}
            names = sorted({*known, *(key for key, part in _items(unknown) if part)})
            parts = [(key, self._named(key), _at(marks, key), _at(unknown, key)) for key in names]
            return {shown: self.tree(known.get(key), mark, open_, key) for key, shown, mark, open_ in parts}
        if isinstance(value, list):
            length = max(len(value), len(unknown) if isinstance(unknown, list) else 0)
            padded = [*value, *[None] * (length - len(value))]
            return [self.tree(item, _at(marks, at), _at(unknown, at), name) for at, item in enumerate(padded)]
        return self._leaf(value, name)

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        return redacted(self.secrets.hidden(text), {})

    def _named(self, key: str) -> str:
        """Return the key of a map; a secret one is told apart from others by its keyed digest."""
        shown = self.text(key)
        return key if shown == key else f"{shown}-{self._mac(key)[:8]}"

    def _leaf(self, value: Any, name: str) -> Any:
        if not isinstance(value, str):
            return Concealed(SENSITIVE, self._mac(value)) if self._is_secret_number(value) else value
        shown = self.text(value)
        if shown == value and not value.isspace() and value and self._hides_under(name, value):
            shown = SENSITIVE
        return value if shown == value else Concealed(shown, self._mac(value))

    def _is_secret_number(self, value: Any) -> bool:
        if isinstance(value, bool) or value is None:
            return False
        return self.secrets.hidden(str(value)) != str(value)

    @staticmethod
    def _hides_under(name: str, value: str) -> bool:
        """Whether the name says that the value is a password, a token or a key, marked or not."""
        written = f'"{name}": "x{len(value)}"'
        return redacted(written, {}) != written

    def _mac(self, value: Any) -> str:
        return hmac.new(self.key, canonical(value), hashlib.sha256).hexdigest()


def canonical(value: Any) -> bytes:
    """Return a value as JSON in which neither the order of keys nor how a number is held matters."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_tagged).encode()


def digest_of(value: Any) -> str:
    """Return the SHA-256, in hex, of a tree."""
    return hashlib.sha256(canonical(value)).hexdigest()


def _tagged(value: Any) -> Any:
    if isinstance(value, Concealed):
        return {"\0secret": value.mac}
    if isinstance(value, Unknown):
        return {"\0unknown": True}
    if isinstance(value, Decimal):
        return {"\0number": str(value)}
    raise TypeError(f"{type(value).__name__} is not in a plan")


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _at(value: Any, key: str | int) -> Any:
    """Return the part of marks that belongs to a key or an index; none where they end before."""
    if isinstance(value, Mapping):
        return value.get(key)
    if isinstance(value, list) and isinstance(key, int) and key < len(value):
        return value[key]
    return None
