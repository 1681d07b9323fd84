"""How a table's files become one view: rows numbered, NaN and infinity as null, calendar columns added."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from leverframe.adapters.duckdb.relations import FILE, PLACE, Relation, relation
from leverframe.adapters.duckdb.sql import column, microseconds, text
from leverframe.domain.data.column_types import EXACT, LARGE_KEY, floating, inexact_key, kind
from leverframe.domain.data.times import EVENT_TIME, KNOWN_AT, TIMESTAMP
from leverframe.domain.features.build import added_up
from leverframe.domain.features.plan import AsOfLookup, Plan

ROW = "__row"  # place of a row in its table: the tie-breaker, and the order of the spine
ARRIVED = "__arrived"  # microseconds: the later of event_time and known_at, null where either is
_NEVER = "NULL::VARCHAR"  # of a key without a value: it matches nothing, and compares with keys of any type
_FILE = 2**36  # rows that a file may have before its numbers run into those of the next

_CALENDAR = {
    "hour": "hour({local})",
    "weekday": "isodow({local}) - 1",
    "day": "day({local})",
    "day_of_year": "dayofyear({local})",
    "month": "month({local})",
}


def known(known_at: str, table: str = "") -> str:
    """Return since when a row counts, in microseconds: the latest of event, arrival and the fact's column.

    Null without the fact's column. ``table`` is an alias with its dot.
    """
    time = f"{table}{column(known_at)}"
    arrived = f"{table}{ARRIVED}"
    return f"CASE WHEN {time} IS NOT NULL AND {arrived} IS NOT NULL THEN greatest(epoch_us({time}), {arrived}) END"


def in_time(step: AsOfLookup) -> str:
    """Return whether a row arrived while it could still be used."""
    return f"{ARRIVED} - epoch_us({EVENT_TIME}) <= {microseconds(step.tolerance)}"


def create_view(
    connection: duckdb.DuckDBPyConnection, plan: Plan, name: str, table: str, paths: Sequence[Path]
) -> None:
    """Create the view ``name`` over the files ``paths`` of ``table``, in their order.

    Raises ``SourceError`` for columns that cannot be read as one table, and for a key that is not exact.
    """
    source = relation(connection, paths, added_up(plan, table))
    columns, keys = dict(source.types), plan.keys_of(table)
    # A time that no row of these files has counts as never, whatever its type: others of the table were checked.
    times = plan.times().get(table, ())
    columns |= {time: "never" for time in times if time in columns and kind(columns[time]) != TIMESTAMP}
    shown = [
        f"{_key(connection, source, field, table) if field in keys else _value(field, dtype)} AS {column(field)}"
        for field, dtype in columns.items()
    ]
    if EVENT_TIME in columns and plan.timezone:
        local = f"({EVENT_TIME} AT TIME ZONE {text(plan.timezone)})"
        parts = [part for part in plan.calendar if part not in columns]
        shown += [f"{_CALENDAR[part].format(local=local)} AS {column(part)}" for part in parts]
    if EVENT_TIME in columns and KNOWN_AT in columns:  # `greatest` would skip a null
        both = f"greatest(epoch_us({EVENT_TIME}), epoch_us({KNOWN_AT}))"
        shown.append(f"CASE WHEN {EVENT_TIME} IS NOT NULL AND {KNOWN_AT} IS NOT NULL THEN {both} END AS {ARRIVED}")
    row = f"{FILE} * {_FILE} + {PLACE} AS {ROW}"
    connection.execute(f"CREATE TEMP VIEW {column(name)} AS SELECT {', '.join([*shown, row])} FROM ({source.sql})")


def _value(name: str, dtype: str) -> str:
    """Return a column, NaN and infinity as null: they are no values, for no engine and no source.

    Parquet's statistics leave NaN out, and DuckDB 2.0 answers isnan() from them; of a quotient it knows none.
    """
    value = column(name)
    if dtype == "never":
        return "NULL::TIMESTAMPTZ"
    if dtype == "int128":  # of signed and unsigned files; a file would hold it as doubles
        return f"{value}::DECIMAL(38, 0)"
    return f"CASE WHEN isfinite({value} / 2) THEN {value} END" if floating(dtype) else value


def _key(connection: duckdb.DuckDBPyConnection, source: Relation, name: str, table: str) -> str:
    """Return a key column as it is compared: doubles and decimals that are whole numbers as such.

    Raises ``SourceError`` for doubles of which several numbers may have become one, and for decimals with a fraction.
    """
    value, dtype = column(name), source.types[name]
    shown = _value(name, dtype)
    if dtype == "text":
        return value
    if not floating(dtype) and not dtype.startswith("decimal"):
        known = connection.execute(f"SELECT count({value}) FROM ({source.sql})").fetchone()
        return _NEVER if known == (0,) else value
    counts = f"count(*) FILTER (v <> trunc(v)), count(*) FILTER (abs(v) >= {EXACT}), min(v), max(v)"
    query = f"SELECT {counts} FROM (SELECT {shown} AS v FROM ({source.sql}))"
    fractions, large, least, most = connection.execute(query).fetchone() or (0, 0, None, None)
    if large and floating(dtype):
        raise inexact_key(name, table, dtype, LARGE_KEY)
    if fractions and not floating(dtype):
        raise inexact_key(name, table, dtype, "decimals with a fraction are not equal to doubles of the same digits")
    if least is None:
        return _NEVER
    if fractions:
        return shown
    return f"({shown})::{_whole(int(least), int(most), name, table)}"


def _whole(least: int, most: int, name: str, table: str) -> str:
    """Return the type of whole numbers; raises ``SourceError`` where a file could hold none."""
    if least >= -(2**63) and most < 2**63:
        return "BIGINT"
    if least >= 0 and most < 2**64:
        return "UBIGINT"
    raise inexact_key(name, table, "decimal", f"its values go from {least} to {most}, and a key has at most 64 bits")
