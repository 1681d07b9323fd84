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

from leverframe.adapters.spark.checks import refuse_duplicates, refuse_late, refuse_moved, refuse_orphans
from leverframe.adapters.spark.parquet import TIMESTAMP, Types, rows_of
from leverframe.adapters.spark.tables import ARRIVED, ROW, Table, in_time, named, read_table, since
from leverframe.adapters.spark.timelines import AT, EventJoin, aggregated, aggregated_versions, newest
from leverframe.adapters.spark.versions import (
    FIRST,
    HAPPENED,
    KNOWN,
    PLACE,
    RECORDED,
    UNTIL,
    newest_in_time,
    versions,
)
from leverframe.domain.data.times import EVENT_TIME
from leverframe.domain.features.build import Inputs
from leverframe.domain.features.plan import AsOfLookup, Corrected, Key, LabelStep, Lookup, Plan, Windows

_MADE = {"count": pa.int64(), "distinct": pa.int64()}  # all else is a float, and `last` what the column is


class Steps:
    """One run of a plan: nothing is computed before ``check`` or before the frame of ``joined`` is read."""

    def __init__(self, spark: SparkSession, plan: Plan, inputs: Inputs, types: dict[str, Types]) -> None:
        def read(table: str, files: Sequence[Path]) -> Table:
            return read_table(spark, plan, table, files, types[table])

        self._plan, self._inputs = plan, inputs
        self._tables = {name: read(name, files) for name, files in inputs.tables.items()}
        self._labels = {name: read(name, files) for name, files in inputs.labels.items()}
        self._made: Types = {}
        self._spine = self._with_moment(read(plan.spine, [inputs.spine]))

    def check(self) -> None:
        """Raise for a key that stands twice, a row that became known too late, a label of no row."""
        plan = self._plan
        for name, corrected in plan.corrections().items():
            refuse_moved(self._tables[name], name, corrected)
        refuse_duplicates(self._spine, plan.spine_key, f"the spine `{plan.spine}`")
        looked_at: set[object] = set()  # a query takes long here: one serves all measures of a fact, or labels of a key
        for step in plan.steps:
            table = self._tables[step.table]
            if isinstance(step, Windows):
                if step.timing not in looked_at:
                    refuse_late(step, table)
                    looked_at.add(step.timing)
            elif not isinstance(step, AsOfLookup):
                refuse_duplicates(table, step.key.table, f"the dimension `{step.name}`")
        for label in plan.labels:
            key = (label.table, label.key, label.corrected)
            if not self._stands_on_spine(label) and key not in looked_at:
                if not label.corrected:
                    refuse_duplicates(self._labels[label.table], label.key.table, f"the label `{label.name}`")
                refuse_orphans(label, self._labels[label.table], self._spine, plan.spine)
                looked_at.add(key)

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
                self._made |= {f"{step.name}_{column}": table.types[column] for column in step.columns}
                made = self._looked_up(made, table, step.key, shown, f"__j{number}_")
        for number, label in enumerate(plan.labels):
            self._made |= _label_types(label, self._labels.get(label.table, self._tables.get(label.table)))
            if not self._stands_on_spine(label):
                table, shown = self._labels[label.table], _learnt(label)
                if label.corrected:
                    table = Table(_label_versions(label, label.corrected, table.frame), table.types)
                    shown = {name: named(name) for name in label.outputs()}
                made = self._looked_up(made, table, label.key, shown, f"__l{number}_")
            made = made.withColumns(_not_before(label, F.timestamp_micros(ARRIVED)))
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
        labels = [name for label in plan.labels for name in label.outputs()]
        return [*plan.keys, *plan.spine_features, *plan.calendar, "as_of", *steps, *labels]

    def _stands_on_spine(self, label: LabelStep) -> bool:
        """Tell whether the row of the spine itself has the label."""
        return label.table == self._plan.spine and label.corrected is None

    def rows(self) -> int:
        """Return how many rows must come out."""
        return self._spine.frame.count() if self._plan.corrected else rows_of([self._inputs.spine])

    def _with_moment(self, rows: Table) -> Table:
        plan = self._plan
        own = list(dict.fromkeys([*plan.keys, *plan.spine_features, *plan.calendar]))
        at = F.unix_micros(EVENT_TIME) - F.lit(_microseconds(plan.lead_time))
        learnt = [
            value.alias(name)
            for label in plan.labels
            if self._stands_on_spine(label)
            for name, value in _learnt(label).items()
        ]
        timestamp = [at.alias(AT), F.timestamp_micros(at).alias("as_of"), F.col(ROW)]
        self._made |= {name: rows.types[name] for name in own} | {"as_of": TIMESTAMP}
        frame, arrived = rows.frame, F.col(ARRIVED)
        if plan.corrected:
            frame = newest_in_time(frame, plan.corrected, _microseconds(plan.lead_time))
            arrived = F.greatest(arrived, F.unix_micros(named(plan.corrected.recorded_at)))
        return Table(frame.select(*map(named, own), *learnt, *timestamp, arrived.alias(ARRIVED)), rows.types)

    def _looked_up(self, made: DataFrame, table: Table, key: Key, shown: dict[str, Column], prefix: str) -> DataFrame:
        """Return ``made`` with columns of the one row of ``table`` that has the key."""
        ours, theirs = self._keys(table, key)
        names = [f"{prefix}{number}" for number in range(len(theirs))]
        values = [value.alias(name) for name, value in shown.items()]
        other = table.frame.select(*(column.alias(name) for column, name in zip(theirs, names, strict=True)), *values)
        equal = [column == F.col(name) for column, name in zip(ours, names, strict=True)]
        return made.join(other, equal, "left").drop(*names)

    def _keys(self, table: Table, key: Key) -> tuple[list[Column], list[Column]]:
        """Return the columns that must be equal, of the spine and of the table, each pair in one type."""
        pairs = list(zip(key.spine, key.table, strict=True))
        ours = [self._spine.compared(one, table.types[other]) for one, other in pairs]
        return ours, [table.compared(other, self._spine.types[one]) for one, other in pairs]

    def _newest(self, step: AsOfLookup) -> DataFrame:
        table, outputs = self._tables[step.table], step.outputs()
        opens = F.col(ARRIVED) + F.lit(_microseconds(step.lag))
        values = {name: named(column) for name, column in zip(outputs, step.columns, strict=True)}
        types = {name: table.types[column] for name, column in zip(outputs, step.columns, strict=True)}
        meeting = self._meeting(step, opens, values, step.tolerance, table.frame.where(in_time(step)))
        return self._answered(meeting, newest(step.tolerance, outputs, meeting.keys), outputs, types)

    def _windows(self, step: Windows) -> DataFrame:
        table, outputs = self._tables[step.table], step.outputs()
        columns = list(dict.fromkeys(aggregate.column for aggregate in step.aggregates))
        places = {column: f"__v{number}" for number, column in enumerate(columns)}
        values = {place: named(column) for column, place in places.items()}
        types = {
            aggregate.name: _MADE.get(aggregate.function, pa.float64())
            if aggregate.function != "last"
            else table.types[aggregate.column]
            for aggregate in step.aggregates
        }
        asked = [replace(aggregate, column=places[aggregate.column]) for aggregate in step.aggregates]
        if step.by_version:
            frame = versions(table.frame, step.corrected, step.known_at)
            values = {place: F.when(F.col(HAPPENED), value) for place, value in values.items()}
            values |= {name: F.col(name) for name in (KNOWN, UNTIL, FIRST)}
            meeting = self._meeting(step, F.col(PLACE), values, step.longest(), frame)
            return self._answered(meeting, aggregated_versions(asked, meeting.keys, meeting.own), outputs, types)
        meeting = self._meeting(step, since(step.known_at), values, step.longest())
        return self._answered(meeting, aggregated(asked, meeting.keys), outputs, types)

    def _meeting(
        self,
        step: Lookup | Windows,
        at: Column,
        values: dict[str, Column],
        back: timedelta,
        frame: DataFrame | None = None,
    ) -> EventJoin:
        """Return what of a step's table, or of the ``frame`` made of it, meets the spine."""
        table = self._tables[step.table]
        belong = tuple(step.own or ()) if isinstance(step, Windows) else ()
        both = Key((*step.key.spine, *belong), (*step.key.table, *belong))
        ours, theirs = self._keys(table, both)
        names = tuple(f"__k{number}" for number in range(len(ours)))
        rows = [column.alias(name) for column, name in zip(ours, names, strict=True)]
        events = [column.alias(name) for column, name in zip(theirs, names, strict=True)]
        keys, own = names[: len(step.key.spine)], names[len(step.key.spine) :]
        shown = [value.alias(name) for name, value in values.items()]
        return EventJoin(
            self._spine.frame.select(ROW, AT, *rows),
            (frame or table.frame).select(ROW, at.alias(AT), *events, *shown),
            keys,
            own,
            back,
            self._span,
            rows_of(self._inputs.tables[step.table]),
        )

    def _answered(
        self, meeting: EventJoin, work: Callable[[pa.Table, pa.Table], pa.Table], outputs: Sequence[str], types: Types
    ) -> DataFrame:
        self._made |= types
        return meeting.apply(work, pa.schema([(ROW, pa.int64()), *((name, types[name]) for name in outputs)]))


def _label_types(label: LabelStep, table: Table | None) -> Types:
    assert table is not None  # noqa: S101 - every table of a label is read
    value = table.types[label.column] if label.at_least is None else pa.int8()
    types = (value, TIMESTAMP, pa.list_(pa.struct([("known_at", TIMESTAMP), ("value", value)])))
    return dict(zip(label.outputs(), types, strict=False))  # versions only of a label that is corrected


def _label_versions(label: LabelStep, corrected: Corrected, frame: DataFrame) -> DataFrame:
    """Return the keys of a label, all its versions, and the newest as ``_learnt`` shows it."""
    value, known = "__value", _learnt(label)[label.name]
    made = versions(frame, corrected, label.known_at).withColumn(value, F.when(F.col(HAPPENED), known))
    keys = [named(name) for name in label.key.table]
    listed = F.sort_array(F.collect_list(F.struct(KNOWN, RECORDED, ROW, value)))
    groups = made.groupBy(*keys).agg(listed.alias("__versions"))
    history = F.transform(
        "__versions",
        lambda version: F.struct(F.timestamp_micros(version[KNOWN]).alias("known_at"), version[value].alias("value")),
    )
    newest = F.element_at(history, -1)
    shown = (newest["value"], F.when(newest["value"].isNotNull(), newest["known_at"]), history)
    return groups.select(*keys, *(column.alias(name) for column, name in zip(shown, label.outputs(), strict=True)))


def _not_before(label: LabelStep, arrived: Column) -> dict[str, Column]:
    """Return the times of a label no earlier than the arrival of its row: nobody can learn from it before."""
    _, known_at, *histories = label.outputs()

    def later(known: Column) -> Column:
        return F.when(known.isNotNull(), F.greatest(known, arrived))

    def version(entry: Column) -> Column:
        return F.struct(later(entry["known_at"]).alias("known_at"), entry["value"].alias("value"))

    return {known_at: later(named(known_at)), **{name: F.transform(named(name), version) for name in histories}}


def _learnt(label: LabelStep) -> dict[str, Column]:
    value, known = named(label.column), since(label.known_at)
    learnt = value if label.at_least is None else (value >= F.lit(label.at_least)).cast("tinyint")
    # A value without the time from which it was known cannot be used at any time, nor a time without a value.
    return {
        label.name: F.when(known.isNotNull(), learnt),
        f"{label.name}_known_at": F.when(value.isNotNull(), F.timestamp_micros(known)),
    }


def _microseconds(length: timedelta) -> int:
    return length // timedelta(microseconds=1)
