"""The steps of a plan as frames: the spine joined with what each lookup, window and label gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name that every reader of Spark knows

from leverframe.adapters.spark.checks import refuse_late, refuse_orphans, refuse_twins
from leverframe.adapters.spark.parquet import MOMENT, Types, rows_of
from leverframe.adapters.spark.tables import ROW, Table, named, read_table
from leverframe.adapters.spark.timelines import AT, Meeting, aggregated, newest
from leverframe.domain.build.plan import AsOfLookup, Key, LabelStep, Lookup, Plan, Windows
from leverframe.domain.build.run import EVENT_TIME, KNOWN_AT, Inputs

_MADE = {"count": pa.int64(), "distinct": pa.int64()}  # all else is a float, and `last` what the column is


class Steps:
    """One run of a plan: nothing is computed before ``check`` or before the frame of ``joined`` is read."""

    def __init__(self, spark: SparkSession, plan: Plan, inputs: Inputs, types: dict[str, Types]) -> None:
        def read(table: str, files: Sequence[Path]) -> Table:
            return read_table(spark, plan, files, types[table])

        self._plan, self._inputs = plan, inputs
        self._tables = {name: read(name, files) for name, files in inputs.tables.items()}
        self._labels = {name: read(name, files) for name, files in inputs.labels.items() if name != plan.spine}
        self._made: Types = {}
        self._spine = self._with_moment(read(plan.spine, [inputs.spine]))

    def check(self) -> None:
        """Raise for a key that stands twice, a row that became known too late, a label of no row."""
        plan = self._plan
        refuse_twins(self._spine, plan.spine_key, f"the spine `{plan.spine}`")
        for step in plan.steps:
            table = self._tables[step.table]
            if isinstance(step, Windows):
                refuse_late(step, table)
            elif not isinstance(step, AsOfLookup):
                refuse_twins(table, step.key.table, f"the dimension `{step.name}`")
        for label in plan.labels:
            if label.table != plan.spine:
                refuse_twins(self._labels[label.table], label.key.table, f"the label `{label.name}`")
                refuse_orphans(label, self._labels[label.table], self._spine, plan.spine)

    def joined(self) -> tuple[DataFrame, pa.Schema]:
        """Return the rows of the spine in their order with all features and labels, and the output's schema."""
        plan, made = self._plan, self._spine.frame
        for number, step in enumerate(plan.steps):
            if isinstance(step, Windows):
                made = made.join(self._windows(step), ROW, "left")
            elif isinstance(step, AsOfLookup):
                made = made.join(self._newest(step), ROW, "left")
            else:
                table = self._tables[step.table]
                shown = {name: named(column) for name, column in zip(step.outputs(), step.columns, strict=True)}
                self._made |= {f"{step.name}_{each}": table.types[each] for each in step.columns}
                made = self._looked_up(made, table, step.key, shown, f"__j{number}_")
        for number, label in enumerate(plan.labels):
            self._made |= _label_types(label, self._labels.get(label.table, self._tables.get(label.table)))
            if label.table != plan.spine:
                table = self._labels[label.table]
                made = self._looked_up(made, table, label.key, _learnt(label), f"__l{number}_")
        names = self._names()
        shown_columns = made.select(ROW, *(named(name) for name in names))
        return shown_columns.orderBy(ROW), pa.schema([(name, self._made[name]) for name in names])

    @cached_property
    def _span(self) -> tuple[int, int]:
        first, last = self._spine.frame.agg(F.min(AT), F.max(AT)).first() or (None, None)
        return first or 0, last or 0

    def _names(self) -> list[str]:
        plan = self._plan
        steps = [name for step in plan.steps for name in step.outputs()]
        labels = [name for label in plan.labels for name in (label.name, f"{label.name}_known_at")]
        return [*plan.keys, *plan.spine_features, *plan.calendar, "as_of", *steps, *labels]

    def _with_moment(self, rows: Table) -> Table:
        plan = self._plan
        own = list(dict.fromkeys([*plan.keys, *plan.spine_features, *plan.calendar]))
        at = F.unix_micros(EVENT_TIME) - F.lit(_microseconds(plan.ahead))
        learnt = [
            value.alias(name)
            for label in plan.labels
            if label.table == plan.spine
            for name, value in _learnt(label).items()
        ]
        moment = [at.alias(AT), F.timestamp_micros(at).alias("as_of"), F.col(ROW)]
        self._made |= {name: rows.types[name] for name in own} | {"as_of": MOMENT}
        return Table(rows.frame.select(*map(named, own), *learnt, *moment), rows.types)

    def _looked_up(self, made: DataFrame, table: Table, key: Key, shown: dict[str, Column], prefix: str) -> DataFrame:
        """Return ``made`` with columns of the one row of ``table`` that has the key."""
        ours, theirs = self._keys(table, key)
        names = [f"{prefix}{number}" for number in range(len(theirs))]
        values = [value.alias(name) for name, value in shown.items()]
        other = table.frame.select(*(each.alias(name) for each, name in zip(theirs, names, strict=True)), *values)
        equal = [each == F.col(name) for each, name in zip(ours, names, strict=True)]
        return made.join(other, equal, "left").drop(*names)

    def _keys(self, table: Table, key: Key) -> tuple[list[Column], list[Column]]:
        """Return the columns that must be equal, of the spine and of the table, each pair in one type."""
        pairs = list(zip(key.spine, key.table, strict=True))
        ours = [self._spine.compared(one, table.types[other]) for one, other in pairs]
        return ours, [table.compared(other, self._spine.types[one]) for one, other in pairs]

    def _newest(self, step: AsOfLookup) -> DataFrame:
        table, outputs = self._tables[step.table], step.outputs()
        known = F.unix_micros(KNOWN_AT) + F.lit(_microseconds(step.lag))
        values = {name: named(column) for name, column in zip(outputs, step.columns, strict=True)}
        types = {name: table.types[column] for name, column in zip(outputs, step.columns, strict=True)}
        meeting = self._meeting(step, known, values, step.tolerance)
        return self._answered(meeting, newest(step.tolerance, outputs, meeting.keys), outputs, types)

    def _windows(self, step: Windows) -> DataFrame:
        table, outputs = self._tables[step.table], step.outputs()
        columns = list(dict.fromkeys(each.column for each in step.aggregates))
        places = {column: f"__v{number}" for number, column in enumerate(columns)}
        values = {place: named(column) for column, place in places.items()}
        types = {
            each.name: _MADE.get(each.function, pa.float64()) if each.function != "last" else table.types[each.column]
            for each in step.aggregates
        }
        meeting = self._meeting(step, F.unix_micros(named(step.known_at)), values, step.longest())
        asked = [replace(each, column=places[each.column]) for each in step.aggregates]
        return self._answered(meeting, aggregated(asked, meeting.keys), outputs, types)

    def _meeting(self, step: Lookup | Windows, at: Column, values: dict[str, Column], back: timedelta) -> Meeting:
        table = self._tables[step.table]
        ours, theirs = self._keys(table, step.key)
        keys = tuple(f"__k{number}" for number in range(len(ours)))
        rows = [each.alias(name) for each, name in zip(ours, keys, strict=True)]
        events = [each.alias(name) for each, name in zip(theirs, keys, strict=True)]
        shown = [value.alias(name) for name, value in values.items()]
        return Meeting(
            self._spine.frame.select(ROW, AT, *rows),
            table.frame.select(ROW, at.alias(AT), *events, *shown),
            keys,
            back,
            self._span,
            rows_of(self._inputs.tables[step.table]),
        )

    def _answered(
        self, meeting: Meeting, work: Callable[[pa.Table, pa.Table], pa.Table], outputs: Sequence[str], types: Types
    ) -> DataFrame:
        self._made |= types
        return meeting.each(work, pa.schema([(ROW, pa.int64()), *((name, types[name]) for name in outputs)]))


def _label_types(label: LabelStep, table: Table | None) -> Types:
    assert table is not None  # noqa: S101 - every table of a label is read
    value = table.types[label.column] if label.at_least is None else pa.int8()
    return {label.name: value, f"{label.name}_known_at": table.types[label.known_at]}


def _learnt(label: LabelStep) -> dict[str, Column]:
    value, known = named(label.column), named(label.known_at)
    learnt = value if label.at_least is None else (value.cast("double") >= F.lit(label.at_least)).cast("tinyint")
    # A value without the moment it became known cannot be used at any moment, nor a moment without a value.
    return {
        label.name: F.when(known.isNotNull(), learnt),
        f"{label.name}_known_at": F.when(value.isNotNull(), known),
    }


def _microseconds(length: timedelta) -> int:
    return length // timedelta(microseconds=1)
