"""What a build refuses before it computes: keys that stand twice, rows that come too late or belong to none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb

from leverframe.adapters.duckdb.sql import column, microseconds
from leverframe.adapters.duckdb.versions import PLACE, versions
from leverframe.domain.data.times import EVENT_TIME
from leverframe.domain.features.build import duplicate_key, known_too_late
from leverframe.domain.features.plan import Corrected, LabelStep, Windows
from leverframe.errors import LabelError, SourceError


def refuse_duplicates(sql: duckdb.DuckDBPyConnection, table: str, key: Sequence[str], what: str) -> None:
    """Raise ``SourceError`` for a key that stands more than once."""
    duplicate = _first(sql, table, key, "count(*)")
    if duplicate:
        raise duplicate_key(what, key, duplicate)


def refuse_moved(sql: duckdb.DuckDBPyConnection, view: str, table: str, corrected: Corrected) -> None:
    """Raise ``SourceError`` for versions of one row that happened at two timestamps: they may lie in two partitions."""
    moved = _first(sql, view, corrected.key, f"count(DISTINCT {EVENT_TIME})")
    if moved:
        raise SourceError(
            f"versions of one row of `{table}` differ in event_time",
            why=f"({_quoted(corrected.key)}) = {moved[:-1]} has {moved[-1]}; versions in two partitions do not meet",
            next="keep the event_time of the first version in sources.py, or give the row another key",
        )


def refuse_late(sql: duckdb.DuckDBPyConnection, step: Windows, view: str = "") -> None:
    """Raise ``SourceError`` for events that became known more than ``max_lag`` after they happened.

    ``view`` is of the rows that are looked at, by default all of the table.
    """
    # Only the first version has to come in time: the others add no event.
    table = f"({versions(view or column(f't_{step.table}'), step.corrected, step.known_at)})"
    lag = f"{PLACE} - epoch_us({EVENT_TIME})"
    query = f"SELECT count(*), max({lag}) FROM {table} WHERE {lag} > {microseconds(step.max_lag)}"
    late, worst = sql.execute(query).fetchone() or (0, None)
    if late:
        raise known_too_late(step, late, worst)


def refuse_orphans(sql: duckdb.DuckDBPyConnection, label: LabelStep, table: str, spine: str) -> None:
    """Raise ``LabelError`` for labels that belong to no row of the table ``spine``."""
    key = _quoted(label.key.table)
    query = f"SELECT {key} FROM {table} ANTI JOIN spine USING ({key}) ORDER BY ALL"
    (orphans,) = sql.execute(f"SELECT count(*) FROM ({query})").fetchone() or (0,)
    if orphans:
        example = sql.execute(f"{query} LIMIT 1").fetchone()
        raise LabelError(
            f"{orphans} rows of label `{label.name}` belong to no row of `{spine}`",
            why=f"for example ({key}) = {example}: the label's table and the spine do not agree",
            next="fix the key in sources.py; event_time of a label must lie in the partition of its row",
        )


def _first(sql: duckdb.DuckDBPyConnection, table: str, key: Sequence[str], count: str) -> tuple[Any, ...] | None:
    """Return the first key without a null of which there are several, and how many."""
    names = _quoted(key)
    known = " AND ".join(f"{column(name)} IS NOT NULL" for name in key)
    query = f"SELECT {names}, {count} AS __n FROM {table} WHERE {known} GROUP BY {names} HAVING __n > 1"
    row = sql.execute(f"{query} ORDER BY ALL LIMIT 1").fetchone()
    return tuple(row) if row else None


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(column(name) for name in names)
