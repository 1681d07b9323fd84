"""Many secrets found in a text in one scan, as texts write them: escaped, encoded, and wrapped at their blanks.

What costs time or memory grows with the letters of the secrets and of the text alone: a secret may be a file of a
megabyte, and whoever writes a text may have chosen it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from urllib.parse import quote, quote_plus

from leverframe.domain.infrastructure.secret_texts import SecretTexts

LEAST_WORD = 4  # characters from which a value is hidden where it stands as a word of its own
LEAST = 6  # characters from which it is hidden also inside of longer words
ORDINARY = frozenset({"true", "false", "null", "none", "default"})


class MatchRule(Enum):
    """Where a form of a secret is one: anywhere, not beside a digit, or as a word of its own."""

    ANYWHERE = 0
    NO_DIGITS = 1
    WORD = 2


def can_be_hidden(value: str) -> bool:
    """Tell whether a value is hidden by value: a short or an ordinary one would spoil the text, and show what it is."""
    return len(value.strip()) >= LEAST_WORD and value.strip().lower() not in ORDINARY


@dataclass(frozen=True)
class SecretSearch:
    """Finds every form of some values."""

    values: frozenset[str]

    def hidden(self, text: str, instead: str) -> str:
        """Return the text with something else ``instead`` of each secret in it, of several at one place the longest."""
        return self._texts.replaced(text, instead)

    @cached_property
    def _texts(self) -> SecretTexts:
        forms = {form for value in self.values for form in _written(value)}
        by_place = {place: [form for form, where in forms if where is place] for place in MatchRule}
        return SecretTexts(by_place[MatchRule.ANYWHERE], by_place[MatchRule.WORD], by_place[MatchRule.NO_DIGITS])


def _written(value: str) -> Iterator[tuple[str, MatchRule]]:
    """Yield what stands for a value in texts, with a single blank for each run of them, and where it is it."""
    for part in {value, *value.splitlines()}:
        stripped = part.strip()
        if not can_be_hidden(stripped):
            continue
        where = (
            MatchRule.WORD
            if len(stripped) < LEAST
            else MatchRule.NO_DIGITS
            if stripped.isdigit()
            else MatchRule.ANYWHERE
        )
        for form in _forms(stripped):
            yield form, where
        for form in {part, stripped, *_in_json(part), *map(_as_go, _in_json(part))}:
            for encoded in _in_base64(form.encode()):
                yield encoded, MatchRule.ANYWHERE


def _forms(value: str) -> set[str]:
    """Return a value as texts write it: as it is, in JSON once or twice, in a configuration, in an address."""
    forms = {value}
    for _ in range(2):
        forms |= {written for form in forms for written in _in_json(form)}
        forms |= {_as_go(form) for form in forms}
    forms |= {value.replace("${", "$${").replace("%{", "%%{")}
    return forms | {quote(value, safe=""), quote(value, safe="/"), quote_plus(value)}


def _in_json(text: str) -> Iterator[str]:
    yield from (json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))


def _as_go(text: str) -> str:
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _in_base64(value: bytes) -> Iterable[str]:
    """Yield what stands for a value in the base64 of any text that holds it, wherever in the text that is."""
    for before, first in ((0, 0), (1, 2), (2, 3)):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(b"\0" * before + value).decode()[first : (before + len(value)) * 8 // 6]
            if len(encoded) >= LEAST:
                yield encoded
