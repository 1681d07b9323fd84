"""Who owns a path, as GitHub reads `CODEOWNERS`: the last pattern that matches counts.

Source: GitHub's documentation "About code owners". The first file of ``PLACES`` that exists counts. A line with
wrong syntax is skipped. `!`, `[ ]` and an escaped `#` at the start do not work there, nor do they here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
_LOGIN = re.compile(r"@[A-Za-z0-9](?:[A-Za-z0-9-]{0,38}[A-Za-z0-9])?(?:_[A-Za-z0-9]+)?")
_TEAM = re.compile(r"@[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_WORD = re.compile(r"(?:\\.|[^\s\\])+")


@dataclass(frozen=True)
class Owners:
    """Owners of a path: people by login, who can be assigned, and teams as `org/team`, which can be mentioned only."""

    logins: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()


def owners(text: str, path: str) -> Owners:
    """Return who owns a file, its path relative to the repository; nobody where the last match names nobody."""
    names: tuple[str, ...] = ()
    for pattern, named in _lines(text):
        if _expression(pattern).match(path):
            names = named
    logins = tuple(dict.fromkeys(name[1:] for name in names if _LOGIN.fullmatch(name)))
    return Owners(logins, tuple(dict.fromkeys(name[1:] for name in names if _TEAM.fullmatch(name))))


def _lines(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for line in text.lstrip("\N{ZERO WIDTH NO-BREAK SPACE}").splitlines():
        words = _WORD.findall(line)
        before = next((number for number, word in enumerate(words) if word.startswith("#")), len(words))
        words = words[:before]
        if not words or words[0].startswith(("!", "\\#")) or "[" in words[0]:
            continue
        if all(_LOGIN.fullmatch(word) or _TEAM.fullmatch(word) or _EMAIL.fullmatch(word) for word in words[1:]):
            yield words[0], tuple(words[1:])


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    """Return the expression of a pattern of gitignore: anchored by a slash that is not its last character.

    A name matches what lies below it, but `folder/*` matches files of the folder alone.
    """
    anchored = "/" in pattern.rstrip("/")
    body, below = pattern.strip("/"), pattern.endswith("/")
    parts = []
    for piece in re.findall(r"\*\*/|/\*\*$|\*\*|\\.|.", body):
        known = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        parts.append(known.get(piece) or re.escape(piece[1:] if piece[0] == "\\" and len(piece) > 1 else piece))
    rest = "/.+" if below else "" if body.endswith("*") and anchored else "(?:/.*)?"
    return re.compile(f"{'' if anchored else '(?:.*/)?'}{''.join(parts)}{rest}\\Z", re.DOTALL)
