"""Text of others inside HTML and SVG: it stays text, in its place, and is cut by bytes."""

from __future__ import annotations

import html

from leverframe.inert.letters import visible


def text(value: str, limit: int = 200) -> str:
    """Return the beginning of ``value`` as text of HTML, XML or an attribute, of about ``limit`` bytes.

    Control characters and changes of direction become visible; what is left out is counted.
    """
    pieces = [html.escape(visible(character)) for character in value[:limit]]
    size = sum(len(piece.encode()) for piece in pieces)
    while size > limit:
        size -= len(pieces.pop().encode())
    hidden = len(value) - len(pieces)
    return "".join(pieces) + (f"… +{hidden:,} characters" if hidden else "")


def name(value: str, limit: int = 80) -> str:
    """Return a name as a piece of code; an empty or blank one says so."""
    if not value.strip():
        return f"<i>({len(value):,} blanks)</i>" if value else "<i>(empty)</i>"
    return f"<code>{text(value, limit)}</code>"


def sentence(value: str, limit: int = 600) -> str:
    """Return a sentence in which names stand between backticks; pieces beyond ``limit`` bytes are left out."""
    pieces = value[:limit].split("`")
    shown: list[str] = []
    for number, piece in enumerate(pieces):
        if not piece:
            continue
        shown.append(name(piece, 120) if number % 2 else text(piece, limit))
        if sum(len(part.encode()) for part in shown) > limit:
            break
    return "".join(shown) + ("…" if len(value) > limit else "")


def link(url: str, label: str) -> str:
    """Return a link to an address of the web, opened without telling where from; any other address is no link.

    ``label`` is HTML.
    """
    if not url.startswith(("https://", "http://")) or len(url) > 500:
        return label
    return f'<a href="{text(url, 3000)}" rel="noreferrer noopener">{label}</a>'
