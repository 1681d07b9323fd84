"""Where each feature of one row came from, counted apart from the kernels that built it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb

from leverframe.adapters.duckdb.connection import connect
from leverframe.adapters.duckdb.relations import PLACE as IN_FILE
from leverframe.adapters.duckdb.relations import relation
from leverframe.adapters.duckdb.sql import column, files_error, microseconds
from leverframe.adapters.duckdb.versions import HAPPENED, KNOWN, PLACE, UNTIL, versions
from leverframe.adapters.duckdb.views import ARRIVED, create_view, in_time
from leverframe.domain.features.build import Files
from leverframe.domain.features.plan import AsOfLookup, Lookup, Plan, Step, Windows
from leverframe.domain.features.star_picture import Origin
from leverframe.errors import SourceError


def provenance(plan: Plan, built: Path, files: Files, row: int) -> list[Origin]:
    """Return the origin of each feature of the ``row``-th row of a built partition; the first row is 0.

    Raises ``SourceError`` when the partition has no such row.
    """
    connection = connect()
    try:
        for table, paths in files.items():
            create_view(connection, plan, f"t_{table}", table, paths)
        values = _row(connection, built, row)
        own = [*plan.spine_features, *plan.calendar]
        origins = [Origin(name, _shown(values[name]), plan.spine, "", 1, None, None) for name in own]
        return origins + [origin for step in plan.steps for origin in _origins(connection, step, values)]
    except duckdb.Error as error:
        raise (files_error(error, [built, *(path for paths in files.values() for path in paths)]) or error) from error
    finally:
        connection.close()


def _row(connection: duckdb.DuckDBPyConnection, built: Path, row: int) -> dict[str, Any]:
    result = connection.execute(
        f"SELECT *, epoch_us(as_of) AS __at FROM ({relation(connection, [built]).sql}) WHERE {IN_FILE} = {int(row)}"
    )
    names, values = [field[0] for field in result.description or []], result.fetchone()
    if values is None:
        raise SourceError(
            f"{built} has no row {row}",
            why="rows are counted from 0 in the order of the spine",
            next="name a smaller row",
        )
    return dict(zip(names, values, strict=True))


def _origins(connection: duckdb.DuckDBPyConnection, step: Step, values: dict[str, Any]) -> list[Origin]:
    keys = [values[name] for name in step.key.spine]
    where = [f"{column(name)} = ?" for name in step.key.table]
    key, at = ", ".join(_shown(value) for value in keys), int(values["__at"])
    origins = []
    for name, read, opens in _reads(step, at):
        table, timestamp, bounds, given = column(f"t_{step.table}"), "NULL::BIGINT", [], keys
        if isinstance(step, Windows):
            table, timestamp = f"({versions(table, step.corrected, step.known_at, before=at)})", KNOWN
            bounds = [f"{PLACE} >= {opens}", f"{UNTIL} IS NULL", HAPPENED, f"{column(read)} IS NOT NULL"]
            if step.own:
                same = " AND ".join(f"{column(field)} = ?" for field in step.own)
                bounds, given = (
                    [*bounds, f"NOT coalesce({same}, false)"],
                    [*keys, *(values[field] for field in step.own)],
                )
        elif isinstance(step, AsOfLookup):
            timestamp = ARRIVED
            bounds = [f"{timestamp} >= {opens}", f"{timestamp} + {microseconds(step.lag)} < {at}", in_time(step)]
        query = (
            f"SELECT count(*), make_timestamp(max({timestamp}))::VARCHAR, make_timestamp({opens})::VARCHAR "
            f"FROM {table} WHERE {' AND '.join([*where, *bounds]) or 'true'}"
        )
        rows, newest, opened = connection.execute(query, given).fetchone() or (0, None, None)
        origins.append(Origin(name, _shown(values[name]), step.table, key, rows, opened, newest))
    return origins


def _reads(step: Step, at: int) -> list[tuple[str, str, str]]:
    """Return for each feature its name, the column it reads, and where its window opens."""

    def before(length: timedelta) -> str:
        return str(at - microseconds(length))

    if isinstance(step, Windows):
        return [(aggregate.name, aggregate.column, before(aggregate.window)) for aggregate in step.aggregates]
    assert isinstance(step, Lookup)  # noqa: S101 - the plan has no other step
    if isinstance(step, AsOfLookup):
        opens = before(step.tolerance + step.lag)
        return [(f"{step.name}_{name}", name, opens) for name in step.columns]
    return [(f"{step.name}_{name}", name, "NULL::BIGINT") for name in step.columns]


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
