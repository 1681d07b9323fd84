"""The contract report of a partition as Markdown: one row per failed constraint, of bounded size.

No value in the data makes the page larger or changes its structure.
"""

from __future__ import annotations

from collections.abc import Sequence

from leverframe.domain import layout
from leverframe.domain.data.constraint import Constraint, Severity
from leverframe.domain.data.contract_report import Report
from leverframe.domain.verdict import Skipped, word
from leverframe.inert.markdown import code, plain
from leverframe.words import first_few

LIMIT = 4096  # bytes of UTF-8
_HEADER = "| severity | table | check | column | rows | share | samples |\n|---|---|---|---|---:|---:|---|\n"
_SAMPLE = 90  # bytes of one sample
_TAIL = 260  # bytes kept for the line that counts what was cut


def render(report: Report) -> str:
    """Return the page, at most ``LIMIT`` bytes of UTF-8 however many constraints failed."""
    head = f"### Contracts of {code(report.partition, 40)}: {word(report.verdict)}\n\n{report.summary()}\n"
    failed, skipped = report.failed(), _skipped(report)
    if failed:
        room = LIMIT - len(head.encode()) - len(_HEADER) - len(skipped.encode()) - _TAIL
        rows = _rows(failed, room)
        head += f"\n{_HEADER}{''.join(rows)}{_cut_off(report, failed[len(rows) :])}"
    return head + skipped


def _rows(failed: Sequence[Constraint], room: int) -> list[str]:
    """Return as many rows as fit into ``room`` bytes, with as many samples as let all of them fit."""
    for samples in (5, 3, 1):
        rows = [_row(constraint, samples) for constraint in failed[: room // 40]]
        if sum(len(row.encode()) for row in rows) <= room and len(rows) == len(failed):
            return rows
    kept, used = [], 0
    for row in rows:
        used += len(row.encode())
        if used > room:
            break
        kept.append(row)
    return kept


def _row(constraint: Constraint, samples: int) -> str:
    count = f"{constraint.count:,}" if constraint.count is not None else ""
    share = f"{constraint.share:.2%}" if constraint.share is not None else ""
    shown = first_few([code(sample, _SAMPLE) for sample in constraint.samples], samples)
    colon = ": " if constraint.detail and shown else ""
    cells = [
        f"**{constraint.severity}**" if constraint.severity is Severity.ERROR else str(constraint.severity),
        code(constraint.table, 60),
        code(constraint.check, 100),
        code(constraint.column, 100) if constraint.column else "",
        count,
        share,
        f"{plain(constraint.detail, 160)}{colon}{shown}",
    ]
    return f"| {' | '.join(cells)} |\n"


def _cut_off(report: Report, left: Sequence[Constraint]) -> str:
    if not left:
        return ""
    errors = sum(constraint.fatal for constraint in left)
    where = code(str(layout.contract_report(report.partition)), 120)
    return f"\n… and {len(left):,} more ({errors:,} errors, {len(left) - errors:,} warnings) in {where}\n"


def _skipped(report: Report) -> str:
    """Return the skipped constraints as one line, cut after a few."""
    skipped = [
        (constraint, constraint.verdict.because)
        for constraint in report.constraints
        if isinstance(constraint.verdict, Skipped)
    ]
    if not skipped:
        return ""
    reasons = [f"{code(f'{rule.table}: {rule.check}', 60)} ({code(because, 70)})" for rule, because in skipped]
    return f"\nSkipped: {first_few(reasons, 3, '; ', '; and ')}\n"
