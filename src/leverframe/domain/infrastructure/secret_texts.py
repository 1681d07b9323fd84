"""Where secret texts stand in a text: thousands of them in one scan, each of any length, in time linear in both.

A blank, a line end or the frame of an error, and any run of these, is one gap: Terraform wraps what it prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_GAP = re.compile(r"[\s│|]+")
_GAP_PATTERN = r"[\s│|]++"
_HEAD = 6  # letters that one regular expression looks for
_KEY = 64  # letters by which a form is looked up; what is longer is compared beyond them
_WINDOW = 4 * _KEY  # letters of a text in which these are looked for first; more where it has long gaps


class SecretTexts:
    """Forms of secrets to look for: ``anywhere``, only as a ``word``, or only where no digit is beside them."""

    def __init__(self, anywhere: Iterable[str], words: Iterable[str], numbers: Iterable[str]) -> None:
        self._beside = dict.fromkeys(_normal(words), "word")
        self._beside |= dict.fromkeys(_normal(numbers), "number")
        everywhere = _normal(anywhere)
        for form in everywhere:
            self._beside.pop(form, None)
        self._forms: dict[str, list[str]] = {}
        lengths: dict[str, set[int]] = {}
        for form in sorted({*everywhere, *self._beside}, key=len, reverse=True):
            self._forms.setdefault(form[:_KEY], []).append(form)
            lengths.setdefault(form[:_HEAD], set()).add(min(len(form), _KEY))
        self._lengths = {head: sorted(known, reverse=True) for head, known in lengths.items()}
        self._pattern = re.compile(_either(sorted(lengths))) if lengths else None

    def replaced(self, text: str, by: str) -> str:
        """Return the text with ``by`` for each secret in it, the longest where several begin at one place."""
        parts, kept, at = [], 0, 0
        while self._pattern and (match := self._pattern.search(text, at)):
            end = self._end(text, match.start())
            if end < 0:
                at = match.start() + 1
                continue
            parts += [text[kept : match.start()], by]
            kept = at = end
        return "".join([*parts, text[kept:]]) if parts else text

    def _end(self, text: str, start: int) -> int:
        """Return where the longest secret that begins at a place ends; -1 where none begins."""
        window = _window(text, start)
        lengths = {length for size in range(1, _HEAD + 1) for length in self._lengths.get(window[:size], ())}
        ends = (
            _after(text, start, form)
            for length in sorted(lengths, reverse=True)
            for form in self._forms.get(window[:length], ())
        )
        return max((end for end, form in ends if end >= 0 and self._stands(text, start, end, form)), default=-1)

    def _stands(self, text: str, start: int, end: int, form: str) -> bool:
        """Tell whether what is beside a form lets it count."""
        rule = self._beside.get(form)
        neighbours = text[start - 1 : start] + text[end : end + 1]
        if rule == "word":
            return not any(letter.isascii() and letter.isalnum() for letter in neighbours)
        return rule is None or not any(letter.isdigit() for letter in neighbours)


def _window(text: str, start: int) -> str:
    """Return the text from a place on, each gap as one blank, as far as forms are looked up by it."""
    size = _WINDOW
    while len(window := _GAP.sub(" ", text[start : start + size])) < _KEY and start + size < len(text):
        size *= 4
    return window


def _normal(forms: Iterable[str]) -> set[str]:
    return {" ".join(_tokens(form)) for form in forms} - {""}


def _tokens(form: str) -> Iterator[str]:
    return filter(None, _GAP.split(form))


def _after(text: str, start: int, form: str) -> tuple[int, str]:
    """Return where a form that begins at a place ends, -1 where another text stands there; and the form."""
    at = start
    for number, token in enumerate(form.split(" ")):
        if number:
            gap = _GAP.match(text, at)
            if gap is None:
                return -1, form
            at = gap.end()
        if not text.startswith(token, at):
            return -1, form
        at += len(token)
    return at, form


def _either(heads: list[str]) -> str:
    """Return a pattern of any of sorted texts, the longest first, that costs no more where there are thousands."""
    first, last = heads[0], heads[-1]
    size = next((at for at, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    same, rest = first[:size], [head[size:] for head in heads if len(head) > size]
    if not rest:
        return _written(same)
    parts, start = [], 0
    for at in range(1, len(rest) + 1):
        if at == len(rest) or rest[at][0] != rest[start][0]:
            parts.append(_either(rest[start:at]))
            start = at
    return f"{_written(same)}(?:{'|'.join(parts)}){'?' if len(rest) < len(heads) else ''}"


def _written(text: str) -> str:
    return _GAP_PATTERN.join(map(re.escape, text.split(" ")))
