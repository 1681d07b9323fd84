"""The rows of a snapshot, read with DuckDB through the same views as a build."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import numpy as np

from leverframe.adapters.duckdb.connection import connect
from leverframe.adapters.duckdb.sql import column, files_error, kind_of, microseconds
from leverframe.adapters.duckdb.views import ROW, create_view
from leverframe.domain.build.online import AT, Span, microseconds_of, table_of
from leverframe.domain.build.plan import AsOfLookup, Plan, Step, Windows
from leverframe.domain.build.run import KNOWN_AT, Files
from leverframe.domain.snapshot import Table

_STORED = {"number": "DOUBLE", "text": "VARCHAR", "boolean": "BOOLEAN"}


class DuckDBSnapshooter:
    """The ``Snapshooter`` port."""

    def tables(self, plan: Plan, files: Files, span: Span) -> Iterator[Table]:
        """Return a table a step; raises ``SourceError`` for a damaged file."""
        sql = connect(finite=True)
        try:
            for table, paths in files.items():
                create_view(sql, plan, f"t_{table}", paths)
            for step in plan.steps:
                yield _table(sql, step, span)
        except duckdb.Error as error:
            raise (files_error(error, [path for paths in files.values() for path in paths]) or error) from error
        finally:
            sql.close()


def _table(sql: duckdb.DuckDBPyConnection, step: Step, span: Span) -> Table:
    types = {name: dtype for name, dtype, *_ in sql.execute(f"DESCRIBE {column(f't_{step.table}')}").fetchall()}
    values = _values(step)
    selected = [f"{_stored(name, types[name])} AS k{number}" for number, name in enumerate(step.key.table)]
    selected += [f"{_stored(name, types[name])} AS c{number}" for number, name in enumerate(values)]
    moment = _moment(step)
    where = "true"
    if moment:
        known, opens, length = moment
        selected.append(f"{opens} AS {AT}")
        first = microseconds_of(span.since) - length
        where = f"{known} < {microseconds_of(span.until)} AND {opens} >= {first}"
    query = f"SELECT {', '.join(selected)} FROM {column(f't_{step.table}')} WHERE {where}"
    found = sql.execute(f"{query} ORDER BY {AT}, {ROW}" if moment else f"{query} ORDER BY {ROW}").fetchnumpy()
    keys = {name: found[f"k{number}"] for number, name in enumerate(step.key.table)}
    columns = {name: found[f"c{number}"] for number, name in enumerate(values)}
    return Table(table_of(step), keys, columns | ({AT: found[AT].astype(np.int64)} if moment else {}))


def _values(step: Step) -> Sequence[str]:
    if isinstance(step, Windows):
        return tuple(dict.fromkeys(each.column for each in step.aggregates))
    return step.columns


def _moment(step: Step) -> tuple[str, str, int] | None:
    """Return when a row is known, when it begins to count, and for how long; None without time."""
    if isinstance(step, Windows):
        known = f"epoch_us({column(step.known_at)})"
        return known, known, microseconds(step.longest())
    if isinstance(step, AsOfLookup):
        known = f"epoch_us({KNOWN_AT})"
        return known, f"{known} + {microseconds(step.lag)}", microseconds(step.tolerance)
    return None


def _stored(name: str, dtype: str) -> str:
    """Return a column in one of the types that a snapshot has; whole numbers stay whole."""
    if dtype in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"):
        return f"{column(name)}::BIGINT"
    if dtype in ("FLOAT", "DOUBLE"):
        return column(name)
    stored: Any = _STORED.get(kind_of(dtype))
    return f"{column(name)}::{stored}" if stored else f"epoch_us({column(name)})"
