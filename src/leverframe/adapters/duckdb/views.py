"""How a table's files become one view: rows numbered, NaN and infinity as null, calendar columns added."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from leverframe.adapters.duckdb.sql import FLOATS, column, parquet, text
from leverframe.domain.features.build import EVENT_TIME
from leverframe.domain.features.plan import Plan

ROW = "__row"  # place of a row in its table: the tie-breaker, and the order of the spine
_FILE = 2**36  # rows that a file may have before its numbers run into those of the next

_CALENDAR = {
    "hour": "hour({local})",
    "weekday": "isodow({local}) - 1",
    "day": "day({local})",
    "day_of_year": "dayofyear({local})",
    "month": "month({local})",
}


def create_view(connection: duckdb.DuckDBPyConnection, plan: Plan, name: str, paths: Sequence[Path]) -> None:
    """Create the view ``name`` over ``paths``, in their order."""
    described = connection.execute(f"DESCRIBE SELECT * FROM {parquet(paths)}").fetchall()
    columns = {each: dtype for each, dtype, *_ in described}
    # NaN and infinity are no values: every engine and every source must see them as null. Parquet's
    # statistics leave NaN out, and DuckDB 2.0 answers isnan() from them; of a quotient it knows none.
    shown = [
        f"CASE WHEN isfinite({column(each)} / 2) THEN {column(each)} END AS {column(each)}"
        if dtype in FLOATS
        else column(each)
        for each, dtype in columns.items()
    ]
    if EVENT_TIME in columns and plan.timezone:
        local = f"({EVENT_TIME} AT TIME ZONE {text(plan.timezone)})"
        parts = [part for part in plan.calendar if part not in columns]
        shown += [f"{_CALENDAR[part].format(local=local)} AS {column(part)}" for part in parts]
    row = f"file_index::BIGINT * {_FILE} + file_row_number::BIGINT AS {ROW}"
    connection.execute(f"CREATE TEMP VIEW {column(name)} AS SELECT {', '.join(shown)}, {row} FROM {parquet(paths)}")
