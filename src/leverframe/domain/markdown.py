"""Untrusted text inside Markdown: it stays text, in its place, and is cut by bytes.

Code spans hold what comes from data and names; what could end a span, or begin a hidden marker, is written as
entities.
"""

from __future__ import annotations

import re
import unicodedata

_ALREADY_CUT = re.compile(r"… \+(\d+) characters\Z")  # as ``constraint.cut`` writes it
_ADDRESS = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&+,;=%-]{1,400}\Z")


def code(text: str, limit: int) -> str:
    """Return the beginning of ``text`` as a code span of about ``limit`` bytes, and how much follows it."""
    told = _ALREADY_CUT.search(text)
    whole, hidden = (text[: told.start()], int(told[1])) if told else (text, 0)
    if not whole.strip():
        return f"({len(whole):,} blanks)" if whole else "(empty)"
    shown = [visible(each) for each in whole[:limit]]
    fenced = not {"`", "|"} & set(shown) and "<!--" not in whole  # what looks for a marker reads code spans, too
    pieces = shown if fenced else [_entity(each) for each in shown]
    while sum(len(piece.encode()) for piece in pieces) > limit:
        pieces.pop()
    hidden += len(whole) - len(pieces)
    code = f"`{''.join(pieces)}`" if fenced else f"<code>{''.join(pieces)}</code>"
    return f"{code}… +{hidden:,} characters" if hidden else code


def plain(text: str, limit: int) -> str:
    """Return a sentence as text of at most ``limit`` bytes; values from data form no markup."""
    pieces = [each if each in "%;.'" else _entity(each) for each in map(visible, text[:limit].replace("`", "'"))]
    while sum(len(piece.encode()) for piece in pieces) > limit:
        pieces.pop()
    return "".join(pieces).replace("www.", "www&#46;") + ("…" if len(pieces) < len(text) else "")


def sentence(text: str) -> str:
    """Return a sentence in which names stand between backticks, each as a code span of its own."""
    pieces = text.split("`")
    return "".join(
        code(piece, 200) if number % 2 else plain(piece, 400) for number, piece in enumerate(pieces) if piece
    )


def visible(character: str) -> str:
    """Return a visible character: no line break, control character or change of direction."""
    category = unicodedata.category(character)
    if character in "\n\r" or category in ("Zl", "Zp"):
        return "⏎"
    return "\N{REPLACEMENT CHARACTER}" if category.startswith("C") else character


def _entity(character: str) -> str:
    """Return a character that Markdown and HTML read as text."""
    return character if character.isalnum() or character in " ,=()+-" or character > "\x7f" else f"&#{ord(character)};"


def link(words: str, url: str) -> str:
    """Return a link to an address of the web, its words being Markdown; any other address is no link."""
    return f"[{words}]({url})" if _ADDRESS.match(url) else words
