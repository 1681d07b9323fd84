"""Many secrets found in a text in one scan, as texts write them: escaped, encoded, and wrapped at their blanks.

What costs time or memory grows with the letters of the secrets and of the text alone: a secret may be a file of a
megabyte, and whoever writes a text may have chosen it.
"""

from __future__ import annotations

import base64
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from urllib.parse import quote, quote_plus

LEAST_WORD = 4  # characters from which a value is hidden where it stands as a word of its own
LEAST = 6  # characters from which it is hidden also inside of longer words
ORDINARY = frozenset({"true", "false", "null", "none", "default"})
_KEY, _HEAD = 12, 3  # letters by which forms are looked up, and by which places are found to look at
_BLANK, _FRAMED = re.compile(r"\s++"), re.compile(r"\s++(?:[│|]\s*+)?+")  # Terraform frames what it wraps
_PIPES = ("│", "|")


class Where(Enum):
    """Where a form of a secret is one: the characters that stand on neither side of it."""

    ANYWHERE = None
    NO_DIGITS = re.compile(r"\d")
    WORD = re.compile(r"[A-Za-z0-9_]")

    def fits(self, text: str, start: int, end: int) -> bool:
        """Tell whether what is between two places of a text stands where it has to."""
        if self.value is None:
            return True
        return not (start and self.value.match(text, start - 1)) and not self.value.match(text, end)


def can_be_hidden(value: str) -> bool:
    """Tell whether a value is hidden by value: a short or an ordinary one would spoil the text, and show what it is."""
    return len(value.strip()) >= LEAST_WORD and value.strip().lower() not in ORDINARY


@dataclass(frozen=True)
class SecretSearch:
    """Finds every form of some values."""

    values: frozenset[str]

    def hidden(self, text: str, instead: str) -> str:
        """Return the text with something else ``instead`` of each secret in it, of several at one place the longest."""
        if self._heads is None:
            return text
        parts, kept, at = [], 0, self._heads.search(text)
        while at:
            end = self._end(text, at.start())
            if end:
                parts += [text[kept : at.start()], instead]
                kept = end
            at = self._heads.search(text, end or at.start() + 1)
        return "".join([*parts, text[kept:]])

    def _end(self, text: str, start: int) -> int:
        """Return where the longest secret that begins at a place ends; 0 where none does."""
        longest = 0
        for length in self._lengths:
            for form, where in self._forms.get(text[start : start + length], ()):
                end = _end_of(form, text, start)
                if end > longest and where.fits(text, start, end):
                    longest = end
        return longest

    @cached_property
    def _forms(self) -> dict[str, list[tuple[str, Where]]]:
        forms = {form for value in self.values for form in _written(value)}
        by_key = defaultdict(list)
        for form, where in forms:
            by_key[form.partition(" ")[0][:_KEY]].append((form, where))
        return dict(by_key)

    @cached_property
    def _lengths(self) -> list[int]:
        return sorted({len(key) for key in self._forms})

    @cached_property
    def _heads(self) -> re.Pattern[str] | None:
        """The pattern of the first letters of all forms."""
        last: dict[str, set[str]] = defaultdict(set)
        for key in self._forms:
            last[key[: _HEAD - 1]].add(key[_HEAD - 1 : _HEAD])
        second: dict[str, list[str]] = defaultdict(list)
        for begin, letters in sorted(last.items()):
            ends = "" if "" in letters else f"[{''.join(map(re.escape, sorted(letters)))}]"
            second[begin[:1]].append(re.escape(begin[1:]) + ends)
        patterns = [f"{re.escape(first)}(?:{'|'.join(rests)})" for first, rests in second.items()]
        return re.compile("|".join(patterns)) if patterns else None


def _end_of(form: str, text: str, start: int) -> int:
    """Return where a form ends in a text; 0 where it does not stand there."""
    at = start
    for index, word in enumerate(form.split(" ")):
        if index:
            blank = (_BLANK if word.startswith(_PIPES) else _FRAMED).match(text, at)
            if blank is None:
                return 0
            at = blank.end()
        if not text.startswith(word, at):
            return 0
        at += len(word)
    return at


def _written(value: str) -> Iterator[tuple[str, Where]]:
    """Yield what stands for a value in texts, with a single blank for each run of them, and where it is it."""
    for part in {value, *value.splitlines()}:
        stripped = part.strip()
        if not can_be_hidden(stripped):
            continue
        where = Where.WORD if len(stripped) < LEAST else Where.NO_DIGITS if stripped.isdigit() else Where.ANYWHERE
        for form in _forms(stripped):
            yield " ".join(form.split()), where
        for form in {*_in_base64(part.encode()), *_in_base64(stripped.encode())}:
            yield form, Where.ANYWHERE


def _forms(value: str) -> set[str]:
    """Return a value as texts write it: as it is, in JSON once or twice, in a configuration, in an address."""
    forms = {value}
    for _ in range(2):
        forms |= {json.dumps(form, ensure_ascii=ascii_only)[1:-1] for form in forms for ascii_only in (True, False)}
        forms |= {_as_go(form) for form in forms}
    forms |= {value.replace("${", "$${").replace("%{", "%%{")}
    return forms | {quote(value, safe=""), quote(value, safe="/"), quote_plus(value)}


def _as_go(text: str) -> str:
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _in_base64(value: bytes) -> Iterable[str]:
    """Yield what stands for a value in the base64 of any text that holds it, wherever in the text that is."""
    for before, first in ((0, 0), (1, 2), (2, 3)):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(b"\0" * before + value).decode()[first : (before + len(value)) * 8 // 6]
            if len(encoded) >= LEAST:
                yield encoded
