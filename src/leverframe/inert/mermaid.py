"""Text of others inside a diagram of Mermaid: it can be no node, style, directive, link or handler of a click."""

from __future__ import annotations

_KNOWN = " .,-_="


def label(text: str, limit: int = 80) -> str:
    """Return the beginning of a text as a label between quotes: letters and digits; any other character is a dot.

    Mermaid has no escape that holds in every kind of diagram, so what could be syntax is left out.
    """
    return "".join(character if character.isalnum() or character in _KNOWN else "·" for character in text[:limit])
