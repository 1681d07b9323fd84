"""How a DuckDB connection is opened: in memory, no extension fetched, no progress bar."""

from __future__ import annotations

import duckdb


def connect(threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """Return a connection to an empty in-memory database that reaches no network."""
    connection = duckdb.connect(":memory:")
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET enable_progress_bar = false")
    # Parquet statistics leave NaN out: from equal bounds DuckDB 2.0 concludes that a column is
    # constant, and answers even isnan() without looking at the values.
    connection.execute("SET disabled_optimizers = 'statistics_propagation'")
    if threads is not None:
        connection.execute(f"SET threads = {int(threads)}")
    return connection
