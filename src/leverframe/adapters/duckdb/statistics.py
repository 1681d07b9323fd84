"""Counts what a survey of a table asks for, in one DuckDB query and one more for every few columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from leverframe.adapters.duckdb.connection import connect
from leverframe.adapters.duckdb.sql import column, files_error, parquet, text
from leverframe.domain.data.constraint import SAMPLES
from leverframe.domain.data.statistics import (
    QUANTILES,
    ColumnStatistics,
    Count,
    Duplicates,
    Kind,
    PartitionStatistics,
    Question,
    Survey,
    TableStatistics,
)
from leverframe.domain.data.times import EVENT_TIME
from leverframe.errors import SourceError, nearest
from leverframe.words import first_line

_TOP = 5  # most frequent values of a text column
_MEMORY = "300MB"  # of DuckDB: what does not fit goes to the disk
_TOGETHER = 16  # columns whose frequencies are counted in one query
_DEPTH = 1_000_000  # of the query, which grows with the columns of the table
_CHARACTERS = 200  # of a text that leaves the database: enough to tell it apart
_SMALL = 2.0**-100  # the unit in which values are added whose sum no double holds
_FLOATS = ("FLOAT", "DOUBLE")
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_TIMES = ("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Columns = Mapping[str, str]  # name to type


class DuckDBStatistician:
    """The ``Statistician`` port: the same counts whatever the number of ``threads``."""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads

    def measure(self, survey: Survey) -> TableStatistics:
        """Return the counts; raises ``SourceError`` for a file that cannot be read."""
        files = [survey.path, *(path for _, path in survey.history), *survey.others.values()]
        with TemporaryDirectory() as spill, connect(self._threads, joins=False) as sql:
            sql.execute(f"SET TimeZone = 'UTC'; SET temp_directory = {text(spill)}; SET memory_limit = '{_MEMORY}'")
            sql.execute(f"SET max_expression_depth = {_DEPTH}")
            try:
                query = _Query(survey, {path: _columns(sql, path) for path in dict.fromkeys(files)})
                columns = [stats for group, part in query.parts() for stats in query.columns(group, _row(sql, part))]
                return query.statistics(_row(sql, query.sql()), [_finite(sql, survey.path, stats) for stats in columns])
            except duckdb.Error as error:
                raise _told(error, files) from error


def _row(sql: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """Return the one row of a query, with all the memory there is if the usual share is too little."""
    try:
        row = sql.execute(query).fetchone()
    except duckdb.OutOfMemoryException:
        sql.execute("RESET memory_limit")
        row = sql.execute(query).fetchone()
    return tuple(row or ())


def _finite(sql: duckdb.DuckDBPyConnection, path: Path, statistics: ColumnStatistics) -> ColumnStatistics:
    """Return the statistics with the mean of values whose sum is more than a double holds."""
    if statistics.mean is None or math.isfinite(statistics.mean):
        return statistics
    value = f"{column(statistics.name)}::DOUBLE"
    (mean,) = _row(sql, f"SELECT favg({value} * {_SMALL}) FILTER (isfinite({value})) / {_SMALL} FROM {parquet([path])}")
    return replace(statistics, mean=mean)


def _told(error: duckdb.Error, files: Sequence[Path]) -> Exception:
    """Return what a person can act on; the error itself where no file is at fault."""
    words = first_line(error)
    named = next((file for file in files if f'"{file}"' in words or f"'{file}'" in words), None)
    if named is None:
        return files_error(error, files) or error
    return SourceError(
        f"cannot read {named}",
        why=f"the file is damaged: {words[:200]}",
        next="`dvc pull` fetches a good copy, `dvc repro` makes it again",
    )


class _Query:
    """SELECTs of scalar subqueries, and how the single row of each is read."""

    def __init__(self, survey: Survey, schemas: Mapping[Path, Columns]) -> None:
        self._survey = survey
        self._schemas = schemas
        self._columns = schemas[survey.path]
        self._questions = [question for question in survey.questions if set(question.columns) <= set(self._columns)]

    def sql(self) -> str:
        """Return the query."""
        shown = [_aggregates("current", self._columns, []), _daily("current", self._columns, self._survey.timezone)]
        tables = [f"current AS NOT MATERIALIZED (FROM {parquet([self._survey.path])})"]
        for number, (_, path) in enumerate(self._survey.history):
            name, columns = f"earlier_{number}", self._schemas[path]
            tables.append(f"{name} AS NOT MATERIALIZED (FROM {parquet([path])})")
            shown += [_nulls(name, columns), _daily(name, columns, self._survey.timezone)]
        for number, question in enumerate(self._questions):
            tables += self._keys(f"key_{number}", question)
            shown.append(_answer(f"key_{number}", question))
        return f"WITH {', '.join(tables)} SELECT {', '.join(shown)}"

    def parts(self) -> Iterator[tuple[list[str], str]]:
        """Yield groups of columns with the query of their aggregates and, after them, their frequencies.

        One query of all columns would take longest to plan: that time grows faster than their number.
        """
        names = list(self._columns)
        for first in range(0, len(names), _TOGETHER):
            group = names[first : first + _TOGETHER]
            shown = [_aggregates("current", self._columns, group)]
            tables = [f"current AS NOT MATERIALIZED (FROM {parquet([self._survey.path])})"]
            for number, name in enumerate(self._counted(group)):
                type_, value = self._columns[name], column(name)
                known = f"isfinite({value})" if type_ in _FLOATS else f"{value} IS NOT NULL"
                counts = f"SELECT {value} AS v, count(*) AS n FROM current WHERE {known} GROUP BY ALL"
                tables.append(f"values_{number} AS MATERIALIZED ({counts})")
                shown.append(_FREQUENCIES[_kind(type_)](f"values_{number}"))
            yield group, f"WITH {', '.join(tables)} SELECT {', '.join(shown)}"

    def columns(self, group: Sequence[str], row: Sequence[Any]) -> list[ColumnStatistics]:
        """Return what the row of a part says of its columns."""
        aggregates, *frequencies = row
        counted = dict(zip(self._counted(group), frequencies, strict=True))
        return [
            _column(name, self._columns[name], aggregates[f"c{number}"], counted.get(name, {}))
            for number, name in enumerate(group)
        ]

    def _counted(self, group: Sequence[str]) -> list[str]:
        """Return the columns whose values are counted one by one."""
        return [name for name in group if _kind(self._columns[name]) in _FREQUENCIES]

    def _keys(self, name: str, question: Question) -> list[str]:
        """Return the keys that occur with their rows, and those of them that violate the constraint."""
        given = [column(field) for field in question.columns]
        known = " AND ".join(f"{key} IS NOT NULL" for key in given)
        selected = ", ".join(f"{key} AS k{number}" for number, key in enumerate(given))
        keys = f"{name} AS MATERIALIZED (SELECT {selected}, count(*) AS n FROM current WHERE {known} GROUP BY ALL)"
        if isinstance(question, Duplicates):
            return [keys, f"{name}_broken AS (FROM {name} WHERE n > 1)"]
        path = self._survey.others[question.table]
        for reference in question.references:
            _require(reference, self._schemas[path], path)
        # Compared as text, so that a key of another type is an orphan and not a crash.
        equal = " AND ".join(
            f"{name}.k{number}::VARCHAR = other.{column(field)}::VARCHAR"
            for number, field in enumerate(question.references)
        )
        return [keys, f"{name}_broken AS (FROM {name} ANTI JOIN {parquet([path])} other ON {equal})"]

    def statistics(self, row: Sequence[Any], statistics: Sequence[ColumnStatistics]) -> TableStatistics:
        """Return what the row of the query says, and the columns found before."""
        values = iter(row)
        aggregates, daily = next(values), next(values)
        history = []
        for partition, path in self._survey.history:
            nulls, days = next(values), next(values)
            columns = tuple(
                ColumnStatistics(name, type_, _kind(type_), nulls[f"c{number}"])
                for number, (name, type_) in enumerate(self._schemas[path].items())
            )
            history.append(PartitionStatistics(partition, nulls["rows"], columns, _days(days)))
        answers = {question: _count(value) for question, value in zip(self._questions, values, strict=True)}
        newest = _timestamp(aggregates["newest"])
        current = PartitionStatistics(
            self._survey.partition, aggregates["rows"], tuple(statistics), _days(daily), newest
        )
        return TableStatistics(self._survey.table, current, tuple(history), answers)


def _columns(sql: duckdb.DuckDBPyConnection, path: Path) -> Columns:
    """Return the columns of a file, from its footer alone."""
    return {name: type_ for name, type_, *_ in sql.execute(f"DESCRIBE FROM {parquet([path])}").fetchall()}


def _require(name: str, known: Columns, path: Path) -> None:
    if name not in known:
        raise SourceError(
            f"{path} has no column `{name}`",
            why="a foreign key refers to it",
            next=f"fix `references` of the foreign key in contracts.py: {nearest(name, known)}",
        )


def _kind(type_: str) -> Kind:
    if type_ in _FLOATS or type_.startswith("DECIMAL") or type_.removeprefix("U") in _INTEGERS:
        return "number"
    if type_ == "VARCHAR" or type_.startswith("ENUM"):
        return "text"
    if type_ in _TIMES:
        return "time"
    return "boolean" if type_ == "BOOLEAN" else "other"


def _aggregates(table: str, columns: Columns, group: Sequence[str]) -> str:
    """Return the subquery with the rows, the newest timestamp and a struct a column of the group."""
    parts = [f"c{number}: {{{_aggregate(column(name), columns[name])}}}" for number, name in enumerate(group)]
    timestamp = _event_time(columns)
    newest = f"epoch_us(max({timestamp}) FILTER (isfinite({timestamp})))" if timestamp else "NULL"
    return f"(SELECT {{{', '.join(['rows: count(*)', f'newest: {newest}', *parts])}}} FROM {table})"


def _aggregate(name: str, type_: str) -> str:
    nulls = f"nulls: {_null_count(name, type_)}"
    match _kind(type_):
        case "number":
            value = f"{name}::DOUBLE" if type_.startswith("DECIMAL") else name
            finite = f"FILTER (isfinite({name}))" if type_ in _FLOATS else ""
            # favg: a compensated sum, so that the order of threads leaves no trace in 6 digits
            return (
                f"{nulls}, min: min({value}) {finite}, max: max({value}) {finite}, mean: favg({name}::DOUBLE) {finite}"
            )
        case "time":
            shape, finite = text("%Y-%m-%dT%H:%M:%SZ"), f"FILTER (isfinite({name}))"
            return ", ".join(
                [nulls, *(f"{function}: strftime({function}({name}) {finite}, {shape})" for function in ("min", "max"))]
            )
        case "boolean":
            return f"{nulls}, trues: count(*) FILTER ({name})"
        case _:
            return nulls


def _null_count(name: str, type_: str) -> str:
    return f"count(*) FILTER ({name} IS NULL{f' OR isnan({name})' if type_ in _FLOATS else ''})"


def _nulls(table: str, columns: Columns) -> str:
    """Return the subquery with the rows and the nulls of each column."""
    parts = [f"c{number}: {_null_count(column(name), type_)}" for number, (name, type_) in enumerate(columns.items())]
    return f"(SELECT {{rows: count(*), {', '.join(parts)}}} FROM {table})"


def _event_time(columns: Columns) -> str | None:
    """Return the event time as an expression with a zone, or None where the table has no such time."""
    type_ = columns.get(EVENT_TIME, "")
    if not type_.startswith("TIMESTAMP"):
        return None
    return EVENT_TIME if type_.endswith("TIME ZONE") else f"({EVENT_TIME}::TIMESTAMP AT TIME ZONE 'UTC')"


def _daily(table: str, columns: Columns, timezone: str) -> str:
    """Return the subquery with the list of days and their rows."""
    timestamp = _event_time(columns)
    if timestamp is None:
        return "[]"
    day = f"timezone({text(timezone)}, {timestamp})::DATE"
    counts = f"SELECT {day} AS day, count(*) AS n FROM {table} WHERE isfinite({timestamp}) GROUP BY ALL"
    return f"(SELECT list([day::VARCHAR, n::VARCHAR] ORDER BY day) FROM ({counts}))"


def _texts(name: str) -> str:
    """Return the struct with the distinct values of a frequency table and the most frequent of them."""
    top = f"(FROM {name} ORDER BY n DESC, v LIMIT {_TOP})"
    return (
        f"{{'distinct': (SELECT count(*) FROM {name}), "
        f"top: (SELECT list({{v: {_short('v')}, n: n}} ORDER BY n DESC, v) FROM {top})}}"
    )


def _quantiles(name: str) -> str:
    """Return the struct with the exact quantiles of a frequency table.

    Sorted distinct values with their rows are far fewer than the rows, and can leave memory for
    the disk, which the state of an aggregate such as ``quantile_disc`` cannot.
    """
    ranked = f"SELECT v, sum(n) OVER (ORDER BY v ROWS UNBOUNDED PRECEDING) AS upto FROM {name}"
    picked = ", ".join(f"min(v) FILTER (upto >= {share} * total)" for share in QUANTILES)
    return f"{{quantiles: (SELECT [{picked}] FROM ({ranked}), (SELECT sum(n) AS total FROM {name}))}}"


_FREQUENCIES = {"text": _texts, "number": _quantiles}


def _answer(name: str, question: Question) -> str:
    keys = [f"k{number}" for number in range(len(question.columns))]
    order = ", ".join(["n DESC", *keys])
    shown = " || ', ' || ".join(_short(key) for key in keys)
    samples = f"(FROM {name}_broken ORDER BY {order} LIMIT {SAMPLES})"
    return (
        f"{{of: (SELECT coalesce(sum(n), 0)::BIGINT FROM {name}), "
        f"rows: (SELECT coalesce(sum(n), 0)::BIGINT FROM {name}_broken), "
        f"samples: (SELECT list({shown} ORDER BY {order}) FROM {samples})}}"
    )


def _short(value: str) -> str:
    return f"left({value}::VARCHAR, {_CHARACTERS})"


def _count(counts: Mapping[str, Any]) -> Count:
    return Count(counts["rows"], counts["of"], tuple(counts["samples"] or ()))


def _column(name: str, type_: str, aggregates: Mapping[str, Any], frequency: Mapping[str, Any]) -> ColumnStatistics:
    quantiles = frequency.get("quantiles") or ()
    return ColumnStatistics(
        name=name,
        type=type_,
        kind=_kind(type_),
        nulls=aggregates["nulls"],
        minimum=aggregates.get("min"),
        maximum=aggregates.get("max"),
        mean=aggregates.get("mean"),
        quantiles=tuple(
            float(quantile) if isinstance(quantile, Decimal) else quantile
            for quantile in quantiles
            if quantile is not None
        ),
        distinct=frequency.get("distinct"),
        top=tuple((entry["v"], entry["n"]) for entry in frequency.get("top") or ()),
        trues=aggregates.get("trues"),
    )


def _days(days: Iterable[Sequence[str]] | None) -> tuple[tuple[Any, int], ...]:
    return tuple((datetime.fromisoformat(day).date(), int(rows)) for day, rows in days or ())


def _timestamp(microseconds: int | None) -> datetime | None:
    """Return a timestamp, or the last one that Python knows for a later one."""
    if microseconds is None:
        return None
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)
