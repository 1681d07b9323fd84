"""Sums up a table for comparisons to come: cells of hashes and counts a bin, each in one query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import duckdb

from leverframe.adapters.duckdb.connection import connect
from leverframe.adapters.duckdb.sql import FLOATS, column, files_error, parquet, text
from leverframe.domain.data.sketch import (
    CELLS,
    CHECK_BITS,
    HASHES,
    ROW_BITS,
    TABLES_OF_CELLS,
    TEXT_BINS,
    Cell,
    Distribution,
    Grid,
    Sketch,
    cells,
    strata,
)

_KEY_BITS = 64 - ROW_BITS


class DuckDBSketcher:
    """The ``Sketcher`` port: MD5 of the values as text, so that no version of DuckDB changes a hash."""

    @cached_property
    def _database(self) -> duckdb.DuckDBPyConnection:
        """Opened once: that takes as long as the sketch of a small table."""
        database = connect()
        database.execute("SET TimeZone = 'UTC'; SET max_expression_depth = 1000000")  # the query grows with the columns
        return database

    def sketch(self, path: Path, key: Sequence[str]) -> Sketch:
        """Return the sketch of a table; raises ``SourceError`` for a file that cannot be read."""
        with self._database.cursor() as sql:
            try:
                types = _types(sql, path)
                known = tuple(key) if set(key) <= set(types) else ()
                (rows,) = sql.execute(f"SELECT count(*) FROM {parquet([path])}").fetchone() or (0,)
                many = strata(rows)
                records = sql.execute(_cells(path, types, known, many)).fetchall()
            except duckdb.Error as error:
                raise files_error(error, [path]) or error from error
        filled = [[Cell()] * (cells(number) * TABLES_OF_CELLS) for number in range(many)]
        sizes, keys = [0] * many, [0] * many
        for stratum, table, spot, count, element, check in records:
            if table is None:
                sizes[stratum], keys[stratum] = count, element
            else:
                filled[stratum][table * cells(stratum) + spot] = Cell(count % 256, element, check)
        return Sketch(known, tuple(sizes), tuple(keys), tuple(map(tuple, filled)))

    def distributions(self, path: Path, grids: Mapping[str, Grid]) -> dict[str, Distribution]:
        """Return the counts of every column; raises ``SourceError`` for a file that cannot be read."""
        with self._database.cursor() as sql:
            try:
                types = _types(sql, path)
                return {
                    name: Distribution(grid, _counts(sql, path, name, types[name], grid))
                    for name, grid in grids.items()
                }
            except duckdb.Error as error:
                raise files_error(error, [path]) or error from error


def _types(sql: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:
    return {name: type_ for name, type_, *_ in sql.execute(f"DESCRIBE FROM {parquet([path])}").fetchall()}


def _cells(path: Path, types: Mapping[str, str], key: Sequence[str], many: int) -> str:
    """Return the query of the cells that are not empty, and of rows and sum of keys of each stratum (without a table).

    Rows that are equal in all columns are numbered, as an even number of them would leave no trace.
    """
    row = _canonical(sorted(types), types)
    mask, last = (1 << _KEY_BITS) - 1, many - 1
    named = _canonical(sorted(key), types) if key else "NULL"
    width = " ".join(f"WHEN {number} THEN {size}" for number, size in enumerate(CELLS[:-1]))
    words = [("up", 16), ("up", 32), ("up", 48), ("low", 0), ("low", 16), ("low", 32)]
    spots = ", ".join(f"(({half} >> {shift}) & 65535::UBIGINT) % m" for half, shift in words)
    stratum = f"CASE WHEN k = 0 THEN {last} ELSE least({last}, bit_count(xor(k, k - 1)) - 1) END"
    return f"""
        WITH texts AS (SELECT md5({named}) AS key, md5({row}) AS row FROM {parquet([path])}),
        counted AS (SELECT key, row, count(*) AS n FROM texts GROUP BY ALL),
        numbered AS (SELECT key, row || ':' || unnest(range(n)) AS row FROM counted),
        hashed AS (
            SELECT md5_number_lower(coalesce(key, row)) & {mask}::UBIGINT AS k,
                md5_number_upper(coalesce(key, row)) AS h,
                md5_number_lower(row) & {(1 << ROW_BITS) - 1}::UBIGINT AS r FROM numbered),
        elements AS MATERIALIZED (
            SELECT {stratum} AS stratum, (k * {1 << ROW_BITS}::UBIGINT) + r AS e, h FROM hashed),
        spread AS (
            SELECT stratum, e, md5_number_upper(e::VARCHAR) AS up, md5_number_lower(e::VARCHAR) AS low,
                CASE stratum {width} ELSE {CELLS[-1]} END::UBIGINT AS m FROM elements),
        placed AS (
            SELECT stratum, e, up & {(1 << CHECK_BITS) - 1}::UBIGINT AS c,
                unnest({list(range(TABLES_OF_CELLS))}) AS "table", unnest([{spots}]) AS spot
            FROM spread)
        SELECT stratum::INTEGER, "table", spot::INTEGER, count(*), bit_xor(e), bit_xor(c) FROM placed GROUP BY ALL
        UNION ALL
        SELECT stratum::INTEGER, NULL, NULL, count(*), (sum(h) % {HASHES}::HUGEINT)::UBIGINT, NULL
        FROM elements GROUP BY stratum
    """


def _canonical(names: Sequence[str], types: Mapping[str, str]) -> str:
    """Return the values of columns as one text that no other values have; a null is not an empty text."""
    parts = []
    for name in names:
        value = column(name)
        # NaN has many bit patterns and the two zeros are equal
        shown = f"CASE WHEN {value} = 0 THEN '0.0' ELSE {value}::VARCHAR END" if types[name] in FLOATS else value
        shown = f"({shown})::VARCHAR"
        parts.append(f"{text(f'{len(name)}:{name}=')} || coalesce(length({shown}) || ':' || {shown}, '-')")
    return f"concat({', '.join(parts)})"


def _counts(sql: duckdb.DuckDBPyConnection, path: Path, name: str, type_: str, grid: Grid) -> tuple[int, ...]:
    value = column(name)
    known = f"isfinite({value})" if type_ in FLOATS else f"{value} IS NOT NULL"
    match grid.kind:
        case "number":
            bin_ = f"floor({value}::DOUBLE / pow(2.0, {grid.exponent}))"
            place = f"greatest({grid.first - 1}::DOUBLE, least({grid.last + 1}::DOUBLE, {bin_})) - ({grid.first - 1})"
        case "text":
            place = f"md5_number_lower({value}::VARCHAR) % {TEXT_BINS}"
        case _:
            place = value
    query = f"SELECT ({place})::INTEGER, count(*) FROM {parquet([path])} WHERE {known} GROUP BY ALL"
    counts = dict(sql.execute(query).fetchall())
    return tuple(counts.get(number, 0) for number in range(grid.bins))
