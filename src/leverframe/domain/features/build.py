"""Which files a partition of features needs, and how an engine is asked to build it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from leverframe.domain import layout
from leverframe.domain.data.column_types import FEATURES, KEYS, NOTHING, folded
from leverframe.domain.data.times import EVENT_TIME, refuse_untimed
from leverframe.domain.features.plan import AsOfLookup, Key, LabelStep, Lookup, Plan, Windows
from leverframe.domain.features.reserved import OURS
from leverframe.domain.partition import Partition, Partitions
from leverframe.errors import DefinitionError, SourceError, nearest

Files = Mapping[str, tuple[Path, ...]]

_VERBS = {"Lookup", "AsOfLookup", "Windows"}
_FUNCTIONS = {"mean", "sum", "count", "min", "max", "last", "distinct", "share_above"}
_CALENDAR = {"hour", "weekday", "day", "day_of_year", "month"}
_ARITHMETIC = {"mean", "sum", "min", "max", "share_above"}


@dataclass(frozen=True)
class Built:
    """What came out: the file, its rows (those of the spine, in its order), and its features."""

    path: Path
    rows: int
    features: int


@dataclass(frozen=True)
class Inputs:
    """The files of one build: the group of the spine, each table as far back as it is read, and labels.

    ``labels`` holds for each table of a label the group of the spine alone: a label belongs to
    the group of its row.
    """

    spine: Path
    tables: Files
    labels: Files

    def files(self) -> list[Path]:
        """Return every file, once."""
        many = (*self.tables.values(), *self.labels.values())
        return list(dict.fromkeys([self.spine, *(path for paths in many for path in paths)]))


class Engine(Protocol):
    """Runs plans; every engine gives the same values for the same plan and tables."""

    def columns(self, files: Sequence[Path], added: Collection[str] = ()) -> dict[str, str]:
        """Return the columns of a table with their kind, as ``column_types.kind`` has it.

        Texts of a table without any row that are ``added`` up have none: CSV files without a row tell no type.
        """

    def build(self, plan: Plan, inputs: Inputs, out: Path) -> int:
        """Write a row for each row of the spine, in its order, and return their number."""


def run(
    plan: Plan, group: Partition, partitions: Partitions, engine: Engine, exists: layout.Exists, root: Path
) -> Built:
    """Build the features of one group of partitions from the groups its windows reach.

    Raises ``SourceError`` for a file that should be there and is not, and ``DefinitionError`` for a
    step that no engine knows and for a column that the tables do not have.
    """
    refuse_unknown(plan)
    needed = needed_files(plan, group, partitions, exists, root)
    columns = {table: engine.columns(paths, added_up(plan, table)) for table, paths in needed.items()}
    check_columns(plan, columns)
    check_times(plan, columns, partitions.timezone)
    out = layout.features(str(group))
    inputs = Inputs(
        spine=root / layout.raw(plan.spine, str(group)),
        tables=needed,
        labels={label.table: (root / layout.raw(label.table, str(group)),) for label in plan.labels},
    )
    rows = engine.build(plan, inputs, root / out)
    return Built(out, rows, len(plan.features()))


def refuse_unknown(plan: Plan) -> None:
    """Raise ``DefinitionError`` for the first part of a plan that no engine can run; no file is read."""
    asked = [("step", type(step).__name__, _VERBS) for step in plan.steps]
    asked += [
        ("function", aggregate.function, _FUNCTIONS)
        for step in plan.steps
        if isinstance(step, Windows)
        for aggregate in step.aggregates
    ]
    asked += [("calendar part", part, _CALENDAR) for part in plan.calendar]
    for what, name, known in asked:
        if name not in known:
            raise DefinitionError(
                f"no engine can run the {what} `{name}`",
                why="a plan is made of few verbs, so that every engine gives the same values for each",
                next=nearest(name, known),
            )


def needed_groups(plan: Plan, group: Partition, partitions: Partitions) -> dict[str, list[Partition]]:
    """Return for each table with partitions the groups that exist and that the features of ``group`` can depend on."""
    first = partitions.groups()[0]
    return {
        table: [group.plus(-back) for back in range(partitions.back(reach), -1, -1) if group.plus(-back) >= first]
        for table, reach in plan.reach().items()
    }


def needed_files(
    plan: Plan, group: Partition, partitions: Partitions, exists: layout.Exists, root: Path
) -> dict[str, tuple[Path, ...]]:
    """Return the files of each table, in order of time; raises ``SourceError`` for one that is missing."""
    reached = needed_groups(plan, group, partitions)
    files = {}
    for table in plan.tables():
        static = layout.raw(table, layout.STATIC)
        if table not in reached and not exists(static) and exists(layout.RAW / table):
            raise changes_over_time(next(step.name for step in plan.steps if step.table == table), table)
        parts = [layout.raw(table, str(part)) for part in reached.get(table, [])] or [static]
        layout.require(parts, exists, why=f"the features of {group} look back into it")
        files[table] = tuple(root / part for part in parts)
    return files


def added_up(plan: Plan, table: str) -> frozenset[str]:
    """Return the columns of a table that measures compute with."""
    steps = (step for step in plan.steps if isinstance(step, Windows) and step.table == table)
    aggregates = (aggregate for step in steps for aggregate in step.aggregates)
    return frozenset(aggregate.column for aggregate in aggregates if aggregate.function in _ARITHMETIC)


def check_columns(plan: Plan, columns: Mapping[str, Mapping[str, str]]) -> None:
    """Raise ``DefinitionError`` for the first column of the plan that a table lacks or that does not fit."""
    own = [*plan.spine_key, *plan.keys, *plan.spine_features]
    derived = set(plan.calendar)
    for table, known in columns.items():
        _refuse_reserved(plan, table, known)
    for table, column in plan.revealed:
        if table in columns:
            _require(table, "`reveals` of a fact", [column], columns)
    _require(plan.spine, "the spine", [name for name in own if name not in derived], columns)
    for feature in plan.spine_features:
        _is_feature("the spine", feature, columns[plan.spine])
    for table, corrected in plan.corrections().items():
        _require(table, "`corrections`", [*corrected.key, corrected.recorded_at, EVENT_TIME], columns)
    for step in plan.steps:
        what = f"measure `{step.name}`" if isinstance(step, Windows) else f"dimension `{step.name}`"
        key = [name for name in step.key.table if not (isinstance(step, Windows) and name in derived)]
        _require(step.table, what, key, columns)
        _same_kinds(plan, step.table, what, step.key, columns)
        if isinstance(step, Windows):
            _require(step.table, what, [step.known_at], columns)
            _own_is_told(plan, step, columns)
            for aggregate in step.aggregates:
                _require(step.table, what, [aggregate.column], columns)
                _fits(step.table, aggregate.column, aggregate.function, columns)
        else:
            _check_lookup(plan, step, columns)
    for label in plan.labels:
        _check_label(plan, label, columns)
    _check_keys(plan, columns)


def check_times(plan: Plan, columns: Mapping[str, Mapping[str, str]], zone: str) -> None:
    """Raise ``SourceError`` for a column that decides what was known and is no timestamp; ``zone`` is that of the data.

    Tables that are absent in ``columns`` are not looked at.
    """
    for table, times in plan.times().items():
        if table in columns:
            _require(table, "each row", times, columns)
            for column in times:
                refuse_untimed(table, column, columns[table][column], zone)


def known_too_late(step: Windows, rows: int, worst: int) -> SourceError:
    """Return the error for events that count later than ``max_lag`` after they happened, at worst by microseconds."""
    return SourceError(
        f"{rows} rows of `{step.table}` became known more than max_lag after they happened",
        why=f"the latest of `{step.known_at}` and of their arrival is up to {timedelta(microseconds=worst)} after "
        f"event_time, max_lag is {step.max_lag}: windows could miss such a row in an earlier partition",
        next="raise max_lag of the fact in star.yaml, or fix the rows in sources.py",
    )


def duplicate_key(what: str, key: Sequence[str], duplicate: Sequence[object]) -> SourceError:
    """Return the error about a key of several rows in a table that is ``what``; ``duplicate`` ends with their number.

    The rows of a dimension have no versions: nothing tells which came later.
    """
    one = f"`.unique({list(key)}, keep='last', maintain_order=True)`"
    if what.startswith("the dimension"):
        way = (
            f"keep one in the transform of its source, as in "
            f"`transform=lambda frame: frame{one[1:-1]}`; or give its rows times and the dimension `as_of`"
        )
    else:
        way = f"keep one in the transform of its source, with {one}; or declare the table in `corrections` of star.yaml"
    names = ", ".join(f"`{name}`" for name in key)
    return SourceError(
        f"a key stands more than once in {what}",
        why=f"({names}) = {tuple(duplicate[:-1])} has {duplicate[-1]} rows, so a row would get several values",
        next=way,
    )


def _own_is_told(plan: Plan, step: Windows, columns: Mapping[str, Mapping[str, str]]) -> None:
    """Raise ``DefinitionError`` for rows that may belong to a row of the spine, and the star does not say what then."""
    if step.own is None and _has_key(plan, columns[step.table]):
        raise DefinitionError(
            f"rows of `{step.table}` may belong to a row of the spine: the table has its key",
            why=f"measure `{step.name}` could then show a row what happened to itself",
            next=f"write `own: exclude` at the fact of `{step.table}` in star.yaml, so that such events do not count "
            "for that row, or `own: include`, so that they do",
        )
    own, what = Key(step.own or (), step.own or ()), f"measure `{step.name}`, which leaves out a row's own events,"
    _require(step.table, what, [name for name in own.table if name not in plan.calendar], columns)
    _same_kinds(plan, step.table, what, own, columns)


def _has_key(plan: Plan, known: Mapping[str, str]) -> bool:
    """Tell whether a table has the spine's key, in any case: its rows may belong to a row of the spine."""
    there = {name.casefold() for name in (*known, *plan.calendar)}
    return {name.casefold() for name in plan.spine_key} <= there


def _check_lookup(plan: Plan, step: Lookup, columns: Mapping[str, Mapping[str, str]]) -> None:
    known = columns[step.table]
    _require(step.table, f"dimension `{step.name}`", step.columns, columns)
    if isinstance(step, AsOfLookup) and step.own_may_show is False and _has_key(plan, known):
        raise DefinitionError(
            f"rows of `{step.table}` may belong to a row of the spine: the table has its key",
            why=f"dimension `{step.name}` could then show a row what happened to itself",
            next=f"use a measure with `last` of a fact of `{step.table}` with `own: exclude`; or write `own: include` "
            f"in as_of of `{step.name}` in star.yaml, so that such rows do show",
        )
    if not isinstance(step, AsOfLookup) and EVENT_TIME in known:
        raise changes_over_time(step.name, step.table)
    for column in step.columns:
        _is_feature(f"dimension `{step.name}`", column, known)


def _is_feature(what: str, column: str, known: Mapping[str, str]) -> None:
    kind = known.get(column, NOTHING)
    if kind not in FEATURES:
        raise DefinitionError(
            f"`{column}` of {what} is {_a(kind)}, not a feature",
            why="a model learns from numbers, texts and booleans; from a point in time only how long ago it was",
            next="derive one of these from it in the transform of the source",
        )


def _check_keys(plan: Plan, columns: Mapping[str, Mapping[str, str]]) -> None:
    for table, known in columns.items():
        for name in sorted(plan.keys_of(table) & known.keys()):
            if known[name] not in KEYS:
                raise DefinitionError(
                    f"`{name}` of table `{table}` is part of a key, and it is {known[name]}",
                    why="keys are numbers, texts, booleans, dates or timestamps with a zone: nobody can ask for others",
                    next="make a text or a number of it in the transform of the source",
                )


def _a(kind: str) -> str:
    return {"timestamp": "a timestamp", "date": "a date"}.get(kind, kind)


def _refuse_reserved(plan: Plan, table: str, known: Mapping[str, str]) -> None:
    made = {folded(part) for part in plan.calendar} if EVENT_TIME in known else set()
    for column in known:
        if column.startswith(OURS) or folded(column) in made:
            ours = column.startswith(OURS)
            raise DefinitionError(
                f"the table `{table}` has a column `{column}`, which the compiler makes itself",
                why=f"names that begin with {OURS} are its own" if ours else "the calendar of the spine gives it",
                next="rename the column in the transform of the source",
            )


def _same_kinds(plan: Plan, table: str, what: str, key: Key, columns: Mapping[str, Mapping[str, str]]) -> None:
    """Raise ``DefinitionError`` for a key that is, say, text on one side and a number on the other."""
    for ours, theirs in zip(key.spine, key.table, strict=True):
        left, right = columns[plan.spine].get(ours), columns[table].get(theirs)
        if left and right and left != right and NOTHING not in (left, right):
            raise DefinitionError(
                f"{what} matches `{ours}`, which is {left}, with `{theirs}` of `{table}`, which is {right}",
                why="values of two kinds are never equal, or equal by accident",
                next="give both the same type in sources.py; `Csv(types=...)` keeps digits as text",
            )


def changes_over_time(name: str, table: str) -> DefinitionError:
    """Return the error about a lookup of whole rows in a table with partitions."""
    return DefinitionError(
        f"dimension `{name}` looks up `{table}`, which changes over time",
        why="the table has partitions; without as_of a row could show that was not known at the timestamp",
        next=f"give the dimension `{name}` as_of with a lag and a tolerance",
    )


def _check_label(plan: Plan, label: LabelStep, columns: Mapping[str, Mapping[str, str]]) -> None:
    what = f"label `{label.name}`"
    _require(label.table, what, [label.column, label.known_at, *label.key.table], columns)
    _same_kinds(plan, label.table, what, label.key, columns)
    if label.kind == "regression" or label.at_least is not None:
        _fits(label.table, label.column, "mean", columns)


def _require(table: str, what: str, wanted: Sequence[str], columns: Mapping[str, Mapping[str, str]]) -> None:
    for column in wanted:
        if column not in columns[table]:
            raise DefinitionError(
                f"{what} needs the column `{column}`, which the table `{table}` does not have",
                why="star.yaml and the data do not agree",
                next=nearest(column, columns[table]),
            )


def _fits(table: str, column: str, function: str, columns: Mapping[str, Mapping[str, str]]) -> None:
    kind = columns[table][column]
    if function == "last":
        _is_feature(f"table `{table}`, of which the last is asked,", column, columns[table])
    if function in _ARITHMETIC and kind not in ("number", "boolean", NOTHING):
        raise DefinitionError(
            f"`{function}` of `{column}` in table `{table}` makes no sense: it is {kind}",
            why="only numbers can be added and compared",
            next="`count` takes any type; else fix the column in sources.py",
        )
    if function == "distinct" and kind == "nested":
        raise DefinitionError(
            f"`distinct` of `{column}` in table `{table}` makes no sense: it is nested",
            why="lists and structs are not told apart",
            next="make a text of it in the transform of the source",
        )
