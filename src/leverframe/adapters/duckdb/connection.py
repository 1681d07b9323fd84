"""How a DuckDB connection is opened: in memory, no extension fetched, no progress bar."""

from __future__ import annotations

import duckdb


def connect(threads: int | None = None, *, finite: bool = False) -> duckdb.DuckDBPyConnection:
    """Return a connection to an empty in-memory database that reaches no network.

    ``finite`` tells that every float is read through a view without NaN.
    """
    connection = duckdb.connect(":memory:")
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET enable_progress_bar = false")
    if not finite:
        # Parquet statistics leave NaN out: from their bounds DuckDB 2.0 answers isnan() and
        # comparisons without looking at the values.
        connection.execute("SET disabled_optimizers = 'statistics_propagation'")
    if threads is not None:
        connection.execute(f"SET threads = {int(threads)}")
    return connection
