"""The report of a partition as Markdown: one row a broken promise, never longer than a comment allows.

Whatever stands in the data, the page stays small and its structure stays ours.
"""

from __future__ import annotations

from collections.abc import Sequence

from leverframe.domain import layout
from leverframe.domain.data.contract_report import Report
from leverframe.domain.data.promise import Promise, Severity
from leverframe.domain.markdown import code, plain
from leverframe.domain.verdict import Skipped, word

LIMIT = 4096  # bytes of UTF-8
_HEADER = "| severity | table | check | column | rows | share | samples |\n|---|---|---|---|---:|---:|---|\n"
_SAMPLE = 90  # bytes of one sample
_TAIL = 260  # bytes kept for the line that counts what was cut


def render(report: Report) -> str:
    """Return the page, at most ``LIMIT`` bytes of UTF-8 however much is broken."""
    head = f"### Contracts of {code(report.partition, 40)}: {word(report.verdict)}\n\n{report.summary()}\n"
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
    shown = ", ".join(code(each, _SAMPLE) for each in promise.samples[:samples])
    more = f" and {len(promise.samples) - samples} more" if len(promise.samples) > samples else ""
    told = ": " if promise.detail and shown else ""
    cells = [
        f"**{promise.severity}**" if promise.severity is Severity.ERROR else str(promise.severity),
        code(promise.table, 60),
        code(promise.check, 100),
        code(promise.column, 100) if promise.column else "",
        count,
        share,
        f"{plain(promise.detail, 160)}{told}{shown}{more}",
    ]
    return f"| {' | '.join(cells)} |\n"


def _cut_off(report: Report, left: Sequence[Promise]) -> str:
    if not left:
        return ""
    errors = sum(each.fatal for each in left)
    where = code(str(layout.contract_report(report.partition)), 120)
    return f"\n… and {len(left):,} more ({errors:,} errors, {len(left) - errors:,} warnings) in {where}\n"


def _skipped(report: Report) -> str:
    """Return what could not be decided, as one line, cut after a few."""
    skipped = [(each, each.verdict.because) for each in report.promises if isinstance(each.verdict, Skipped)]
    if not skipped:
        return ""
    told = [f"{code(f'{each.table}: {each.check}', 60)} ({code(because, 70)})" for each, because in skipped[:3]]
    more = f"; and {len(skipped) - 3:,} more" if len(skipped) > 3 else ""
    return f"\nNot decided: {'; '.join(told)}{more}\n"
