"""Labels joined to requests: both as hashes of what they share, in tables that may leave memory for the disk."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa

from leverframe.adapters.duckdb.connection import connect
from leverframe.adapters.duckdb.log_lines import chunks, openable
from leverframe.adapters.duckdb.log_records import objects, valid
from leverframe.adapters.duckdb.log_tables import csv_source, described, level, microseconds, parquet_source, rejected
from leverframe.adapters.duckdb.request_batches import Tally, format_of, key, without_fraction
from leverframe.adapters.duckdb.sql import column, text
from leverframe.domain.features.online import microseconds_of
from leverframe.domain.monitoring.batch import Batch, LabelledRows, RequestLog
from leverframe.domain.monitoring.label_join import LabelFacts, WindowLabels
from leverframe.domain.monitoring.log_query import LogFile, LogQuery
from leverframe.domain.monitoring.window_summary import WindowSpan
from leverframe.settings.monitor import LabelSettings

_MEMORY = "512MB"
_HOUR = 3.6e9  # microseconds


class Labels:
    """The labels in ``files`` and the requests of ``log``, whose batches must have the key of ``settings.on``.

    What became known after ``now`` does not count: a run as of an earlier time sees what that run would have seen.
    """

    def __init__(
        self, files: Sequence[LogFile], settings: LabelSettings, log: RequestLog, query: LogQuery,
        spans: Sequence[WindowSpan], now: datetime,
    ) -> None:  # fmt: skip
        self._files, self._settings, self._log, self._query, self._spans = files, settings, log, query, spans
        self._now = microseconds_of(now)
        self._tally = Tally()
        self._counts: Counter[str] = Counter()

    @property
    def facts(self) -> LabelFacts:
        """What else can be said of the labels; complete once ``windows`` ended."""
        tally = self._tally
        return LabelFacts(
            files=tally.files, malformed=dict(tally.malformed), unreadable=dict(tally.unreadable), **self._counts
        )

    def windows(self) -> Iterator[WindowLabels]:
        """Yield every window, oldest first, one in memory at a time."""
        self._tally, self._counts = Tally(), Counter()
        with tempfile.TemporaryDirectory(prefix="leverframe-labels-") as folder:
            connection = connect()
            try:
                connection.execute(f"SET memory_limit = '{_MEMORY}'; SET TimeZone = 'UTC'")
                connection.execute(f"SET temp_directory = {text(folder)}")
                self._read_labels(connection)
                self._read_requests(connection)
                for number, span in enumerate(self._spans):
                    yield self._window(connection, number, span)
                (unmatched,) = connection.execute("SELECT count(*) FROM labels ANTI JOIN asked USING (key)").fetchall()[
                    0
                ]
                self._counts["unmatched"] = unmatched
            finally:
                connection.close()

    def _read_labels(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("CREATE TABLE arrived (key UBIGINT, label DOUBLE, known BIGINT, place BIGINT)")
        lines = [file for file in self._files if format_of(file, "auto") == "lines"]
        for chunk in chunks(lines, self._tally):
            connection.register("lines", valid_lines := valid(connection, chunk, lines, self._tally))
            held = dict.fromkeys(objects(connection, valid_lines, lines, self._tally), "JSON")
            structure = json.dumps(held)
            shown = ", ".join(f"r.{column(name)} AS {column(name)}" for name in held)
            parsed = f"SELECT from_json(line, {text(structure)}) AS r FROM lines WHERE json_type(line) = 'OBJECT'"
            names = [lines[number].name for number in valid_lines["file"].unique().to_pylist()]
            if self._has_columns(held, names):
                self._insert(connection, f"(SELECT {shown} FROM ({parsed}))", held)
        for file in self._files:
            read = format_of(file, "auto")
            if read != "lines" and openable(file, self._tally):
                self._insert_table(connection, file, csv=read == "csv")
        self._settle(connection)

    def _insert_table(self, connection: duckdb.DuckDBPyConnection, file: LogFile, *, csv: bool) -> None:
        source = csv_source(file) if csv else parquet_source(file)
        try:
            held = described(connection, source)
            if self._has_columns(held, [file.name]):
                self._insert(connection, source, held)
        except duckdb.Error as error:
            self._tally.note(file, error)
        finally:
            if csv:
                rejected(connection, file, self._tally)

    def _has_columns(self, held: dict[str, str], files: Sequence[str]) -> bool:
        lacking = [name for name in [*self._settings.on, self._settings.label] if name not in held]
        for file in files if lacking else ():
            self._tally.unreadable[file] = f"it has no column `{lacking[0]}`"
        return not lacking

    def _insert(self, connection: duckdb.DuckDBPyConnection, source: str, held: dict[str, str]) -> None:
        settings = self._settings
        known = settings.known_at
        time = microseconds(known, held, loose=True) if known is not None and known in held else "NULL::BIGINT"
        shown = [
            key([level(name, held) for name in settings.on]),
            f"{self._label(level(settings.label, held))} AS label",
            f"{level(settings.label, held)} IS NULL AS empty",
            f"{time} AS known",
        ]
        (first,) = connection.execute("SELECT coalesce(max(place) + 1, 0) FROM arrived").fetchall()[0]
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE part AS SELECT *, {first} + row_number() OVER () AS place "
            f"FROM (SELECT {', '.join(shown)} FROM {source}) WHERE NOT empty"
        )
        timed = known is not None
        counts = connection.execute(
            f"SELECT count(*), count(*) FILTER (label IS NULL), count(*) FILTER (key = 0), "
            f"count(*) FILTER ({timed} AND known IS NULL) FROM part"
        ).fetchall()[0]
        self._counts.update(dict(zip(("labels", "strange", "keyless", "untimed"), counts, strict=False)))
        connection.execute(
            "INSERT INTO arrived SELECT key, label, known, place FROM part WHERE label IS NOT NULL AND key <> 0"
        )

    def _label(self, value: str) -> str:
        """Return SQL of a label as a number: a class by its place, of two by its name or as true and false."""
        query = self._query
        if query.label == "regression":
            return f"CASE WHEN isfinite(TRY_CAST({value} AS DOUBLE)) THEN TRY_CAST({value} AS DOUBLE) END"
        plain = without_fraction(value)
        if query.label == "multiclass":
            branches = " ".join(f"WHEN {text(name)} THEN {place}" for place, name in enumerate(query.classes))
            return f"(CASE {plain} {branches} END)::DOUBLE"
        return (
            f"(CASE lower({plain}) WHEN '1' THEN 1 WHEN 'true' THEN 1 WHEN '0' THEN 0 WHEN 'false' THEN 0 END)::DOUBLE"
        )

    def _settle(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Keep one label a key: the one that was known last by now, of several the one that stands last."""
        (later,) = connection.execute(f"SELECT count(*) FROM arrived WHERE known > {self._now}").fetchall()[0]
        self._counts["later"] = later
        connection.execute(f"DELETE FROM arrived WHERE known > {self._now}")
        connection.execute(
            "CREATE TABLE labels AS SELECT key, arg_max(label, (coalesce(known, -9e18::BIGINT), place)) AS label, "
            "arg_max(coalesce(known, -9e18::BIGINT), (coalesce(known, -9e18::BIGINT), place)) AS known, "
            "count(*) AS n, count(DISTINCT label) AS different FROM arrived GROUP BY key"
        )
        connection.execute("DROP TABLE arrived")
        counts = connection.execute(
            "SELECT coalesce(sum(n - different), 0)::BIGINT, count(*) FILTER (different > 1) FROM labels"
        ).fetchall()[0]
        self._counts.update(dict(zip(("repeated", "contradicting"), counts, strict=False)))

    def _read_requests(self, connection: duckdb.DuckDBPyConnection) -> None:
        numbers = len(self._query.classes) if self._query.label == "multiclass" else 1
        columns = ", ".join(f"p{place} DOUBLE" for place in range(numbers))
        connection.execute(f'CREATE TABLE asked (key UBIGINT, us BIGINT, "row" UBIGINT, "window" INTEGER, {columns})')
        starts = np.array([microseconds_of(span.start) for span in self._spans], np.int64)
        ends = np.array([microseconds_of(span.end) for span in self._spans], np.int64)
        for batch in self._log.batches():
            window = np.searchsorted(starts, batch.at, side="right") - 1
            held = (window >= 0) & (batch.at < ends[np.maximum(window, 0)])
            connection.register("batch", _table(batch, window).filter(pa.array(held)))
            connection.execute("INSERT INTO asked SELECT * FROM batch")
            connection.unregister("batch")

    def _window(self, connection: duckdb.DuckDBPyConnection, number: int, span: WindowSpan) -> WindowLabels:
        """Return the rows of a window, a request that was sent again once."""
        once = (
            f'SELECT * FROM asked WHERE "window" = {number} '
            'QUALIFY "row" = 0 OR row_number() OVER (PARTITION BY "row" ORDER BY us) = 1'
        )
        (rows,) = connection.execute(f"SELECT count(*) FROM ({once})").fetchall()[0]
        joined = connection.sql(
            f'SELECT a.* EXCLUDE ("window", "row"), l.label, l.known FROM ({once}) a '
            "JOIN labels l ON a.key = l.key WHERE a.key <> 0 ORDER BY a.us, a.key"
        ).to_arrow_table()
        at, known = (joined[name].to_numpy() for name in ("us", "known"))
        delay = np.where(known > -8e18, (known - at) / _HOUR, np.nan)
        names = [name for name in joined.column_names if name.startswith("p")]
        predictions = np.column_stack([np.array(joined[name].to_numpy(), np.float64) for name in names])
        early = int((delay < 0).sum())
        self._counts["early"] += early
        labels = LabelledRows(
            at=at,
            labels=np.array(joined["label"].to_numpy(), np.float64),
            predictions=predictions if self._query.label == "multiclass" else predictions[:, 0],
            delay=delay,
        )
        return WindowLabels(span.name, int(rows), labels, early)


def _table(batch: Batch, window: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pa.Table:
    key_of_rows = np.zeros(batch.rows, np.uint64) if batch.key is None else batch.key
    predictions = batch.predictions if batch.predictions.ndim > 1 else batch.predictions[:, None]
    return pa.table(
        {"key": key_of_rows, "us": batch.at, "row": batch.row, "window": window.astype(np.int32)}
        | {f"p{place}": np.ascontiguousarray(predictions[:, place]) for place in range(predictions.shape[1])}
    )
