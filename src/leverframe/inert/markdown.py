"""Text of others inside Markdown as GitHub renders it: it stays text, in its place, and is cut by bytes.

Names and values stand in code spans, in which GitHub follows no reference and knows no markup
(https://github.github.com/gfm/#code-spans). Words of a sentence are written as entities, which form no markup, with
word joiners inside of references (``letters``). Both hold in tables, lists and the summary of a folded part.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate, takewhile

from leverframe.inert.letters import JOINER, one_line, unreferenced

_ALREADY_CUT = re.compile(r"… \+(\d+) characters\Z")  # as ``constraint.cut`` writes it
_ADDRESS = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&+,;=%-]{1,400}\Z")
_BACKTICKS = re.compile("`+")
_OUTSIDE = re.compile(r"(\||<(?=!--))")  # ends a cell even inside of code; what looks for a marker reads code, too
_COSTS = {"|": "`&#124;`", "<": "`&#60;`", "`": "```"}  # bytes that a character may take in code
_PLAIN = frozenset(" ,=()+-%;.'" + JOINER)
_DOLLAR = "<span>$</span>"  # no end of a formula: docs.github.com, "Writing mathematical expressions"
_MARKER = re.compile(r"\A( *(?:[-+](?=[ -]*\Z| )|=(?==* *\Z)|\d{1,9}[.)](?= |\Z))| {4})")  # of a list, a line, code


def code(text: str, limit: int) -> str:
    """Return the beginning of ``text`` as code of about ``limit`` bytes, and how much follows it."""
    cut = _ALREADY_CUT.search(text)
    whole, hidden = (text[: cut.start()], int(cut[1])) if cut else (text, 0)
    if not whole.strip():
        return f"({len(whole):,} blanks)" if whole else "(empty)"
    shown = one_line(whole[:limit])
    shown = shown[: _fitting([_COSTS.get(character, character) for character in shown], limit)]
    hidden += len(whole) - len(shown)
    spans = "".join(map(_span, _OUTSIDE.split(shown)))
    return f"{spans}… +{hidden:,} characters" if hidden else spans


def _span(text: str) -> str:
    """Return a piece of code between more backticks than stand in it, or the entity of what code cannot hold."""
    if text in ("|", "<", ""):
        return "".join(map(_entity, text))
    fence = "`" * _longer(text, 1)
    pad = (
        " " if text.strip() and ("`" in text[0] + text[-1] or text[0] == text[-1] == " ") else ""
    )  # which is not shown
    return f"{fence}{pad}{text}{pad}{fence}"


def _longer(text: str, least: int) -> int:
    """Return one more than the longest run of backticks in a text, and at least ``least``."""
    return max((len(run) + 1 for run in _BACKTICKS.findall(text)), default=least)


def plain(text: str, limit: int) -> str:
    """Return words of at most ``limit`` bytes that form no markup and refer to nobody, also where a line begins."""
    return _words(text, limit, begins=True)


def _words(text: str, limit: int, *, begins: bool = False) -> str:
    shown = unreferenced(one_line(text[:limit].replace("`", "'")))
    pieces = [_entity(character) for character in shown]
    marker = _MARKER.match(shown) if begins else None
    if marker:
        pieces[marker.end() - 1] = f"&#{ord(marker[0][-1])};"
    count = _fitting(pieces, limit)
    return "".join(pieces[:count]) + ("…" if count < len(pieces) or len(text) > limit else "")


def _fitting(pieces: Sequence[str], limit: int) -> int:
    """Return how many of the first pieces have at most ``limit`` bytes together."""
    ends = accumulate(len(piece.encode()) for piece in pieces)
    return sum(1 for _ in takewhile(lambda end: end <= limit, ends))


def sentence(text: str) -> str:
    """Return a sentence in which names stand between backticks, each as a code span of its own."""
    return phrases(text, 200, 400)


def phrases(text: str, name: int, words: int) -> str:
    """Return a sentence as ``sentence`` does, with limits in bytes for a name and for the words between two."""
    first, *others = text.split("`")
    shown = [plain(first, words)] if first else []
    for number, piece in enumerate(others, 1):
        if number % 2:
            shown += [code(piece, name)] if piece else []
        elif piece or number < len(others):
            shown.append(_words(piece or " ", words))  # two spans side by side would be one
    return "".join(shown)


def _entity(character: str) -> str:
    """Return a character that Markdown and HTML read as text."""
    if character == "$":
        return _DOLLAR
    return character if character.isalnum() or character in _PLAIN or character > "\x7f" else f"&#{ord(character)};"


def link(words: str, url: str) -> str:
    """Return a link to an address of the web, its words being Markdown; any other address is no link."""
    return f"[{words}]({url})" if _ADDRESS.match(url) else words


def fenced(language: str, lines: Sequence[str]) -> str:
    """Return lines as a block of code that nothing in them ends; each stays one line."""
    body = "\n".join(one_line(line) for text in lines for line in text.split("\n"))
    fence = "`" * max(3, _longer(body, 3))
    return f"{fence}{language}\n{body}\n{fence}"


def folded(title: str, words: str, body: str, *, unfolded: bool = False) -> str:
    """Return Markdown that is unfolded by a click below ``title``, which is ours, and words, which may be of others."""
    mark = " open" if unfolded else ""
    return f"<details{mark}><summary><b>{title}</b>: {plain(words, 200)}</summary>\n\n{body}\n\n</details>"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of Markdown cells; columns whose heads begin with ``#`` are of numbers, at the right."""
    rule = ["---:" if head.startswith("#") else "---" for head in heads]
    return "\n".join(f"| {' | '.join(row)} |" for row in ([head.removeprefix("#") for head in heads], rule, *rows))
