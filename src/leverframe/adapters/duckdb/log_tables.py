"""Tables of requests, a row each, in SQL: Parquet, CSV, and flat JSON of servers that are not Leverframe's.

Which column is what is a setting. A type decides how a value is read: a column of texts in Parquet is never taken for
numbers, in CSV everything is text and is read as what it says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import duckdb
import pyarrow as pa

from leverframe.adapters.duckdb.log_records import row_hash
from leverframe.adapters.duckdb.request_batches import (
    OURS,
    Tally,
    boolean,
    key,
    number,
    places,
    timestamp,
    what_of_time,
)
from leverframe.adapters.duckdb.sql import column, kind_of, text
from leverframe.domain.monitoring.log_query import LogFile, LogQuery
from leverframe.domain.monitoring.monitored_column import MonitoredColumn

ROWS = 122_880  # of a batch: a row group of DuckDB
_TEXT = "VARCHAR"  # of CSV and JSON, where a text may be a number


def flat(query: LogQuery, held: Mapping[str, str], source: str, *, loose: bool) -> str:
    """Return the SELECT of rows of requests out of ``source``, whose columns have the types ``held``.

    ``loose`` tells that texts may be numbers.
    """
    names = query.names
    since, _ = query.bounds
    shown = [
        f"{microseconds(names.time, held, loose=loose)} AS us",
        "0::BIGINT AS i",
        text("".join("1" if field.name in held else "0" for field in query.columns)) + " AS present",
        f"left({level(names.release, held)}, 100) AS release",
        f"{_number(names.milliseconds, held, loose=loose)} AS milliseconds",
        "NULL::BIGINT AS snapshot",
        "NULL::VARCHAR AS missed",
        row_hash(level(names.id, held), "0"),
        *_predictions(query, held, loose=loose),
        *([key([level(names.id if name == "id" else name, held) for name in query.keys])] if query.keys else []),
        *(f"{_asked_value(field, query, held, loose=loose)} AS {places(query)[field.name]}" for field in query.columns),
    ]
    what = f"CASE {what_of_time('us', query)} WHEN us >= {since} THEN {OURS} END AS what"
    inner = f"SELECT {', '.join(shown)} FROM {source}"
    read = f"SELECT * EXCLUDE (us), CASE WHEN what = {OURS} THEN us END AS us, '' AS name, 1::BIGINT AS n"
    return f"{read} FROM (SELECT *, {what} FROM ({inner})) WHERE what IS NOT NULL"


def structure(query: LogQuery, keys: set[str]) -> dict[str, str]:
    """Return the types in which members of a flat object are read: numbers and times stay JSON."""
    names = query.names
    texts = {field.name for field in query.columns if field.name not in query.numbers} | {names.id, names.release}
    texts |= set(query.keys) - query.numbers
    return {key: _TEXT if key in texts else "JSON" for key in sorted(asked(query) & keys)}


def flat_lines(query: LogQuery, keys: set[str]) -> str:
    """Return the SELECT of rows of requests over ``lines`` of flat JSON objects with ``keys``."""
    types = structure(query, keys)
    shown = ", ".join(f"r.{column(key)} AS {column(key)}" for key in types)
    parsed = f"SELECT from_json(line, {text(json.dumps(types))}) AS r FROM lines WHERE json_type(line) = 'OBJECT'"
    return flat(query, types, f"(SELECT {shown} FROM ({parsed}))", loose=False)


def _path(file: LogFile) -> str:
    """Return a path in SQL as that of one file: DuckDB would take [1] in a name for a pattern."""
    return text(re.sub(r"([*?[])", r"[\1]", str(file.path)))


def parquet_source(file: LogFile) -> str:
    """Return the table function of a Parquet file."""
    return f"read_parquet({_path(file)}, hive_partitioning = false)"


def csv_source(file: LogFile) -> str:
    """Return the table function of a CSV file, whatever its delimiter; see ``rejected``."""
    return (
        f"read_csv({_path(file)}, header = true, all_varchar = true, ignore_errors = true, "
        "store_rejects = true, rejects_limit = 0, hive_partitioning = false, max_line_size = 4000000)"
    )


def rejected(connection: duckdb.DuckDBPyConnection, file: LogFile, tally: Tally) -> None:
    """Count the lines of the CSV file read last that do not fit its header."""
    try:
        (count,) = connection.execute("SELECT count(DISTINCT line) FROM reject_errors").fetchall()[0]
    except duckdb.CatalogException:  # the file was refused before its first line
        return
    if count:
        tally.malformed[file.name] += count
    connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")


def table_rows(
    connection: duckdb.DuckDBPyConnection, query: LogQuery, file: LogFile, tally: Tally, *, csv: bool
) -> Iterator[Any]:
    """Yield the rows of a file; one that lacks the time is noted, ``duckdb.Error`` is of a damaged one."""
    source = csv_source(file) if csv else parquet_source(file)
    held = described(connection, source)
    wrong = lacking(query, held)
    if wrong:
        tally.unreadable[file.name] = wrong
        return
    tally.see(held, asked(query))
    for batch in connection.sql(flat(query, held, source, loose=csv)).to_arrow_reader(ROWS):
        if batch.num_rows:
            yield pa.Table.from_batches([batch])


def described(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, str]:
    """Return the types of columns."""
    rows = connection.sql(f"DESCRIBE SELECT * FROM {source}").fetchall()
    return {name: dtype for name, dtype, *_ in rows}


def asked(query: LogQuery) -> set[str]:
    """Return the columns that are read of a table."""
    names = query.names
    predictions = {names.prediction, *(f"{names.probabilities}{class_name}" for class_name in query.classes)}
    roles = {names.time, names.id, names.release, names.milliseconds, *query.keys} - {None}
    return {str(role) for role in roles} | predictions | {field.name for field in query.columns}


def lacking(query: LogQuery, held: Collection[str]) -> str:
    """Return why a table with these columns holds no requests: it has no time; empty where it has."""
    time = query.names.time
    return "" if time in held else f"it has no column `{time}`, the time of a prediction"


def microseconds(name: str, held: Mapping[str, str], *, loose: bool) -> str:
    """Return SQL of a time in microseconds: timestamps, texts in ISO 8601, or seconds to nanoseconds since 1970."""
    value, dtype = column(name), held[name]
    if dtype.startswith(("TIMESTAMP", "DATE")):
        instant = f"{value}::TIMESTAMPTZ"  # which nanoseconds with a zone must be before DuckDB looks at them
        return f"CASE WHEN isfinite({instant}) THEN epoch_us({instant}) END"
    if dtype == "JSON":
        words, digits = timestamp(f"({value}->>'$')"), _epoch(f"TRY_CAST({value}::VARCHAR AS DOUBLE)")
        return f"coalesce({words}, {digits})"
    if dtype == _TEXT:
        digits = _epoch(f"TRY_CAST({value} AS DOUBLE)") if loose else "NULL"
        return f"coalesce({timestamp(value)}, {digits})"
    return _epoch(f"{value}::DOUBLE") if kind_of(dtype) == "number" else "NULL::BIGINT"


def _epoch(value: str) -> str:
    size = f"CASE WHEN abs({value}) < 1e11 THEN 1e6 WHEN abs({value}) < 1e14 THEN 1e3 " \
           f"WHEN abs({value}) < 1e17 THEN 1 ELSE 1e-3 END"  # fmt: skip
    return f"TRY_CAST({value} * {size} AS BIGINT)"


def _predictions(query: LogQuery, held: Mapping[str, str], *, loose: bool) -> list[str]:
    names = query.names
    given = [f"{names.probabilities}{class_name}" for class_name in query.classes]
    if query.label == "multiclass":
        if any(name in held for name in given):
            return [f"{_number(name, held, loose=loose)} AS p{place}" for place, name in enumerate(given)]
        prediction = level(names.prediction, held)
        return [
            f"CASE WHEN {prediction} IS NOT NULL THEN ({prediction} = {text(class_name)})::DOUBLE END AS p{place}"
            for place, class_name in enumerate(query.classes)
        ]
    one = f"{names.probabilities}1"
    name = one if query.label == "binary" and one in held else names.prediction
    if held.get(name) == "BOOLEAN":
        return [f"{column(name)}::DOUBLE AS p0"]
    return [f"{_number(name, held, loose=loose)} AS p0"]


def _asked_value(field: MonitoredColumn, query: LogQuery, held: Mapping[str, str], *, loose: bool) -> str:
    if field.name in query.numbers:
        return _number(field.name, held, loose=loose)
    read = level(field.name, held)
    return boolean(read) if field.kind == "boolean" else read


def _number(name: str | None, held: Mapping[str, str], *, loose: bool) -> str:
    if name is None or name not in held:
        return "NULL::DOUBLE"
    dtype, value = held[name], column(name)
    if dtype == "JSON":
        return number(f"{value}::VARCHAR")
    if dtype == _TEXT and loose:
        return number(value)
    return f"{value}::DOUBLE" if kind_of(dtype) == "number" else _impossible(value)


def _impossible(value: str) -> str:
    return f"CASE WHEN {value} IS NOT NULL THEN 'infinity'::DOUBLE END"


def level(name: str | None, held: Mapping[str, str]) -> str:
    """Return SQL of a column as text, null where there is no such column."""
    if name is None or name not in held:
        return "NULL::VARCHAR"
    return f"({column(name)}->>'$')" if held[name] == "JSON" else f"{column(name)}::VARCHAR"
