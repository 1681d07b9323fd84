"""How a DuckDB connection is opened: in memory, no extension fetched, no progress bar."""

from __future__ import annotations

import duckdb


def connect(threads: int | None = None, *, finite: bool = False, joins: bool = True) -> duckdb.DuckDBPyConnection:
    """Return a connection to an empty in-memory database that reaches no network.

    ``finite`` tells that every float is read through a view without NaN. Without ``joins`` nobody looks for the best
    order of joins: for many of one row each, as scalar subqueries are, that takes longer than the query.
    """
    connection = duckdb.connect(":memory:")
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET enable_progress_bar = false")
    # Parquet statistics leave NaN out: from their bounds DuckDB 2.0 answers isnan() and
    # comparisons without looking at the values.
    left_out = ([] if finite else ["statistics_propagation"]) + ([] if joins else ["join_order"])
    if left_out:
        connection.execute(f"SET disabled_optimizers = '{','.join(left_out)}'")
    if threads is not None:
        connection.execute(f"SET threads = {int(threads)}")
    return connection
