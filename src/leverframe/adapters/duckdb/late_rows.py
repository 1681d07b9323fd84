"""How many rows of an ingested table arrive later than their event."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from leverframe.adapters.duckdb.connection import connect
from leverframe.adapters.duckdb.sql import text
from leverframe.domain.data.times import EVENT_TIME, KNOWN_AT


def late_share(files: Sequence[Path]) -> float | None:
    """Return the share of rows whose arrival is after their event; None without a file that can be read, or a row."""
    paths = ", ".join(text(str(file)) for file in files)
    query = f"SELECT avg(CAST({KNOWN_AT} > {EVENT_TIME} AS INTEGER)) FROM read_parquet([{paths}])"
    try:
        with connect() as connection:
            ((share,),) = connection.execute(query).fetchall()
    except duckdb.Error:
        return None
    return None if share is None else float(share)
