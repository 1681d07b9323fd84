"""Lines of JSON as rows of requests, in SQL: Leverframe's own records, and flat objects of other servers.

A record is parsed once, into the columns that are asked for; numbers stay JSON, so that a text is never taken for one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import duckdb
import pyarrow as pa

from leverframe.adapters.duckdb.request_batches import (
    EARLIER,
    MALFORMED,
    OTHER_MODEL,
    OURS,
    OUTCOME,
    Tally,
    boolean,
    key,
    mask,
    number,
    places,
    timestamp,
    what_of_time,
)
from leverframe.adapters.duckdb.sql import column, text
from leverframe.domain.monitoring.log_query import LogFile, LogQuery
from leverframe.settings.monitor import RequestColumns

_DAY = 86_400_000_000
_LISTED = ("columns", "features")
_OWN = {"id": "id", "row": "i::VARCHAR"}  # keys that are no columns


def valid(connection: duckdb.DuckDBPyConnection, lines: pa.Table, files: Sequence[LogFile], tally: Tally) -> pa.Table:
    """Return the lines that are JSON; others are counted by file, but for blank ones."""
    connection.register("lines", lines)
    relation = connection.sql("SELECT json_valid(line) AS ok, file, trim(line, e' \\t\\r\\n') = '' AS blank FROM lines")
    flags = relation.to_arrow_table()
    counted = connection.from_arrow(flags).filter("NOT ok AND NOT blank").aggregate("file, count(*) AS n").fetchall()
    for file, count in counted:
        tally.malformed[files[file].name] += count
    return lines.filter(flags["ok"])


def is_leverframe(lines: pa.Table) -> bool | None:
    """Tell whether the first object among the lines is a record of Leverframe's own log; None where there is none."""
    for line in lines["line"].slice(0, 1000).to_pylist():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            return (isinstance(record.get("columns"), dict) and "predictions" in record) or "outcome" in record
    return None


def records(query: LogQuery) -> str:
    """Return the SELECT over ``lines`` of Leverframe's records."""
    outer = {
        "at": "VARCHAR", "id": "VARCHAR", "model": "VARCHAR", "bundle": "VARCHAR", "version": "VARCHAR",
        "outcome": "VARCHAR", "count": "BIGINT", "milliseconds": "DOUBLE", "snapshot": "VARCHAR", "missed": "JSON",
        "predictions": ["DOUBLE"] if query.label == "regression" else [["DOUBLE"]],
    }  # fmt: skip
    inner = {name: ["VARCHAR"] for name in query.keys if name not in _OWN} | {
        field.name: ["JSON" if field.name in query.numbers else "VARCHAR"] for field in query.columns
    }
    if time_of_rows(query):
        inner.setdefault(query.names.time, ["VARCHAR"])
    structure = outer | {name: inner or {"_": ["JSON"]} for name in _LISTED}
    parsed = f"SELECT file, day, from_json(line, {text(json.dumps(structure))}) AS r FROM lines"
    return f"WITH parsed AS ({parsed}), judged AS ({_judged(query)}) {_unnested(query)}"


def time_of_rows(query: LogQuery) -> str:
    """Return SQL of the times of a record's rows, a list; empty where they all have that of the record."""
    if query.names.time == RequestColumns().time:
        return ""
    own, sent = timestamp("value"), timestamp('r."at"')
    return f"[coalesce({own}, {sent}) FOR value IN r.columns.{column(query.names.time)}]"


def _judged(query: LogQuery) -> str:
    """Return the SELECT that says of each record what it is, and of how many rows.

    Where each row has a time of its own, the latest says so of all, and the server's clock nothing.
    """
    lists = {field.name: f"coalesce(r.features.{column(field.name)}, r.columns.{column(field.name)})"
             for field in query.columns}  # fmt: skip
    uneven = [f"len({values}) <> len(r.predictions)" for values in lists.values()]
    at, times = timestamp('r."at"'), time_of_rows(query)
    if times:
        at = f"coalesce(list_max({times}), {at})"
        uneven.append(f"len(r.columns.{column(query.names.time)}) <> len(r.predictions)")
    earlier = "" if times else f"WHEN us < day - {_DAY} THEN {EARLIER} "
    since, until = query.bounds
    read = (
        f"SELECT file, day, r, {at} AS us, r.model = {text(query.model)} AS ours, len(r.predictions) AS held, "
        f"{mask([f'{values} IS NOT NULL' for values in lists.values()])} AS present, "
        f"{' OR '.join(uneven) or 'false'} AS uneven FROM parsed"
    )
    return (
        f"SELECT *, CASE WHEN r.outcome IN ('refused', 'failed') AND r.count > 0 AND us IS NOT NULL "
        f"THEN CASE WHEN ours AND us BETWEEN {since} AND {until - 1} THEN {OUTCOME} END "
        f"WHEN r.model IS NULL OR us IS NULL OR coalesce(held, 0) = 0 OR r.columns IS NULL OR coalesce(uneven, false) "
        f"THEN {MALFORMED} WHEN NOT ours THEN {OTHER_MODEL} {earlier}{what_of_time('us', query)} "
        f"WHEN us >= {since} THEN {OURS} END AS what FROM ({read})"
    )


def _unnested(query: LogQuery) -> str:
    """Return the SELECT of a row for each of a record's; of what is no record of ours, one row for all."""
    ours, times = f"what = {OURS}", time_of_rows(query)
    of_row = f"unnest(CASE WHEN {ours} THEN {times} END)" if times else "NULL"
    shown = [
        "what",
        f"CASE WHEN what = {MALFORMED} THEN file::VARCHAR WHEN what = {OTHER_MODEL} THEN r.model "
        f"WHEN what = {OUTCOME} THEN r.outcome END AS name",
        f"CASE WHEN what IN ({OURS}, {OUTCOME}) THEN us END AS latest",
        f"{of_row} AS us",
        f"CASE what WHEN {OUTCOME} THEN r.count WHEN {MALFORMED} THEN 1 ELSE held END AS n",
        f"unnest(range(CASE WHEN {ours} THEN held ELSE 1 END)) AS i",
        f"CASE WHEN {ours} THEN present END AS present",
        "left(coalesce(r.bundle, r.version), 100) AS release",
        "r.milliseconds AS milliseconds",
        f"{timestamp('r.snapshot')} AS snapshot",
        "nullif(nullif(r.missed::VARCHAR, '{}'), 'null') AS missed",
        "r.id AS id",
    ]
    for name, called in places(query).items():
        quoted = column(name)
        shown.append(f"unnest(CASE WHEN {ours} THEN coalesce(r.features.{quoted}, r.columns.{quoted}) END) AS {called}")
    for place, name in enumerate(query.keys):
        if name not in _OWN:
            quoted = column(name)
            shown.append(
                f"unnest(CASE WHEN {ours} THEN coalesce(r.columns.{quoted}, r.features.{quoted}) END) AS k{place}"
            )
    shown.append(f"unnest(CASE WHEN {ours} THEN r.predictions END) AS p")
    inner = f"SELECT * EXCLUDE (latest) REPLACE (coalesce(us, latest) AS us) FROM " \
            f"(SELECT {', '.join(shown)} FROM judged WHERE what IS NOT NULL)"  # fmt: skip
    made = [row_hash("id", "i"), _predictions(query)]
    if query.keys:
        made.append(key([_OWN.get(name, f"k{place}::VARCHAR") for place, name in enumerate(query.keys)]))
    asked = f" WHERE NOT ({ours} AND us < {query.bounds[0]})" if times else ""
    return f"SELECT * EXCLUDE (id, p){_read(query)}, {', '.join(made)} FROM ({inner}){asked}"


def _predictions(query: LogQuery) -> str:
    if query.label == "regression":
        return "p AS p0"
    if query.label == "binary":
        return f"p[{query.classes.index('1') + 1}] AS p0"
    return ", ".join(f"p[{place + 1}] AS p{place}" for place in range(len(query.classes)))


def _read(query: LogQuery) -> str:
    """Return the replacement of columns of numbers, which are JSON up to here."""
    made = [
        f"{(boolean if field.kind == 'boolean' else number)(f'{place}::VARCHAR')} AS {place}"
        for field, place in zip(query.columns, places(query).values(), strict=True)
        if field.kind == "boolean" or field.name in query.numbers
    ]
    return f" REPLACE ({', '.join(made)})" if made else ""


def row_hash(id: str, place: str) -> str:
    """Return SQL of the column that tells rows apart, 0 where there is no id."""
    return f"CASE WHEN {id} IS NULL THEN 0::UBIGINT ELSE greatest(hash({id}, {place}), 1::UBIGINT) END AS row"


def objects(connection: duckdb.DuckDBPyConnection, lines: pa.Table, files: Sequence[LogFile], tally: Tally) -> set[str]:
    """Return the names of all members of objects among the lines; lines that are no object are counted."""
    connection.register("lines", lines)
    others = "SELECT file, count(*) FROM lines WHERE json_type(line) <> 'OBJECT' GROUP BY file"
    for file, count in connection.sql(others).fetchall():
        tally.malformed[files[file].name] += count
    members = connection.sql("SELECT DISTINCT unnest(json_keys(line)) FROM lines WHERE json_type(line) = 'OBJECT'")
    return {name for (name,) in members.fetchall()}
