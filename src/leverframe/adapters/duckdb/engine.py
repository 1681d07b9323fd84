"""The plan on DuckDB: lookups and as-of joins in SQL, windows by the numpy kernel, Parquet out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from leverframe.adapters.duckdb.connection import connect
from leverframe.adapters.duckdb.sql import column, files_error, kind_of, microseconds, parquet, text
from leverframe.adapters.duckdb.views import ROW, create_view
from leverframe.domain.build.plan import AsOfLookup, Key, LabelStep, Lookup, Plan, Windows
from leverframe.domain.build.run import EVENT_TIME, KNOWN_AT, Inputs
from leverframe.domain.build.values import numbers, shaped
from leverframe.domain.build.windows import Column, Ints, Moments, Timeline, aggregate
from leverframe.errors import LabelError, SourceError
from leverframe.files import replacing

_AT = "__at"  # the moment of a row in microseconds
_SHIFT = 2**60  # a moment and a row in one number, so that ties are broken inside the join
_ROW_GROUP = 200_000


class DuckDBEngine:
    """The ``Engine`` port on one machine."""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads

    def columns(self, files: Sequence[Path]) -> dict[str, str]:
        """Return the columns of a table with their kind; raises ``SourceError`` for a damaged file."""
        with self._connected(files) as connection:
            kinds: dict[str, tuple[str, Path]] = {}
            for file in files:
                for name, dtype, *_ in connection.execute(f"DESCRIBE SELECT * FROM {parquet([file])}").fetchall():
                    kind, first = kinds.setdefault(name, (kind_of(dtype), file))
                    if kind_of(dtype) != kind:
                        raise _two_kinds(name, (kind, first), (kind_of(dtype), file))
        return {name: kind for name, (kind, _) in kinds.items()}

    def build(self, plan: Plan, inputs: Inputs, out: Path) -> int:
        """Write a row for each row of the spine, in its order, and return their number."""
        with self._connected(inputs.files()) as connection, replacing(out) as temporary:
            return _Build(connection, plan, inputs).write(temporary)

    @contextmanager
    def _connected(self, files: Sequence[Path]) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = connect(self._threads, finite=True)
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
        for prefix, files in (("t_", inputs.tables), ("l_", inputs.labels)):
            for table, paths in files.items():
                create_view(connection, plan, prefix + table, paths)
        create_view(connection, plan, "spine_rows", [inputs.spine])
        self._spine()

    def write(self, out: Path) -> int:
        """Run every step and write the result; return its rows."""
        plan = self._plan
        own = [*plan.keys, *plan.spine_features, *plan.calendar]
        selected = [f"s.{column(name)}" for name in own] + ["s.as_of"]
        joins: list[str] = []
        windows: dict[str, Any] = {}
        for number, step in enumerate(plan.steps):
            alias = f"j{number}"
            if isinstance(step, Windows):
                windows |= self._windows(step)
                selected += [f"w.{column(name)}" for name in step.outputs()]
            else:
                joins.append(self._lookup(step, alias))
                selected += self._lookup_columns(step, alias)
        if windows:
            rows = self._column(f"SELECT {ROW} FROM spine ORDER BY {ROW}")
            self._sql.register("windows", windows | {ROW: rows})
            joins.append(f"LEFT JOIN windows w ON s.{ROW} = w.{ROW}")
        for number, label in enumerate(plan.labels):
            own_row = label.table == plan.spine
            joins += [] if own_row else [self._label(label, f"l{number}")]
            alias = "s" if own_row else f"l{number}"
            selected += [f"{alias}.{column(label.name)}", f"{alias}.{column(label.name + '_known_at')}"]
        query = f"SELECT {', '.join(selected)} FROM spine s {' '.join(joins)} ORDER BY s.{ROW}"
        self._sql.execute(
            f"COPY ({query}) TO {text(str(out))} (FORMAT parquet, COMPRESSION zstd, "
            f"ROW_GROUP_SIZE {_ROW_GROUP}, KV_METADATA {{spec: {text(plan.spec)}}})"
        )
        return self._checked_rows(out)

    def _checked_rows(self, out: Path) -> int:
        written, wanted = self._one(f"SELECT (SELECT count(*) FROM {parquet([out])}), (SELECT count(*) FROM spine)")
        if written != wanted:  # a promise of the compiler; no input may break it
            raise AssertionError(f"{written} rows came out for {wanted} rows of the spine")
        return int(written)

    def _spine(self) -> None:
        plan = self._plan
        own = [column(name) for name in dict.fromkeys([*plan.keys, *plan.spine_features, *plan.calendar])]
        labels = [each for label in plan.labels if label.table == plan.spine for each in _label_columns(label)]
        ahead = f"to_microseconds({microseconds(plan.ahead)})"
        moment = f"{EVENT_TIME} - {ahead} AS as_of, epoch_us({EVENT_TIME} - {ahead}) AS {_AT}"
        self._sql.execute(
            f"CREATE TEMP TABLE spine AS SELECT {', '.join([*own, *labels, moment, ROW])} FROM spine_rows"
        )
        key = ", ".join(column(name) for name in plan.spine_key)
        self._refuse_twins("spine", key, f"the spine `{plan.spine}`")

    def _lookup(self, step: Lookup, alias: str) -> str:
        table = column(f"t_{step.table}")
        pairs = zip(step.key.spine, step.key.table, strict=True)
        equal = [f"s.{column(ours)} = {alias}.{column(theirs)}" for ours, theirs in pairs]
        names = ", ".join(column(name) for name in dict.fromkeys([*step.key.table, *step.columns]))
        if not isinstance(step, AsOfLookup):
            self._refuse_twins(table, ", ".join(map(column, step.key.table)), f"the dimension `{step.name}`")
            return f"LEFT JOIN (SELECT {names} FROM {table}) {alias} ON {' AND '.join(equal)}"
        moment = f"(epoch_us({KNOWN_AT}) + {microseconds(step.lag)})::HUGEINT * {_SHIFT} + {ROW} AS __moment"
        return (
            f"ASOF LEFT JOIN (SELECT {names}, {moment} FROM {table}) {alias} "
            f"ON {' AND '.join([*equal, f's.{_AT}::HUGEINT * {_SHIFT} > {alias}.__moment'])}"
        )

    def _lookup_columns(self, step: Lookup, alias: str) -> list[str]:
        shown = {name: f"{alias}.{column(name)}" for name in step.columns}
        if isinstance(step, AsOfLookup):
            fresh = f"{alias}.__moment >= (s.{_AT} - {microseconds(step.tolerance)})::HUGEINT * {_SHIFT}"
            shown = {name: f"CASE WHEN {fresh} THEN {value} END" for name, value in shown.items()}
        return [f"{value} AS {column(f'{step.name}_{name}')}" for name, value in shown.items()]

    def _windows(self, step: Windows) -> dict[str, Any]:
        """Compute a window step with the kernel and return its features, in the order of the spine."""
        rows, events = self._rows(step.key), self._events(step)
        timeline = Timeline(Moments(events.pop("__code"), events.pop(_AT)), rows)
        high = timeline.before()
        lows = {window: timeline.before(window) for window in {each.window for each in step.aggregates}}
        columns = {name: Column(numbers(values)) for name, values in events.items()}
        made: dict[str, Any] = {}
        for each in step.aggregates:
            found = aggregate(each, columns[each.column], lows[each.window], high)
            made[each.name] = shaped(each.function, events[each.column], found)
        return made

    def _rows(self, key: Key) -> Moments:
        """Number the keys of the spine, keep the numbers as table ``keys``, and return the rows' moments."""
        names = [column(name) for name in key.spine]
        known = " AND ".join(f"{name} IS NOT NULL" for name in names) or "true"
        distinct = f"SELECT DISTINCT {', '.join(names)} FROM spine WHERE {known}" if names else "SELECT 1"
        numbered = f"SELECT *, row_number() OVER () - 1 AS __code FROM ({distinct})"
        self._sql.execute(f"CREATE OR REPLACE TEMP TABLE keys AS {numbered}")
        equal = " AND ".join(f"s.{name} = k.{name}" for name in names) or "true"
        query = f"SELECT coalesce(k.__code, -1) AS code, s.{_AT} AS at FROM spine s LEFT JOIN keys k ON {equal}"
        found = self._sql.execute(f"{query} ORDER BY s.{ROW}").fetchnumpy()
        return Moments(found["code"].astype(np.int64), found["at"].astype(np.int64))

    def _events(self, step: Windows) -> dict[str, Any]:
        """Return the events that any window can reach, sorted by key, moment and row, as arrays."""
        table, known = column(f"t_{step.table}"), column(step.known_at)
        self._refuse_late(step)
        equal = " AND ".join(f"e.{column(name)} = k.{column(name)}" for name in step.key.table) or "true"
        values = ", ".join(f"e.{column(name)}" for name in dict.fromkeys(a.column for a in step.aggregates))
        first, last = self._one(f"SELECT min({_AT}), max({_AT}) FROM spine")
        return dict(
            self._sql.execute(
                f"SELECT k.__code, epoch_us(e.{known}) AS {_AT}, {values} FROM {table} e JOIN keys k ON {equal} "
                f"WHERE epoch_us(e.{known}) >= {first - microseconds(step.longest())} AND epoch_us(e.{known}) < {last} "
                f"ORDER BY k.__code, epoch_us(e.{known}), e.{ROW}"
            ).fetchnumpy()
        )

    def _refuse_late(self, step: Windows) -> None:
        late, worst = self._one(
            f"SELECT count(*), max(epoch_us({column(step.known_at)}) - epoch_us({EVENT_TIME})) "
            f"FROM {column(f't_{step.table}')} "
            f"WHERE epoch_us({column(step.known_at)}) - epoch_us({EVENT_TIME}) > {microseconds(step.max_lag)}"
        )
        if late:
            raise SourceError(
                f"{late} rows of `{step.table}` became known more than max_lag after they happened",
                why=f"`{step.known_at}` is up to {timedelta(microseconds=worst)} later than event_time, "
                f"max_lag is {step.max_lag}: windows could miss such a row in an earlier month",
                next="raise max_lag of the fact in star.yaml, or mend the rows in sources.py",
            )

    def _label(self, label: LabelStep, alias: str) -> str:
        """Return the join with the label's own table, after a look at its keys."""
        table, key = column(f"l_{label.table}"), ", ".join(column(name) for name in label.key.table)
        self._refuse_twins(table, key, f"the label `{label.name}`")
        self._refuse_orphans(label, table, key)
        equal = " AND ".join(f"s.{column(name)} = {alias}.{column(name)}" for name in label.key.table)
        return f"LEFT JOIN (SELECT {key}, {', '.join(_label_columns(label))} FROM {table}) {alias} ON {equal}"

    def _refuse_orphans(self, label: LabelStep, table: str, key: str) -> None:
        query = f"SELECT {key} FROM {table} ANTI JOIN spine USING ({key}) ORDER BY ALL"
        (orphans,) = self._one(f"SELECT count(*) FROM ({query})")
        if orphans:
            example = self._sql.execute(f"{query} LIMIT 1").fetchone()
            raise LabelError(
                f"{orphans} rows of label `{label.name}` belong to no row of `{self._plan.spine}`",
                why=f"for example ({key}) = {example}: the label's table and the spine do not agree",
                next="mend the key in sources.py; event_time of a label must lie in the month of its row",
            )

    def _refuse_twins(self, table: str, key: str, what: str) -> None:
        known = " AND ".join(f"{name} IS NOT NULL" for name in key.split(", "))
        query = f"SELECT {key}, count(*) AS n FROM {table} WHERE {known} GROUP BY {key} HAVING n > 1"
        twin = self._sql.execute(f"{query} ORDER BY ALL LIMIT 1").fetchone()
        if twin:
            raise SourceError(
                f"a key stands more than once in {what}",
                why=f"({key}) = {twin[:-1]} has {twin[-1]} rows, so a row would get several values",
                next="keep one row a key in sources.py; a unique-key monitor finds it before the build",
            )

    def _column(self, query: str) -> Ints:
        return self._sql.execute(query).fetchnumpy()[ROW].astype(np.int64)

    def _one(self, query: str) -> tuple[Any, ...]:
        row = self._sql.execute(query).fetchone()
        assert row is not None  # noqa: S101 - an aggregate always gives one row
        return row


def _two_kinds(name: str, one: tuple[str, Path], other: tuple[str, Path]) -> SourceError:
    return SourceError(
        f"the column `{name}` is {one[0]} in {one[1].name} and {other[0]} in {other[1].name} of {one[1].parent.name}",
        why="read together, values of the two would silently become one kind; an all-null CSV column reads as text",
        next="give the column a type in sources.py, as in `Csv(..., types={...})`, and ingest again",
    )


def _label_columns(label: LabelStep) -> list[str]:
    value, known = column(label.column), column(label.known_at)
    learnt = value if label.at_least is None else f"({value} >= {label.at_least!r})::TINYINT"
    # A value without the moment it became known cannot be used at any moment, nor a moment without a value.
    return [
        f"CASE WHEN {known} IS NOT NULL THEN {learnt} END AS {column(label.name)}",
        f"CASE WHEN {value} IS NOT NULL THEN {known} END AS {column(label.name + '_known_at')}",
    ]
