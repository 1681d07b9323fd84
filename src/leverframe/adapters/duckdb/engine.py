"""The plan on DuckDB: lookups and as-of joins in SQL, windows by the numpy kernel, Parquet out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from leverframe.adapters.duckdb.checks import refuse_duplicates, refuse_late, refuse_moved, refuse_orphans
from leverframe.adapters.duckdb.connection import connect
from leverframe.adapters.duckdb.relations import relation
from leverframe.adapters.duckdb.sql import (
    column,
    fetched,
    files_error,
    microseconds,
    parquet,
    scale_of,
    sql_type,
    stored,
    text,
)
from leverframe.adapters.duckdb.versions import FIRST, HAPPENED, IN_ORDER, KNOWN, PLACE, UNTIL, newest_in_time, versions
from leverframe.adapters.duckdb.views import ARRIVED, ROW, create_view, in_time, known
from leverframe.domain.data.column_types import kind, whole
from leverframe.domain.data.times import EVENT_TIME
from leverframe.domain.features.build import Inputs
from leverframe.domain.features.intervals import FOREVER, OwnGroups, Versions, over_versions
from leverframe.domain.features.plan import AsOfLookup, Corrected, Key, LabelStep, Lookup, Plan, Windows
from leverframe.domain.features.reserved import KNOWN_AT as LABEL_KNOWN_AT
from leverframe.domain.features.reserved import OURS
from leverframe.domain.features.values import numbers, shaped
from leverframe.domain.features.windows import Ints, Timestamps, over_events
from leverframe.files import replacing

_AT = "__at"  # the timestamp of a row in microseconds
_OWN = "__own"  # which row of the spine an event belongs to
_SHIFT = 2**60  # a timestamp and a row in one number, so that ties are broken inside the join
_ROW_GROUP = 200_000


class DuckDBEngine:
    """The ``Engine`` port on one machine."""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads

    @cached_property
    def _database(self) -> duckdb.DuckDBPyConnection:
        """Opened once a run: each look at a table would pay for it again."""
        return connect(self._threads, finite=True)

    def columns(self, files: Sequence[Path], added: Collection[str] = ()) -> dict[str, str]:
        """Return the columns of a table with their kind; raises ``SourceError`` for files that do not fit together."""
        with self._connected(files) as connection:
            return {name: kind(dtype) for name, dtype in relation(connection, files, added).types.items()}

    def build(self, plan: Plan, inputs: Inputs, out: Path) -> int:
        """Write a row for each row of the spine, in its order, and return their number."""
        with self._connected(inputs.files()) as connection, replacing(out) as temporary:
            return _Build(connection, plan, inputs).write(temporary)

    @contextmanager
    def _connected(self, files: Sequence[Path]) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = self._database.cursor()  # temporary tables and views are its own
        try:
            yield connection
        except duckdb.Error as error:
            raise (files_error(error, files) or error) from error
        finally:
            connection.close()


class _Build:
    """One run of a plan: temporary tables on one connection, then one statement that writes."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, plan: Plan, inputs: Inputs) -> None:
        self._sql, self._plan = connection, plan
        self._described: dict[str, dict[str, str]] = {}
        self._in_time: set[object] = set()  # the timing of facts that were looked at
        for prefix, files in (("t_", inputs.tables), ("l_", inputs.labels)):
            for table, paths in files.items():
                create_view(connection, plan, prefix + table, table, paths)
        create_view(connection, plan, "spine_rows", plan.spine, [inputs.spine])
        held = relation(connection, [inputs.spine]).types
        # A whole number that is a key and has no value is compared as a text; it is written as what it is.
        own = [name for name in (*plan.keys, *plan.spine_features) if whole(held.get(name, ""))]
        self._typed = {name: f"::{sql_type(held[name])}" for name in own}
        for table, corrected in plan.corrections().items():
            refuse_moved(connection, column(f"t_{table}"), table, corrected)
        self._spine()

    def write(self, out: Path) -> int:
        """Run every step and write the result; return its rows."""
        plan = self._plan
        own = [*plan.keys, *plan.spine_features, *plan.calendar]
        selected = [f"s.{column(name)}{self._typed.get(name, '')} AS {column(name)}" for name in [*own, "as_of"]]
        joins: list[str] = []
        windows: dict[str, Any] = {}
        for number, step in enumerate(plan.steps):
            alias = f"j{number}"
            if isinstance(step, Windows):
                windows |= self._windows(step)
                selected += self._window_columns(step)
            else:
                joins.append(self._lookup(step, alias))
                selected += self._lookup_columns(step, alias)
        if windows:
            rows = self._column(f"SELECT {ROW} FROM spine ORDER BY {ROW}")
            self._sql.register("windows", windows | {ROW: rows})
            joins.append(f"LEFT JOIN windows w ON s.{ROW} = w.{ROW}")
        for number, label in enumerate(plan.labels):
            own_row = self._stands_on_spine(label)
            joins += [] if own_row else [self._label(label, f"l{number}")]
            selected += _shown_label(label, "s" if own_row else f"l{number}")
        query = f"SELECT {', '.join(selected)} FROM spine s {' '.join(joins)} ORDER BY s.{ROW}"
        self._sql.execute(
            f"COPY ({query}) TO {text(str(out))} (FORMAT parquet, COMPRESSION zstd, "
            f"ROW_GROUP_SIZE {_ROW_GROUP}, KV_METADATA {{spec: {text(plan.spec)}}})"
        )
        return self._checked_rows(out)

    def _checked_rows(self, out: Path) -> int:
        written, wanted = self._one(f"SELECT (SELECT count(*) FROM {parquet([out])}), (SELECT count(*) FROM spine)")
        if written != wanted:  # an invariant of the compiler; no input may break it
            raise AssertionError(f"{written} rows came out for {wanted} rows of the spine")
        return int(written)

    def _spine(self) -> None:
        plan = self._plan
        own = [column(name) for name in dict.fromkeys([*plan.keys, *plan.spine_features, *plan.calendar])]
        labels = [
            label_column
            for label in plan.labels
            if self._stands_on_spine(label)
            for label_column in _label_columns(label)
        ]
        lead_time = f"to_microseconds({microseconds(plan.lead_time)})"
        timestamp = f"{EVENT_TIME} - {lead_time} AS as_of, epoch_us({EVENT_TIME} - {lead_time}) AS {_AT}"
        corrected, lead_by = plan.corrected, microseconds(plan.lead_time)
        rows = f"({newest_in_time('spine_rows', corrected, lead_by)})" if corrected else "spine_rows"
        recorded = f"greatest({ARRIVED}, epoch_us({column(corrected.recorded_at)}))" if corrected else ARRIVED
        selected = ", ".join([*own, *labels, timestamp, f"{recorded} AS {ARRIVED}", ROW])
        self._sql.execute(f"CREATE TEMP TABLE spine AS SELECT {selected} FROM {rows}")
        refuse_duplicates(self._sql, "spine", plan.spine_key, f"the spine `{plan.spine}`")

    def _stands_on_spine(self, label: LabelStep) -> bool:
        """Tell whether the row of the spine itself has the label."""
        return label.table == self._plan.spine and label.corrected is None

    def _lookup(self, step: Lookup, alias: str) -> str:
        table = column(f"t_{step.table}")
        pairs = zip(step.key.spine, step.key.table, strict=True)
        equal = [f"s.{column(ours)} = {alias}.{column(theirs)}" for ours, theirs in pairs]
        names = ", ".join(column(name) for name in dict.fromkeys([*step.key.table, *step.columns]))
        if not isinstance(step, AsOfLookup):
            refuse_duplicates(self._sql, table, step.key.table, f"the dimension `{step.name}`")
            return f"LEFT JOIN (SELECT {names} FROM {table}) {alias} ON {' AND '.join(equal)}"
        timestamp = f"({ARRIVED} + {microseconds(step.lag)})::HUGEINT * {_SHIFT} + {ROW} AS __timestamp"
        return (
            f"ASOF LEFT JOIN (SELECT {names}, {timestamp} FROM {table} WHERE {in_time(step)}) {alias} "
            f"ON {' AND '.join([*equal, f's.{_AT}::HUGEINT * {_SHIFT} > {alias}.__timestamp'])}"
        )

    def _lookup_columns(self, step: Lookup, alias: str) -> list[str]:
        shown = {name: f"{alias}.{column(name)}" for name in step.columns}
        if isinstance(step, AsOfLookup):
            fresh = f"{alias}.__timestamp >= (s.{_AT} - {microseconds(step.tolerance)})::HUGEINT * {_SHIFT}"
            shown = {name: f"CASE WHEN {fresh} THEN {value} END" for name, value in shown.items()}
        return [f"{value} AS {column(f'{step.name}_{name}')}" for name, value in shown.items()]

    def _windows(self, step: Windows) -> dict[str, Any]:
        """Compute a window step with the kernel and return its features, in the order of the spine."""
        rows = self._rows(step.key)
        if step.timing not in self._in_time:
            refuse_late(self._sql, step)
            self._in_time.add(step.timing)
        events = self._versions(step) if step.by_version else self._events(step)
        values = {name: numbers(events[name]) for name in {aggregate.column for aggregate in step.aggregates}}
        if step.by_version:
            seen = Versions(events["__code"], events[KNOWN], events[UNTIL], events[PLACE])
            own = OwnGroups(np.arange(len(rows.code)), events[_OWN]) if step.own else None
            results = over_versions(step.aggregates, values, seen, rows, own)
        else:
            results = over_events(step.aggregates, values, Timestamps(events["__code"], events[_AT]), rows)
        return {
            aggregate.name: shaped(aggregate.function, events[aggregate.column], results[aggregate.name])
            for aggregate in step.aggregates
        }

    def _types(self, table: str) -> dict[str, str]:
        """Return the columns of a table with the type that DuckDB has them in."""
        if table not in self._described:
            rows = self._sql.execute(f"DESCRIBE {column(f't_{table}')}").fetchall()
            self._described[table] = {name: dtype for name, dtype, *_ in rows}
        return self._described[table]

    def _window_columns(self, step: Windows) -> list[str]:
        """Return the features of a window step in the types of the output: `last` of a decimal is a decimal."""
        types = self._types(step.table)
        last = {
            aggregate.name: types[aggregate.column] for aggregate in step.aggregates if aggregate.function == "last"
        }
        casts = {name: f"::{dtype}" for name, dtype in last.items() if scale_of(dtype) is not None}
        return [f"w.{column(name)}{casts.get(name, '')} AS {column(name)}" for name in step.outputs()]

    def _rows(self, key: Key) -> Timestamps:
        """Number the keys of the spine, keep the numbers as table ``keys``, and return the rows' timestamps."""
        names = [column(name) for name in key.spine]
        known = " AND ".join(f"{name} IS NOT NULL" for name in names) or "true"
        distinct = f"SELECT DISTINCT {', '.join(names)} FROM spine WHERE {known}" if names else "SELECT 1"
        numbered = f"SELECT *, row_number() OVER () - 1 AS __code FROM ({distinct})"
        self._sql.execute(f"CREATE OR REPLACE TEMP TABLE keys AS {numbered}")
        equal = " AND ".join(f"s.{name} = k.{name}" for name in names) or "true"
        query = f"SELECT coalesce(k.__code, -1) AS code, s.{_AT} AS at FROM spine s LEFT JOIN keys k ON {equal}"
        arrays = self._sql.execute(f"{query} ORDER BY s.{ROW}").fetchnumpy()
        return Timestamps(arrays["code"].astype(np.int64), arrays["at"].astype(np.int64))

    def _events(self, step: Windows) -> dict[str, Any]:
        """Return the events that any window can reach, sorted by key, timestamp and row, as arrays."""
        table = column(f"t_{step.table}")
        equal = " AND ".join(f"e.{column(name)} = k.{column(name)}" for name in step.key.table) or "true"
        types = self._types(step.table)
        values = ", ".join(
            f"{stored(name, types[name], 'e.')} AS {column(name)}"
            for name in dict.fromkeys(aggregate.column for aggregate in step.aggregates)
        )
        first, last = self._span()
        return self._fetched(
            f"SELECT k.__code, e.{_AT}, {values} "
            f"FROM (SELECT *, {known(step.known_at)} AS {_AT} FROM {table}) e JOIN keys k ON {equal} "
            f"WHERE e.{_AT} >= {first - microseconds(step.longest())} AND e.{_AT} < {last} "
            f"ORDER BY k.__code, e.{_AT}, e.{ROW}",
            types,
        )

    def _versions(self, step: Windows) -> dict[str, Any]:
        """Return the versions that any window can reach, sorted by the places of their events, as arrays.

        ``_OWN`` is the place of the row of the spine that a version belongs to, -1 for none.
        """
        made = versions(column(f"t_{step.table}"), step.corrected, step.known_at)
        equal = " AND ".join(f"e.{column(name)} = k.{column(name)}" for name in step.key.table) or "true"
        types = self._types(step.table)
        values = ", ".join(
            f"CASE WHEN e.{HAPPENED} THEN {stored(name, types[name], 'e.')} END AS {column(name)}"
            for name in dict.fromkeys(aggregate.column for aggregate in step.aggregates)
        )
        own, belongs = "", ""
        if step.own:
            numbered = f"SELECT {_names(step.own)}, row_number() OVER (ORDER BY {ROW}) - 1 AS {_OWN} FROM spine"
            same = " AND ".join(f"e.{column(name)} = o.{column(name)}" for name in step.own)
            own, belongs = f", coalesce(o.{_OWN}, -1) AS {_OWN}", f"LEFT JOIN ({numbered}) o ON {same}"
        first, last = self._span()
        return self._fetched(
            f"SELECT k.__code, e.{KNOWN}, coalesce(e.{UNTIL}, {FOREVER}) AS {UNTIL}, e.{PLACE}, {values}{own} "
            f"FROM ({made}) e JOIN keys k ON {equal} {belongs} "
            f"WHERE e.{PLACE} >= {first - microseconds(step.longest())} AND e.{KNOWN} < {last} "
            f"ORDER BY e.{PLACE}, e.{FIRST}, e.{KNOWN}, e.{ROW}",
            types,
        )

    def _label(self, label: LabelStep, alias: str) -> str:
        """Return the join with the label's own table, after a look at its keys."""
        plan, table = self._plan, column(f"l_{label.table}")
        key = _names(label.key.table)
        refuse_orphans(self._sql, label, table, plan.spine)
        equal = " AND ".join(f"s.{column(name)} = {alias}.{column(name)}" for name in label.key.table)
        if label.corrected:
            return f"LEFT JOIN ({_label_versions(label, label.corrected, table, key)}) {alias} ON {equal}"
        refuse_duplicates(self._sql, table, label.key.table, f"the label `{label.name}`")
        return f"LEFT JOIN (SELECT {key}, {', '.join(_label_columns(label))} FROM {table}) {alias} ON {equal}"

    def _span(self) -> tuple[int, int]:
        """Return the times of the first and the last row of the spine in microseconds, 0 where it has none."""
        first, last = self._one(f"SELECT coalesce(min({_AT}), 0), coalesce(max({_AT}), 0) FROM spine")
        return int(first), int(last)

    def _fetched(self, query: str, types: Mapping[str, str]) -> dict[str, Any]:
        """Return columns of our own as arrays of integers, and those of a table as windows read them."""
        arrays = self._sql.execute(query).fetchnumpy()
        return {
            name: values.astype(np.int64) if name.startswith(OURS) else fetched(name, values, types[name])
            for name, values in arrays.items()
        }

    def _column(self, query: str) -> Ints:
        return self._sql.execute(query).fetchnumpy()[ROW].astype(np.int64)

    def _one(self, query: str) -> tuple[Any, ...]:
        (row,) = self._sql.execute(query).fetchall()  # an aggregate always gives one row
        return tuple(row)


def _learnt(label: LabelStep) -> str:
    value, limit = column(label.column), label.at_least
    if limit is None:
        return value
    # Doubles are compared with a double, whole numbers and decimals with the number that is written.
    double = f"typeof({value}) IN ('FLOAT', 'DOUBLE')"
    return f"(CASE WHEN {double} THEN {value}::DOUBLE >= {limit!r}::DOUBLE ELSE {value} >= {limit!r} END)::TINYINT"


def _label_versions(label: LabelStep, corrected: Corrected, table: str, key: str) -> str:
    """Return a SELECT of all versions of each label, and of the newest as ``_label_columns`` shows it."""
    learnt = f"CASE WHEN {HAPPENED} THEN {_learnt(label)} END"
    pair = f"{{'known_at': make_timestamptz({KNOWN}), 'value': {learnt}}}"
    listed = f"list({pair} ORDER BY {IN_ORDER}) AS __v"
    made = f"SELECT {key}, {listed} FROM ({versions(table, corrected, label.known_at)}) GROUP BY {key}"
    names = [column(name) for name in label.outputs()]
    newest = ("__v[-1].value", "CASE WHEN __v[-1].value IS NOT NULL THEN __v[-1].known_at END", "__v")
    shown = [f"{value} AS {name}" for value, name in zip(newest, names, strict=True)]
    return f"SELECT {key}, {', '.join(shown)} FROM ({made})"


def _label_columns(label: LabelStep) -> list[str]:
    value, since, learnt = column(label.column), known(label.known_at), _learnt(label)
    # A value without the time from which it was known cannot be used at any time, nor a time without a value.
    return [
        f"CASE WHEN {since} IS NOT NULL THEN {learnt} END AS {column(label.name)}",
        f"CASE WHEN {value} IS NOT NULL THEN make_timestamptz({since}) END AS {column(label.name + LABEL_KNOWN_AT)}",
    ]


def _shown_label(label: LabelStep, alias: str) -> list[str]:
    """Return the label as the output has it: nobody can learn from it before the row of the spine arrived too."""
    value, since, *histories = (f"{alias}.{column(name)}" for name in label.outputs())
    arrived = f"make_timestamptz(s.{ARRIVED})"
    later = f"CASE WHEN {since} IS NOT NULL THEN greatest({since}, {arrived}) END"
    pair = f"{{'known_at': greatest(version.known_at, {arrived}), 'value': version.value}}"
    shown = (value, later, *(f"list_transform({versions}, lambda version: {pair})" for versions in histories))
    return [f"{what} AS {column(name)}" for what, name in zip(shown, label.outputs(), strict=True)]


def _names(columns: Sequence[str]) -> str:
    return ", ".join(column(name) for name in columns)
