"""The rows of a snapshot, read with DuckDB through the same views as a build."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import duckdb
import numpy as np

from leverframe.adapters.duckdb.connection import connect
from leverframe.adapters.duckdb.sql import column, fetched, files_error, kind_of, microseconds, scale_of, stored
from leverframe.adapters.duckdb.versions import FIRST, HAPPENED, KNOWN, version_known, versions
from leverframe.adapters.duckdb.versions import PLACE as PLACED
from leverframe.adapters.duckdb.versions import UNTIL as NEXT
from leverframe.adapters.duckdb.views import ARRIVED, ROW, create_view, in_time, known
from leverframe.domain.data.times import EVENT_TIME
from leverframe.domain.features.build import Files
from leverframe.domain.features.intervals import FOREVER
from leverframe.domain.features.online import AT, PLACE, UNTIL, Newest, Span, microseconds_of, table_of
from leverframe.domain.features.plan import AsOfLookup, Plan, Step, Windows
from leverframe.domain.features.snapshot.store import Table


class DuckDBSnapshooter:
    """Reads the rows of every step of a plan, and how far they reach."""

    @cached_property
    def _database(self) -> duckdb.DuckDBPyConnection:
        """Opened once: that takes longer than to read small tables."""
        return connect(finite=True)

    def tables(self, plan: Plan, files: Files, span: Span) -> Iterator[Table]:
        """Return a table a step; raises ``SourceError`` for a damaged file.

        Rows of a key come by timestamp, then by their order in the files; versions of corrected events come in the
        order of their events.
        """
        sql = self._database.cursor()  # its views are its own
        try:
            for table, paths in files.items():
                create_view(sql, plan, f"t_{table}", table, paths)
            for step in plan.steps:
                yield step_rows(sql, step, span, column(f"t_{step.table}"))
        except duckdb.Error as error:
            raise (files_error(error, [path for paths in files.values() for path in paths]) or error) from error
        finally:
            sql.close()

    def newest(self, plan: Plan, files: Files, end: datetime) -> list[Newest]:
        """Return how far each step's rows reach, of those steps that have times and rows."""
        sql, steps = self._database.cursor(), []
        try:
            for table, paths in files.items():
                create_view(sql, plan, f"t_{table}", table, paths)
            for step in plan.steps:
                if isinstance(step, Windows | AsOfLookup):
                    at = version_known(step.corrected, step.known_at) if isinstance(step, Windows) else ARRIVED
                    happened = f"max(epoch_us({EVENT_TIME})) FILTER ({AT} IS NOT NULL)"
                    later = f"count(*) FILTER ({AT} >= {microseconds_of(end)})"
                    view = f"(SELECT *, {at} AS {AT} FROM {column(f't_{step.table}')})"
                    (row,) = sql.execute(f"SELECT max({AT}), {happened}, {later} FROM {view}").fetchall()
                    steps += [Newest(step.table, *row)] if row[0] is not None else []
        except duckdb.Error as error:
            raise (files_error(error, [path for paths in files.values() for path in paths]) or error) from error
        finally:
            sql.close()
        return steps


@dataclass(frozen=True)
class _Reading:
    """How the rows of a step are read: from where, which of them, in which order, with which timestamps."""

    source: str
    where: str = "true"
    order: tuple[str, ...] = (ROW,)
    timestamps: Mapping[str, str] = field(default_factory=dict)
    happened: str = "true"  # whether a row's values count


def step_rows(sql: duckdb.DuckDBPyConnection, step: Step, span: Span, view: str, only: str = "") -> Table:
    """Return the rows of a step in a view of its table; ``only`` names a table with the keys that are wanted."""
    types = {name: dtype for name, dtype, *_ in sql.execute(f"DESCRIBE {view}").fetchall()}
    reading, values = _reading(step, view, span), step.reads() if isinstance(step, Windows) else step.columns
    keys = {name: f"{_key(name, types[name])} AS __k{number}" for number, name in enumerate(step.key.table)}
    own = (step.own or ()) if isinstance(step, Windows) else ()
    exact = [
        name for name in values if isinstance(step, Windows) and name not in own and scale_of(types[name]) is not None
    ]
    kept = {name: _key(name, types[name]) if name in own else _stored(name, types[name]) for name in values}
    kept |= {name: stored(name, types[name]) for name in exact}
    shown = {
        name: f"CASE WHEN {reading.happened} THEN {kept[name]} END AS __c{number}" for number, name in enumerate(values)
    }
    among = f" SEMI JOIN {only} USING ({', '.join(map(column, step.key.table))})" if only and step.key.table else ""
    timestamps = {name: f"{timestamp} AS {name}" for name, timestamp in reading.timestamps.items()}
    arrays = sql.execute(
        f"SELECT {', '.join([*keys.values(), *shown.values(), *timestamps.values()])} FROM {reading.source}{among} "
        f"WHERE {reading.where} ORDER BY {', '.join(reading.order)}"
    ).fetchnumpy()
    return Table(
        table_of(step),
        {name: _whole(arrays[f"__k{number}"], types[name]) for number, name in enumerate(keys)},
        {
            name: fetched(name, arrays[f"__c{number}"], types[name] if name in exact else "")
            for number, name in enumerate(shown)
        }
        | {name: arrays[name].astype(np.int64) for name in timestamps},
    )


def step_keys(sql: duckdb.DuckDBPyConnection, step: Step, view: str, keys: str) -> list[Any]:
    """Return keys of a step that a table of the database lists, one array a key column, as a store is asked for them.

    The types are those of the step's own ``view``.
    """
    types = {name: dtype for name, dtype, *_ in sql.execute(f"DESCRIBE {view}").fetchall()}
    shown = [f"{_key(name, types[name])} AS __k{number}" for number, name in enumerate(step.key.table)]
    arrays = sql.execute(f"SELECT {', '.join(shown)} FROM {keys}").fetchnumpy()
    return [_whole(arrays[f"__k{number}"], types[name]) for number, name in enumerate(step.key.table)]


def _reading(step: Step, view: str, span: Span) -> _Reading:
    since, until = microseconds_of(span.since), microseconds_of(span.until)
    if isinstance(step, Windows):
        first = since - microseconds(step.longest())
        if step.by_version:
            made = f"({versions(view, step.corrected, step.known_at, until)})"
            timestamps = {AT: KNOWN, UNTIL: f"coalesce({NEXT}, {FOREVER})", PLACE: PLACED}
            return _Reading(made, f"{PLACED} >= {first}", (PLACED, FIRST, KNOWN, ROW), timestamps, HAPPENED)
        at = known(step.known_at)
        return _Reading(view, f"{at} < {until} AND {at} >= {first}", (at, ROW), {AT: at})
    if isinstance(step, AsOfLookup):
        opens, first = f"{ARRIVED} + {microseconds(step.lag)}", since - microseconds(step.tolerance)
        where = f"{ARRIVED} < {until} AND {opens} >= {first} AND {in_time(step)}"
        return _Reading(view, where, (opens, ROW), {AT: opens})
    return _Reading(view)


def _key(name: str, dtype: str) -> str:
    """Return a key as a snapshot keeps it: the view has whole numbers as such; a date is asked for as text."""
    return f"{column(name)}::VARCHAR" if dtype in ("DATE", "HUGEINT") else _stored(name, dtype)


def _whole(values: Any, dtype: str) -> Any:
    """Return keys, whole numbers of more than 64 bits as such."""
    if dtype != "HUGEINT":
        return values
    missing = np.ma.getmaskarray(values).tolist()
    listed = np.ma.getdata(values).tolist()
    return np.array([None if gone else int(value) for value, gone in zip(listed, missing, strict=True)], object)


def _stored(name: str, dtype: str) -> str:
    """Return a column in one of the types that a snapshot has; whole numbers stay whole."""
    value, kind = column(name), kind_of(dtype)
    if kind == "number" and dtype not in ("FLOAT", "DOUBLE", "UBIGINT"):
        return f"{value}::{'DOUBLE' if dtype.startswith('DECIMAL') else 'BIGINT'}"
    if kind in ("number", "boolean"):
        return value
    return f"epoch_us({value})" if kind == "timestamp" else f"{value}::VARCHAR"  # as different as the values
