"""The parts that the page consists of: sections, cards and tables of HTML; ``leverframe.inert.markup`` escapes."""

from __future__ import annotations

from collections.abc import Sequence


def icon(state: str) -> str:
    """Return the sign of a state, which has a shape of its own beside its colour; its word follows in the text."""
    return f'<svg class="i {state}" viewBox="0 0 16 16" aria-hidden="true"><use href="#{state}"/></svg>'


def section(anchor: str, title: str, content: str) -> str:
    """Return a section of the page; nothing without content, and everything but ``content`` is plain text."""
    return f'<section id="{anchor}"><h2>{title}</h2>{content}</section>' if content else ""


def card(title: str, words: str, drawing: str) -> str:
    """Return a drawing below its title and the words that sum it up; all are HTML."""
    return f"<figure><figcaption>{title}<span>{words}</span></figcaption>{drawing}</figure>"


def cards(drawn: Sequence[str], legend: str = "") -> str:
    """Return cards side by side, as many as there is room for, above their legend; nothing without a card."""
    if not drawn:
        return ""
    below = f'<p class="legend">{legend}</p>' if legend else ""
    return f'<div class="charts">{"".join(drawn)}</div>{below}'


def left_out(count: int, what: str) -> str:
    """Return a line that says how many are not shown; nothing where all are."""
    return (
        f'<p class="left">{count:,} more {what} are left out here; <code>monitor.json</code> has all.</p>'
        if count > 0
        else ""
    )


def table(heads: list[str], rows: list[list[str]], caption: str) -> str:
    """Return a table of HTML cells, which scrolls where it is too wide; heads that begin with ``#`` are of numbers."""
    numbers = [head.startswith("#") for head in heads]
    head = "".join(f'<th scope="col"{_right(right)}>{text.lstrip("#")}</th>'
                   for text, right in zip(heads, numbers, strict=True))  # fmt: skip
    body = "".join(
        "<tr>" + "".join(_cell(place, cell, numbers[place]) for place, cell in enumerate(row)) + "</tr>" for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(place: int, cell: str, right: bool) -> str:
    return f'<th scope="row">{cell}</th>' if place == 0 else f"<td{_right(right)}>{cell}</td>"


def _right(right: bool) -> str:
    return ' class="n"' if right else ""
