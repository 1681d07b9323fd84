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
