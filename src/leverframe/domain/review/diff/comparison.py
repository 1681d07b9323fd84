"""Two revisions side by side, table by table and partition by partition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from leverframe.domain import layout
from leverframe.domain.data.sketch import Distribution, Sketch
from leverframe.domain.layout import FEATURE_TABLE
from leverframe.domain.review.diff.column_diff import psi, schema_changes
from leverframe.domain.review.diff.contract_diff import contract_changes
from leverframe.domain.review.diff.definition_diff import definition_changes, settings_changes
from leverframe.domain.review.diff.diff_result import Change, ColumnDiff, Diff, Estimate, RowsDiff, TableDiff
from leverframe.domain.review.diff.revision import Revision
from leverframe.domain.review.diff.row_diff import rows_diff
from leverframe.errors import RepositoryError

_NONE = Estimate(0, 0, 0)


def compared(base: Revision, head: Revision) -> Diff:
    """Return all differences from ``base`` to ``head``.

    Raises ``RepositoryError`` for a sketch that is damaged.
    """
    tables, notes = [], [*base.notes, *(each for each in head.notes if each not in base.notes)]
    changes: list[Change] = []
    if base.profiles:
        names = dict.fromkeys([*_names(base), *_names(head)])
        for each in (base, head):
            if FEATURE_TABLE in names and FEATURE_TABLE not in _names(each):
                notes.append(f"{each.name} has no profile of the features, so their values are not compared")
                del names[FEATURE_TABLE]
        tables = [_table(name, base, head, notes) for name in names]
        changes += [change for name in names for change in _table_changes(name, base, head)]
    else:
        notes.append(f"{base.name} has no profile of any table, so there is nothing to compare the data with")
    if base.plan and head.plan:
        changes += definition_changes(base.plan, head.plan)
    if base.settings and head.settings:
        changes += settings_changes(base.settings, head.settings)
    differing = tuple(each for each in tables if each.differs)
    return Diff(base.name, head.name, differing, tuple(dict.fromkeys(changes)), tuple(dict.fromkeys(notes)))


def _names(revision: Revision) -> list[str]:
    """Return the tables of a revision; the features last."""
    found = dict.fromkeys(name for tables in revision.profiles.values() for name in tables)
    return sorted(found, key=lambda name: (name == FEATURE_TABLE, name))


def _partitions(table: str, revision: Revision) -> list[str]:
    return sorted(partition for partition, tables in revision.profiles.items() if table in tables)


def _table(table: str, base: Revision, head: Revision, notes: list[str]) -> TableDiff:
    ours, theirs = _partitions(table, base), _partitions(table, head)
    both = [each for each in ours if each in theirs]
    rows = {each: _rows(table, each, base, head, notes) for each in both}
    differing = {each: found for each, found in rows.items() if found != _same(found.before)}
    columns: dict[str, list[ColumnDiff]] = {}
    for each in both:
        for found in _columns(table, each, base, head):
            columns.setdefault(found.column, []).append(found)
    return TableDiff(
        table,
        _summed(rows.values()),
        differing,
        tuple(sorted((_most(found) for found in columns.values()), key=lambda each: -(each.psi or 0.0))),
        tuple(each for each in theirs if each not in ours),
        tuple(each for each in ours if each not in theirs),
    )


def _same(rows: int) -> RowsDiff:
    return RowsDiff(rows, rows, _NONE, _NONE, _NONE)


def _rows(table: str, partition: str, base: Revision, head: Revision, notes: list[str]) -> RowsDiff:
    before, after = (int(each.profiles[partition][table]["rows"]) for each in (base, head))
    kept = [each.sketches.get(partition, {}).get(table) for each in (base, head)]
    if None in kept:
        if base.profiles[partition][table] == head.profiles[partition][table]:
            return _same(before)
        lacking = base.name if kept[0] is None else head.name
        notes.append(f"{lacking} has no sketch of `{table}`, so its rows are not compared by key")
        return RowsDiff(before, after)
    if kept[0] == kept[1]:
        return _same(before)
    ours, theirs = (_sketch(each, name.name, table) for each, name in zip(kept, (base, head), strict=True))
    if ours.key != theirs.key:
        notes.append(f"the key of `{table}` is another one, so its rows are not compared by key")
    found = rows_diff(ours, theirs)
    if _types(base.profiles[partition][table]) != _types(head.profiles[partition][table]):
        notes.append(f"`{table}` has other columns, so every row is another one and changed rows are not counted")
        return replace(found, changed=None)
    if found.changed is None and ours.key == theirs.key:
        notes.append(f"too many rows of `{table}` differ in {partition} to be told apart by key")
    return found


def _types(profile: Mapping[str, Any]) -> dict[str, str]:
    return {name: entry["type"] for name, entry in profile["columns"].items()}


def _sketch(content: Any, name: str, table: str) -> Sketch:
    try:
        return Sketch.from_json(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RepositoryError(
            f"the sketch of `{table}` at {name} cannot be read",
            why=f"it is not a file as Leverframe writes it into {layout.SKETCHES}: {error}",
            next="run `dvc repro`, which writes it again, and commit it; or name another revision with --base",
        ) from error


def _summed(rows: Iterable[RowsDiff]) -> RowsDiff:
    found = list(rows)
    parts = [[getattr(each, name) for each in found] for name in ("added", "removed", "changed")]
    counts = [None if None in part else Estimate(*(sum(each) for each in _columns_of(part))) for part in parts]
    return RowsDiff(sum(each.before for each in found), sum(each.after for each in found), *counts)


def _columns_of(estimates: Sequence[Estimate]) -> Iterator[list[int]]:
    for name in ("value", "low", "high"):
        yield [getattr(each, name) for each in estimates]


def _columns(table: str, partition: str, base: Revision, head: Revision) -> Iterator[ColumnDiff]:
    """Yield each column that both sides have and whose values are not distributed alike."""
    before, after = (each.profiles[partition][table] for each in (base, head))
    kept = [each.sketches.get(partition, {}).get(table, {}).get("columns", {}) for each in (base, head)]
    for column, ours in before["columns"].items():
        theirs = after["columns"].get(column)
        told = [each.get(column) for each in kept]
        if theirs is None or (ours == theirs and told[0] == told[1] and before["rows"] == after["rows"]):
            continue
        apart = None
        if None not in told:
            one, other = (_distribution(each, table) for each in told)
            apart = psi(one, other, (before["rows"], after["rows"]))
        if ours != theirs or apart:
            yield ColumnDiff(column, partition, 1, apart, ours, theirs)


def _distribution(content: Any, table: str) -> Distribution:
    try:
        return Distribution.from_json(content)
    except (ValueError, AttributeError) as error:
        raise RepositoryError(
            f"a distribution of `{table}` cannot be read",
            why=f"it is not a file as Leverframe writes it into {layout.SKETCHES}: {error}",
            next="run `dvc repro`, which writes it again, and commit it; or name another revision with --base",
        ) from error


def _most(found: Sequence[ColumnDiff]) -> ColumnDiff:
    """Return the difference in the partition where it is largest, and in how many there is one."""
    most = max(found, key=lambda each: (each.psi or 0.0, each.partition))
    return ColumnDiff(most.column, most.partition, len(found), most.psi, most.before, most.after)


def _table_changes(table: str, base: Revision, head: Revision) -> Iterator[Change]:
    there, here = _partitions(table, base), _partitions(table, head)
    if not here:
        yield Change(table, "the table is gone", breaking=True)
        return
    if not there:
        yield Change(table, "the table is new", breaking=False)
        return
    both = [each for each in there if each in here]
    gone: set[str] = set()
    new: set[str] = set()
    if table != FEATURE_TABLE:  # of features the definition tells, with what they mean
        for each in both:
            before, after = (side.profiles[each][table]["columns"] for side in (base, head))
            yield from schema_changes(table, before, after)
            gone, new = gone | (before.keys() - after.keys()), new | (after.keys() - before.keys())
    keys = [_key(table, each, both) for each in (base, head)]
    if None not in keys and keys[0] != keys[1]:
        yield Change(table, f"the key changed from `{', '.join(keys[0] or [])}` to `{', '.join(keys[1] or [])}`", True)
    latest = both[-1] if both else None
    checks = [_checks(table, latest, each) for each in (base, head)]
    if latest and None not in checks:
        # The constraints on a column go and come with it; that is told once.
        told = gone | new
        ours, theirs = ([each for each in side or [] if each.get("column") not in told] for side in checks)
        yield from contract_changes(table, ours, theirs)


def _key(table: str, revision: Revision, partitions: Sequence[str]) -> list[str] | None:
    for each in reversed(partitions):
        sketch: Mapping[str, Any] | None = revision.sketches.get(each, {}).get(table)
        if sketch is not None:
            return list(sketch.get("key", []))
    return None


def _checks(table: str, partition: str | None, revision: Revision) -> list[Mapping[str, Any]] | None:
    found = revision.contracts.get(partition or "", {}).get(table)
    return list(found.get("checks", [])) if found else None
