"""Long texts in a plan: every place where two of them differ on lines of its own, since a reviewer approves all of it.

A text of several lines is compared line by line, any other word by word. What is shown is quoted as in JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

_WIDE = 160  # characters of a text in one line of a diff
_CONTEXT = 20  # characters shown around what differs in a long word
_MOST = 2_000  # lines of a diff for one value
_COMPARED = 1_000_000  # pairs of lines or words that are compared; of more, the whole of what differs is one place

Place = tuple[int, str]  # number of a line or a character, from 1 on, and the text there


def added_text(name: str, text: str) -> Iterator[str]:
    """Yield the lines of a diff for a text that was not there."""
    yield f"+ {name} = {_size(text)}"
    several = "\n" in text
    yield from capped(name, [line for place in _placed(text, several) for line in _shown("+", name, place, several)])


def changed_text(name: str, old: str, new: str) -> Iterator[str]:
    """Yield the lines of a diff of two texts that differ: how many places, then each with what goes and what comes."""
    several = "\n" in old or "\n" in new
    places = list(_lines_that_differ(old, new) if several else _words_that_differ(old, new))
    count = f"{len(places):,} {'place differs' if len(places) == 1 else 'places differ'}"
    yield f"~ {name}: {_size(old)} -> {_size(new)}, {count}"
    lines = [
        line
        for sides in places
        for sign, side in zip("-+", sides, strict=True)
        for place in side
        for line in _shown(sign, name, place, several)
    ]
    yield from capped(name, lines)


def capped(name: str, lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines of one value, and how many there are beyond what anybody reads."""
    yield from lines[:_MOST]
    if len(lines) > _MOST:
        yield f"~ {name}: {len(lines) - _MOST:,} more lines like these are not shown: read them in the configuration"


def _size(text: str) -> str:
    lines = text.count("\n") + 1
    return f"{lines:,} lines" if lines > 1 else f"{len(text):,} characters"


def _placed(text: str, several: bool) -> list[Place]:
    return list(enumerate(text.split("\n"), 1)) if several else [(1, text)]


def _shown(sign: str, name: str, place: Place, several: bool) -> Iterator[str]:
    """Yield a line or a part of a line, on as many lines of the diff as it needs."""
    number, text = place
    for start in range(0, max(1, len(text)), _WIDE):
        where = f"line {number}{f', character {start + 1}' if start else ''}"
        if not several:
            where = f"character {number + start}"
        yield f"{sign} {name} {where} = {json.dumps(text[start : start + _WIDE], ensure_ascii=False)}"


def _lines_that_differ(old: str, new: str) -> Iterator[tuple[list[Place], list[Place]]]:
    before, after = _placed(old, True), _placed(new, True)
    for one, two in _unlike([text for _, text in before], [text for _, text in after]):
        yield before[one], after[two]


def _words_that_differ(old: str, new: str) -> Iterator[tuple[list[Place], list[Place]]]:
    before, after = (re.findall(r"\S+\s*|\s+", text) for text in (old, new))
    for one, two in _unlike(before, after):
        yield _trimmed(("".join(before[one]), "".join(after[two])), (_length(before, one), _length(after, two)))


def _length(words: Sequence[str], until: slice) -> int:
    return sum(map(len, words[: until.start]))


def _trimmed(texts: tuple[str, str], starts: tuple[int, int]) -> tuple[list[Place], list[Place]]:
    """Return two texts as places, without most of what both begin and end with."""
    old, new = texts
    head, tail = _common(old, new)
    head, tail = max(0, head - _CONTEXT), max(0, tail - _CONTEXT)
    shown = (text[head : len(text) - tail] for text in texts)
    before, after = ([(start + head + 1, text)] if text else [] for start, text in zip(starts, shown, strict=True))
    return before, after


def _unlike(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[slice, slice]]:
    """Yield where two sequences differ, from the beginning to the end."""
    head, tail = _common(old, new)
    before, after = old[head : len(old) - tail], new[head : len(new) - tail]
    if len(before) * len(after) > _COMPARED:
        yield slice(head, len(old) - tail), slice(head, len(new) - tail)
        return
    for how, a, b, c, d in SequenceMatcher(None, before, after).get_opcodes():
        if how != "equal":
            yield slice(head + a, head + b), slice(head + c, head + d)


def _common(old: Sequence[str], new: Sequence[str]) -> tuple[int, int]:
    """Return how many items two sequences have in common at their beginning, and how many more at their end."""
    least = min(len(old), len(new))
    head = next((at for at in range(least) if old[at] != new[at]), least)
    tail = next((at for at in range(least - head) if old[-1 - at] != new[-1 - at]), least - head)
    return head, tail
