"""The data diff as Markdown for a pull request: the verdict first, then the largest differences, of bounded size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from leverframe.domain.layout import FEATURE_TABLE
from leverframe.domain.review.diff.column_diff import shown
from leverframe.domain.review.diff.diff_result import Change, ColumnDiff, Diff, Estimate, RowsDiff, TableDiff
from leverframe.inert.markdown import code, phrases, plain
from leverframe.words import and_more, first_few

LIMIT = 4096  # bytes of UTF-8
_ROOMS = (20, 10, 6, 4, 2, 1, 0)  # lines of each part, tried until the page is short enough
_ALL = "`leverframe diff --json` lists all"


def render(diff: Diff) -> str:
    """Return the page, at most ``LIMIT`` bytes of UTF-8 however many differences there are."""
    for room in _ROOMS:
        page = _page(diff, room)
        if len(page.encode()) <= LIMIT:
            return page
    return f"{_verdict(diff)}\n\n{_ALL}.\n"


def _page(diff: Diff, room: int) -> str:
    parts = [f"### Data: {_verdict(diff)}", f"{code(diff.base, 60)} to {code(diff.head, 60)}"]
    parts += _changes("Breaking", diff.breaking, room)
    parts += _rows(diff.tables, room)
    parts += _columns(diff.tables, room)
    parts += _changes("Additive", diff.additive, room)
    if diff.notes:
        notes = [f"- {_sentence(note)}" for note in diff.notes[:room]]
        parts.append("\n".join(["Not compared:", *notes, *_more(len(diff.notes) - len(notes))]))
    return "\n\n".join(parts) + "\n"


def _verdict(diff: Diff) -> str:
    if not (diff.tables or diff.changes):
        return "no change in the part that can be compared" if diff.notes else "no change"
    tables = sum(table.table != FEATURE_TABLE for table in diff.tables)
    features = sum(len(table.columns) for table in diff.tables if table.table == FEATURE_TABLE)
    counts = [
        _counted(tables, "table differs", "tables differ"),
        _counted(features, "feature differs", "features differ"),
    ]
    counts += [_counted(len(diff.breaking), "breaking change", "breaking changes")]
    counts += [_counted(len(diff.additive), "additive change", "additive changes")]
    return ", ".join(count for count in counts if count) or "new partitions only"


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}" if number else ""


def _changes(title: str, changes: Sequence[Change], room: int) -> list[str]:
    if not changes:
        return []
    lines = [f"- {code(change.where, 60)}: {_sentence(change.what)}" for change in changes[:room]]
    return ["\n".join([f"**{title}**", *lines, *_more(len(changes) - len(lines))])]


def _sentence(text: str) -> str:
    return phrases(text, name=80, words=120)


def _more(left: int) -> list[str]:
    return and_more(left, "- … and ", f": {_ALL}")


def _rows(tables: Sequence[TableDiff], room: int) -> list[str]:
    lines = ["| table | rows | added | removed | changed | partitions that differ |", "|---|---:|---:|---:|---:|---|"]
    differing = [table for table in tables if table.partitions]
    lines += [_row(table) for table in differing[:room]]
    return ["\n".join([*lines, *_cut(len(differing) - room)])] if differing else []


def _cut(left: int) -> list[str]:
    return and_more(left, "\n… and ", f": {_ALL}")


def _row(table: TableDiff) -> str:
    rows = table.rows
    counts = [_estimate(estimate) for estimate in (rows.added, rows.removed, rows.changed)]
    return f"| {code(table.table, 60)} | {_total(rows)} | {' | '.join(counts)} | {_partitions(table)} |"


def _total(rows: RowsDiff) -> str:
    return f"{rows.before:,}" if rows.before == rows.after else f"{rows.before:,} → {rows.after:,}"


def _estimate(number: Estimate | None) -> str:
    if number is None:
        return "not counted"
    return f"{number.value:,}" if number.exact else f"about {number.value:,} ({number.low:,} to {number.high:,})"


def _partitions(table: TableDiff) -> str:
    ends = dict.fromkeys(table.new, " new") | dict.fromkeys(table.gone, " gone")
    names = sorted(
        (f"{partition}{ends.get(partition, '')}" for partition in table.partitions),
        key=lambda name: name[-5:] != " gone",
    )
    return first_few([plain(name, 40) for name in names], 4)


def _columns(tables: Sequence[TableDiff], room: int) -> list[str]:
    lines = ["| column | PSI | where | null rate | 5 % / median / 95 % | range |", "|---|---:|---|---:|---:|---:|"]
    pairs = [(table.table, column) for table in tables for column in table.columns]
    pairs.sort(key=lambda pair: -(pair[1].psi or 0.0))
    lines += [_column(table, column) for table, column in pairs[:room]]
    return ["\n".join([*lines, *_cut(len(pairs) - room)])] if pairs else []


def _column(table: str, diff: ColumnDiff) -> str:
    name = diff.column if table == FEATURE_TABLE else f"{table}.{diff.column}"
    index = "" if diff.psi is None else f"{diff.psi:.3f}"
    where = plain(diff.partition, 20) + (f" and {diff.partitions - 1:,} more" if diff.partitions > 1 else "")
    ours, theirs = dict(shown(diff.before)), dict(shown(diff.after))
    cells = [
        _pair(_percent(ours), _percent(theirs)),
        _pair(_joined(ours, ("p05", "p50", "p95")), _joined(theirs, ("p05", "p50", "p95"))),
        _pair(_joined(ours, ("min", "max")), _joined(theirs, ("min", "max"))),
    ]
    return f"| {code(name, 80)} | {index} | {where} | {' | '.join(cells)} |"


def _pair(one: str, other: str) -> str:
    return one if one == other else f"{one or 'none'} → {other or 'none'}"


def _percent(entry: Mapping[str, Any]) -> str:
    rate = entry.get("null_rate")
    return "" if rate is None else f"{rate:.2%}"


def _joined(entry: Mapping[str, Any], names: Sequence[str]) -> str:
    values = [entry.get(name) for name in names]
    return "" if all(value is None for value in values) else " / ".join(map(_number, values))


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else plain(str(value), 24)
