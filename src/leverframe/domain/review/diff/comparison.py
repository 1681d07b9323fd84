"""Two revisions side by side, table by table and partition by partition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from leverframe.domain import layout
from leverframe.domain.data.sketch import VERSION, Distribution, Sketch
from leverframe.domain.layout import FEATURE_TABLE
from leverframe.domain.review.diff.column_diff import COUNTS, psi, renamed, schema_changes
from leverframe.domain.review.diff.contract_diff import contract_changes
from leverframe.domain.review.diff.definition_diff import definition_changes, settings_changes
from leverframe.domain.review.diff.diff_result import Change, ColumnDiff, Diff, Estimate, RowsDiff, TableDiff
from leverframe.domain.review.diff.revision import Revision
from leverframe.domain.review.diff.row_diff import rows_diff
from leverframe.errors import RepositoryError
from leverframe.settings.periods import period_of

_NONE = Estimate(0, 0, 0)


def compared(base: Revision, head: Revision) -> Diff:
    """Return all differences from ``base`` to ``head``.

    Raises ``RepositoryError`` for a sketch that is damaged.
    """
    tables, notes = [], [*base.notes, *(note for note in head.notes if note not in base.notes)]
    changes: list[Change] = []
    if base.profiles:
        names = dict.fromkeys([*_names(base), *_names(head)])
        for revision in (base, head):
            if FEATURE_TABLE in names and FEATURE_TABLE not in _names(revision):
                notes.append(f"{revision.name} has no profile of the features, so their values are not compared")
                del names[FEATURE_TABLE]
        tables = [_table(name, base, head, notes) for name in names]
        changes += [change for name in names for change in _table_changes(name, base, head)]
    else:
        notes.append(f"{base.name} has no profile of any table, so there is nothing to compare the data with")
    if base.plan and head.plan:
        changes += definition_changes(base.plan, head.plan)
    if base.settings and head.settings:
        changes += settings_changes(base.settings, head.settings)
    differing = tuple(table for table in tables if table.differs)
    return Diff(base.name, head.name, differing, tuple(dict.fromkeys(changes)), tuple(dict.fromkeys(notes)))


def _names(revision: Revision) -> list[str]:
    """Return the tables of a revision; the features last."""
    names = dict.fromkeys(name for tables in revision.profiles.values() for name in tables)
    return sorted(names, key=lambda name: (name == FEATURE_TABLE, name))


def _partitions(table: str, revision: Revision) -> list[str]:
    return sorted(partition for partition, tables in revision.profiles.items() if table in tables)


def _table(table: str, base: Revision, head: Revision, notes: list[str]) -> TableDiff:
    ours, theirs = _partitions(table, base), _partitions(table, head)
    both = [name for name in ours if name in theirs]
    new, gone = ([name for name in side if name not in both] for side in (theirs, ours))
    rows = {name: _rows(table, name, base, head, notes) for name in both}
    regrouped = _regrouped(_of(table, gone, base), _of(table, new, head))
    if regrouped:
        notes.append(f"`{table}` has partitions of another period, so the rows of these are not compared by key")
    for partition in gone:
        rows[partition] = _one_sided(_of(table, [partition], base)[partition], 0, counted=not regrouped)
    for partition in new:
        rows[partition] = _one_sided(0, _of(table, [partition], head)[partition], counted=not regrouped)
    differing = {row: rows[row] for row in sorted(rows) if rows[row] != _same(rows[row].before) or row not in both}
    columns: dict[str, list[ColumnDiff]] = {}
    for partition in both:
        for diff in _columns(table, partition, base, head):
            columns.setdefault(diff.column, []).append(diff)
    largest = sorted((_most(diffs) for diffs in columns.values()), key=lambda column: -(column.psi or 0.0))
    return TableDiff(table, _summed(rows.values()), differing, tuple(largest), tuple(new), tuple(gone))


def _of(table: str, partitions: Iterable[str], revision: Revision) -> dict[str, int]:
    """Return the rows of some partitions of a table."""
    return {partition: int(revision.profiles[partition][table]["rows"]) for partition in partitions}


def _regrouped(gone: Mapping[str, int], new: Mapping[str, int]) -> bool:
    """Tell whether partitions were only put together otherwise: of another period, with as many rows."""
    periods = [{period_of(partition) for partition in side} for side in (gone, new)]
    return bool(gone and new) and not periods[0] & periods[1] and sum(gone.values()) == sum(new.values())


def _one_sided(before: int, after: int, *, counted: bool) -> RowsDiff:
    """Return the rows of a partition that only one side has: all are removed or added."""
    if not counted:
        return RowsDiff(before, after)
    return RowsDiff(before, after, Estimate(after, after, after), Estimate(before, before, before), _NONE)


def _same(rows: int) -> RowsDiff:
    return RowsDiff(rows, rows, _NONE, _NONE, _NONE)


def _rows(table: str, partition: str, base: Revision, head: Revision, notes: list[str]) -> RowsDiff:
    before, after = (int(revision.profiles[partition][table]["rows"]) for revision in (base, head))
    kept = [revision.sketches.get(partition, {}).get(table) for revision in (base, head)]
    usable = [sketch is not None and sketch.get("version") == VERSION for sketch in kept]
    if kept[0] == kept[1] is not None:
        return _same(before)
    if not all(usable):
        if base.profiles[partition][table] == head.profiles[partition][table]:
            return _same(before)
        number = usable.index(False)
        reason = "no sketch" if kept[number] is None else "a sketch by another version of Leverframe"
        notes.append(f"{(base, head)[number].name} has {reason} of `{table}`, so its rows are not compared by key")
        return RowsDiff(before, after)
    ours, theirs = (_sketch(sketch, name.name, table) for sketch, name in zip(kept, (base, head), strict=True))
    return _by_key(table, partition, (ours, theirs), (base, head), notes)


def _by_key(
    table: str, partition: str, sketches: tuple[Sketch, Sketch], sides: tuple[Revision, Revision], notes: list[str]
) -> RowsDiff:
    """Return how the rows differ by key, as far as keys and columns are the same ones."""
    key = sketches[0].key
    before, after = (_types(side.profiles[partition][table]) for side in sides)
    if key != sketches[1].key or (before != after and not key) or any(before[name] != after[name] for name in key):
        notes.append(f"the key of `{table}` is another one, so its rows are not compared by key")
        return RowsDiff(sketches[0].rows, sketches[1].rows)
    diff = rows_diff(*sketches)
    if before != after:
        notes.append(f"`{table}` has other columns, so that every row differs and changed rows are not counted")
        return replace(diff, changed=None)
    if None in (diff.added, diff.removed, diff.changed):
        notes.append(f"so many rows of `{table}` differ in {partition} that not all numbers could be estimated")
    return diff


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
    diffs = list(rows)
    parts = [[getattr(diff, name) for diff in diffs] for name in ("added", "removed", "changed")]
    counts = [None if None in part else Estimate(*(sum(numbers) for numbers in _columns_of(part))) for part in parts]
    return RowsDiff(sum(diff.before for diff in diffs), sum(diff.after for diff in diffs), *counts)


def _columns_of(estimates: Sequence[Estimate]) -> Iterator[list[int]]:
    for name in ("value", "low", "high"):
        yield [getattr(estimate, name) for estimate in estimates]


def _columns(table: str, partition: str, base: Revision, head: Revision) -> Iterator[ColumnDiff]:
    """Yield each column that both sides have and whose values are not distributed alike."""
    before, after = (revision.profiles[partition][table] for revision in (base, head))
    kept = [revision.sketches.get(partition, {}).get(table, {}).get("columns", {}) for revision in (base, head)]
    for column, ours in before["columns"].items():
        theirs = after["columns"].get(column)
        sketched = [columns.get(column) for columns in kept]
        if theirs is None or (ours == theirs and sketched[0] == sketched[1] and before["rows"] == after["rows"]):
            continue
        apart = None
        if None not in sketched:
            one, other = (_distribution(sketch, table) for sketch in sketched)
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


def _most(diffs: Sequence[ColumnDiff]) -> ColumnDiff:
    """Return the difference in the partition where it is largest, and in how many there is one."""
    most = max(diffs, key=lambda diff: (diff.psi or 0.0, diff.partition))
    return ColumnDiff(most.column, most.partition, len(diffs), most.psi, most.before, most.after)


def _table_changes(table: str, base: Revision, head: Revision) -> Iterator[Change]:
    there, here = _partitions(table, base), _partitions(table, head)
    if not here:
        yield Change(table, f"the table is gone, with {_rows_in(_of(table, there, base))}", breaking=True)
        return
    if not there:
        yield Change(table, f"the table is new, with {_rows_in(_of(table, here, head))}", breaking=False)
        return
    both = [name for name in there if name in here]
    yield from _partition_changes(table, base, head)
    gone: set[str] = set()
    new: set[str] = set()
    for partition in both:
        before, after = (side.profiles[partition][table]["columns"].keys() for side in (base, head))
        gone, new = gone | (before - after), new | (after - before)
    if table != FEATURE_TABLE:  # of features the definition tells, with what they mean
        yield from _schema_changes(table, both, base, head)
    keys = [_key(table, revision, both) for revision in (base, head)]
    if None not in keys and keys[0] != keys[1]:
        yield Change(table, f"the key changed from `{', '.join(keys[0] or [])}` to `{', '.join(keys[1] or [])}`", True)
    latest = both[-1] if both else None
    checks = [_checks(table, latest, revision) for revision in (base, head)]
    if latest and None not in checks:
        # The constraints on a column go and come with it; that is told once.
        columns = gone | new
        ours, theirs = ([check for check in side or [] if check.get("column") not in columns] for side in checks)
        yield from contract_changes(table, ours, theirs)


def _partition_changes(table: str, base: Revision, head: Revision) -> Iterator[Change]:
    """Yield the partitions that only one side has; a lost one is breaking, whatever made it go."""
    there, here = _partitions(table, base), _partitions(table, head)
    gone = _of(table, [partition for partition in there if partition not in here], base)
    new = _of(table, [partition for partition in here if partition not in there], head)
    if _regrouped(gone, new):
        yield Change(
            table, f"{_named(gone)} became {_named(new)}, with {_rows_in(gone)} before and after", breaking=False
        )
        return
    if gone:
        yield Change(table, f"{_named(gone)} removed, with {_rows_in(gone)}", breaking=True)
    if new:
        yield Change(table, f"{_named(new)} added, with {_rows_in(new)}", breaking=False)


def _named(partitions: Mapping[str, int]) -> str:
    names = [f"`{partition}`" for partition in partitions]
    if len(names) > 3:
        return f"{len(names)} partitions from {names[0]} to {names[-1]}"
    return f"partition{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _rows_in(partitions: Mapping[str, int]) -> str:
    rows = sum(partitions.values())
    return f"{rows:,} row{'' if rows == 1 else 's'}"


def _schema_changes(table: str, partitions: Sequence[str], base: Revision, head: Revision) -> Iterator[Change]:
    """Yield each change of columns once, with the rows of the partitions that it concerns."""
    sides = {partition: tuple(_described(table, partition, side) for side in (base, head)) for partition in partitions}
    named = [set(renamed(*pair).items()) for pair in sides.values()]
    same = dict(set.intersection(*named)) if named else {}
    concerned: dict[Change, dict[str, int]] = {}
    for partition, (before, after) in sides.items():
        for change in schema_changes(table, before, after, same):
            concerned.setdefault(change, {})[partition] = int(head.profiles[partition][table]["rows"])
    for change, rows in concerned.items():
        where = "" if len(rows) == len(partitions) else f" of {_named(rows)}"
        yield replace(change, what=f"{change.what}, in {_rows_in(rows)}{where}")


def _described(table: str, partition: str, revision: Revision) -> dict[str, Mapping[str, Any]]:
    """Return the columns of a partition as in its profile, with the counts of their distributions."""
    columns = revision.profiles[partition][table]["columns"]
    counts = revision.sketches.get(partition, {}).get(table, {}).get("columns", {})
    return {name: {**entry, COUNTS: counts.get(name)} for name, entry in columns.items()}


def _key(table: str, revision: Revision, partitions: Sequence[str]) -> list[str] | None:
    for partition in reversed(partitions):
        sketch: Mapping[str, Any] | None = revision.sketches.get(partition, {}).get(table)
        if sketch is not None:
            return list(sketch.get("key", []))
    return None


def _checks(table: str, partition: str | None, revision: Revision) -> list[Mapping[str, Any]] | None:
    entry = revision.contracts.get(partition or "", {}).get(table)
    return list(entry.get("checks", [])) if entry else None
