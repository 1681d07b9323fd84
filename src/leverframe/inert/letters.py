"""What every sink has in common: characters that are seen, and references that no forge follows.

GitHub looks for references in the text of the HTML that Markdown became, outside of ``pre``, ``code`` and ``a``: so an
entity such as ``&#64;`` is an ``@`` again by then, and so is what stands inside of raw HTML
(https://docs.github.com/en/get-started/writing-on-github/working-with-advanced-formatting/autolinked-references-and-urls,
https://github.com/gjtorikian/html-pipeline). In titles and subjects of commits there is no ``code`` at all. Where
text may not be code, a word joiner, which nobody sees, stands inside of what would be one.
"""

from __future__ import annotations

import re
import unicodedata

JOINER = "\N{WORD JOINER}"
UNSEEN = "\N{REPLACEMENT CHARACTER}"
# Letters and marks that take no room, though Unicode calls them neither control nor format (Default_Ignorable).
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")
_REFERENCE = re.compile(
    r"@"  # of a person, a team, a commit of a repository, a mail
    r"|#(?!\s)"  # of an issue, with or without its repository
    r"|(?i:gh-)(?=\d|\Z)"
    r"|:(?=//|[\w+-]+(?::|\Z))(?!(?<=\d:)\d\d(?!\d))"  # an address, an emoji; a time of day is neither
    r"|(?i:www)(?=\.)"
    r"|\A *\[(?=[ xX]?\])"  # a task of a list
)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_HTML = re.compile(r" {0,3}</?(details|summary|div|p|table)\b", re.IGNORECASE)  # until a blank line, all is HTML
_FOLD = re.compile(r"<(/?)details\b", re.IGNORECASE)
_CUT = "_The rest is left out here: the artifact of the run has it._"
_COMMIT = re.compile(r"(?<![A-Za-z0-9])[0-9A-Fa-f]{7,}")  # of 7 digits or more; a cut may end it anywhere


def harmless(character: str) -> bool:
    """Tell whether a character is seen where it stands: no control, no format, no end of a line, no surrogate."""
    return (character.isprintable() and character not in _BLANK) or unicodedata.category(character) == "Zs"


def visible(character: str) -> str:
    """Return a visible character: no line break, control character or change of direction."""
    if character in "\n\r\u2028\u2029":
        return "⏎"
    return character if harmless(character) else UNSEEN


def one_line(text: str) -> str:
    """Return a text with nothing in it that ends a line, is not seen, or changes its direction."""
    return "".join(map(visible, text))


def unreferenced(text: str) -> str:
    """Return a text in which no person, issue, commit, address or emoji is referred to; it looks the same."""
    return _COMMIT.sub(_in_sixes, _REFERENCE.sub(lambda reference: f"{reference[0]}{JOINER}", text))


def _in_sixes(digits: re.Match[str]) -> str:
    return JOINER.join(digits[0][start : start + 6] for start in range(0, len(digits[0]), 6))


def title(text: str, limit: int = 250) -> str:
    """Return the beginning of a text as a title, a subject of a commit or a description: one line, at most ``limit``.

    GitHub follows references in subjects, and a squash makes a subject of a title.
    """
    shown = unreferenced(one_line(" ".join(text.split())))
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def as_read(title: str) -> str:
    """Return a title as a reader sees it, without the joiners that ``title`` sets: a terminal would mark them."""
    return title.replace(JOINER, "")


def fitting(markdown: str, size: int, note: str = _CUT) -> str:
    """Return Markdown of at most ``size`` bytes of UTF-8, which is how GitHub counts: whole lines, then ``note``.

    What is open where it is cut is closed: a fence would take in the note, and an unclosed ``details`` what follows. A
    first line that is longer than all of it is cut between two characters.
    """
    if len(encoded(markdown)) <= size:
        return markdown
    lines, taken, fence, folds = markdown.split("\n"), 0, "", 0
    kept, closing = 0, ""
    for line in lines:
        fence, folds = _open(line, fence, folds)
        ending = _ending(fence, folds, note)
        taken += len(encoded(line)) + 1
        if taken + len(encoded(ending)) > size:
            break
        kept, closing = kept + 1, ending
    if not kept:
        return encoded(lines[0])[: max(0, size)].decode(errors="ignore")
    return "\n".join([*lines[:kept], closing])


def _open(line: str, fence: str, folds: int) -> tuple[str, int]:
    """Return the fence, or ``<`` for a block of HTML, and the number of folds that are open after a line."""
    mark = _FENCE.match(line)
    if fence and fence != "<":
        closes = mark and mark[1].startswith(fence) and not mark[2].strip()
        return "" if closes else fence, folds
    html = bool(line.strip()) and (fence == "<" or bool(_HTML.match(line)))
    if mark and not html and not ("`" in mark[2] and mark[1][0] == "`"):
        return mark[1], folds
    for tag in _FOLD.finditer(line):
        folds = max(0, folds + (-1 if tag[1] else 1))
    return "<" if html else "", folds


def _ending(fence: str, folds: int, note: str) -> str:
    return "\n".join([*([fence] if fence.strip("<") else []), *["\n</details>"] * folds, f"\n{note}\n"])


def encoded(text: str) -> bytes:
    """Return a text as a sink counts it."""
    return text.encode(errors="replace")
