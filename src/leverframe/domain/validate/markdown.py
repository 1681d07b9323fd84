"""The report of a partition as Markdown: one row a broken promise, never longer than a comment allows.

Whatever stands in the data, the page stays small and its structure stays ours: cells are code
spans cut by bytes, and text that could end one is written as entities.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from leverframe.domain import layout
from leverframe.domain.validate.promise import Promise, Severity
from leverframe.domain.validate.report import Report
from leverframe.domain.verdict import Skipped, word

LIMIT = 4096  # bytes of UTF-8
_HEADER = "| severity | table | check | column | rows | share | samples |\n|---|---|---|---|---:|---:|---|\n"
_SAMPLE = 90  # bytes of one sample
_TAIL = 260  # bytes kept for the line that counts what was cut
_ALREADY_CUT = re.compile(r"… \+(\d+) characters\Z")  # as ``promise.cut`` writes it


def render(report: Report) -> str:
    """Return the page, at most ``LIMIT`` bytes of UTF-8 however much is broken."""
    head = f"### Contracts of {_code(report.partition, 40)}: {word(report.verdict)}\n\n{report.summary()}\n"
    broken, skipped = report.broken(), _skipped(report)
    if broken:
        room = LIMIT - len(head.encode()) - len(_HEADER) - len(skipped.encode()) - _TAIL
        rows = _rows(broken, room)
        head += f"\n{_HEADER}{''.join(rows)}{_cut_off(report, broken[len(rows) :])}"
    return head + skipped


def _rows(broken: Sequence[Promise], room: int) -> list[str]:
    """Return as many rows as fit into ``room`` bytes, with as many samples as let all of them fit."""
    for samples in (5, 3, 1):
        rows = [_row(each, samples) for each in broken[: room // 40]]
        if sum(len(row.encode()) for row in rows) <= room and len(rows) == len(broken):
            return rows
    kept, used = [], 0
    for row in rows:
        used += len(row.encode())
        if used > room:
            break
        kept.append(row)
    return kept


def _row(promise: Promise, samples: int) -> str:
    count = f"{promise.count:,}" if promise.count is not None else ""
    share = f"{promise.share:.2%}" if promise.share is not None else ""
    shown = ", ".join(_code(each, _SAMPLE) for each in promise.samples[:samples])
    more = f" and {len(promise.samples) - samples} more" if len(promise.samples) > samples else ""
    told = ": " if promise.detail and shown else ""
    cells = [
        f"**{promise.severity}**" if promise.severity is Severity.ERROR else str(promise.severity),
        _code(promise.table, 60),
        _code(promise.check, 100),
        _code(promise.column, 100) if promise.column else "",
        count,
        share,
        f"{_plain(promise.detail, 160)}{told}{shown}{more}",
    ]
    return f"| {' | '.join(cells)} |\n"


def _cut_off(report: Report, left: Sequence[Promise]) -> str:
    if not left:
        return ""
    errors = sum(each.fatal for each in left)
    where = _code(str(layout.contract_report(report.partition)), 120)
    return f"\n… and {len(left):,} more ({errors:,} errors, {len(left) - errors:,} warnings) in {where}\n"


def _skipped(report: Report) -> str:
    """Return what could not be decided, as one line, cut after a few."""
    skipped = [(each, each.verdict.because) for each in report.promises if isinstance(each.verdict, Skipped)]
    if not skipped:
        return ""
    told = [f"{_code(f'{each.table}: {each.check}', 60)} ({_code(because, 70)})" for each, because in skipped[:3]]
    more = f"; and {len(skipped) - 3:,} more" if len(skipped) > 3 else ""
    return f"\nNot decided: {'; '.join(told)}{more}\n"


def _code(text: str, limit: int) -> str:
    """Return the beginning of ``text`` as a code span of about ``limit`` bytes, and how much follows it."""
    told = _ALREADY_CUT.search(text)
    whole, hidden = (text[: told.start()], int(told[1])) if told else (text, 0)
    if not whole.strip():
        return f"({len(whole):,} blanks)" if whole else "(empty)"
    shown = [_visible(each) for each in whole[:limit]]
    fenced = not {"`", "|"} & set(shown)
    pieces = shown if fenced else [_entity(each) for each in shown]
    while sum(len(each.encode()) for each in pieces) > limit:
        pieces.pop()
    hidden += len(whole) - len(pieces)
    code = f"`{''.join(pieces)}`" if fenced else f"<code>{''.join(pieces)}</code>"
    return f"{code}… +{hidden:,} characters" if hidden else code


def _plain(text: str, limit: int) -> str:
    """Return a sentence of ours as text of at most ``limit`` bytes; what came in from data forms no markup."""
    pieces = [each if each in "%;.'" else _entity(each) for each in map(_visible, text[:limit].replace("`", "'"))]
    while sum(len(each.encode()) for each in pieces) > limit:
        pieces.pop()
    return "".join(pieces).replace("www.", "www&#46;") + ("…" if len(pieces) < len(text) else "")


def _visible(character: str) -> str:
    """Return a character that shows and keeps its place: no line break, control or change of direction."""
    category = unicodedata.category(character)
    if character in "\n\r" or category in ("Zl", "Zp"):
        return "⏎"
    return "\N{REPLACEMENT CHARACTER}" if category.startswith("C") else character


def _entity(character: str) -> str:
    """Return a character so that Markdown and HTML take it as text."""
    return character if character.isalnum() or character in " ,=()+-" or character > "\x7f" else f"&#{ord(character)};"
