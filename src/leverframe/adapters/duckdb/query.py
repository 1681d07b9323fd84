"""Any table that DuckDB can read, as an Arrow table for the frames of ingest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from leverframe.adapters.duckdb.connection import connect
from leverframe.adapters.duckdb.sql import column, text
from leverframe.errors import SourceError
from leverframe.words import first_line


def arrow_table(sql: str, database: str | None) -> Any:
    """Return the rows of a SELECT, or of the table so named, as an Arrow table.

    ``database`` is a DuckDB file, attached read-only. Raises ``SourceError``.
    """
    connection = connect()
    try:
        if database is not None:
            connection.execute(f"ATTACH {text(database)} AS source (READ_ONLY)")
            connection.execute("USE source")
        select = sql if " " in sql.strip() else f"SELECT * FROM {column(sql.strip())}"
        return connection.sql(select).to_arrow_table()
    except duckdb.Error as error:
        raise SourceError(
            f"cannot read `{sql[:80]}`" + (f" from {database}" if database else ""),
            why=first_line(error)[:300],
            next="try the same statement with DuckDB, then fix the source in sources.py",
        ) from error
    finally:
        connection.close()


def select_of(path: Path) -> str:
    """Return the SELECT that reads a file, or all that a pattern fits, by its ending: Parquet, CSV or JSON lines."""
    name = path.name.lower().removesuffix(".gz")
    readers = {".parquet": "read_parquet", ".csv": "read_csv", ".tsv": "read_csv"}
    return f"SELECT * FROM {readers.get(Path(name).suffix, 'read_json')}({text(str(path))})"
