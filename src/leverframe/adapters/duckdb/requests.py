"""A log of requests in closed files, read in bounded memory: Leverframe's own, Parquet, CSV, or a JSON object a line.

Logs come from outside: whatever cannot be read is counted by file, and nothing of it ends the reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb

from leverframe.adapters.duckdb.connection import connect
from leverframe.adapters.duckdb.log_lines import chunks, openable
from leverframe.adapters.duckdb.log_records import is_leverframe, objects, records, valid
from leverframe.adapters.duckdb.log_tables import asked, flat_lines, lacking, rejected, table_rows
from leverframe.adapters.duckdb.request_batches import Tally, batches, format_of
from leverframe.domain.monitoring.batch import Batch, LogFacts
from leverframe.domain.monitoring.log_query import LogFile, LogQuery

MEMORY = "512MB"


class Requests:
    """The rows of a model in ``files``, as ``query`` asks for them."""

    def __init__(self, files: Sequence[LogFile], query: LogQuery) -> None:
        self._files, self._query = files, query
        self._tally = Tally()

    @property
    def facts(self) -> LogFacts:
        """What came out beside the rows; complete once ``batches`` ended."""
        return self._tally.facts()

    def batches(self) -> Iterator[Batch]:
        """Yield every readable row of the model once, in bounded memory and no particular order."""
        self._tally = Tally()
        connection = connect()
        connection.execute(f"SET memory_limit = '{MEMORY}'; SET TimeZone = 'UTC'")
        try:
            formats = [format_of(file, self._query.format) for file in self._files]
            tables = [form in ("parquet", "csv") for form in formats]
            yield from self._of_lines(
                connection, [f for f, table in zip(self._files, tables, strict=True) if not table]
            )
            for file, read in zip(self._files, formats, strict=True):
                if read in ("parquet", "csv") and openable(file, self._tally):
                    yield from self._of_table(connection, file, csv=read == "csv")
        finally:
            connection.close()

    def _of_lines(self, connection: duckdb.DuckDBPyConnection, files: Sequence[LogFile]) -> Iterator[Batch]:
        ours = None if self._query.format == "auto" else self._query.format == "leverframe"
        for chunk in chunks(files, self._tally):
            lines = valid(connection, chunk, files, self._tally)
            if not lines.num_rows:
                continue
            ours = is_leverframe(lines) if ours is None else ours
            sql = records(self._query)
            if ours is False:
                keys = objects(connection, lines, files, self._tally)
                wrong = lacking(self._query, keys)
                if wrong:
                    numbers = lines["file"].unique().to_pylist()
                    self._tally.unreadable.update({files[number].name: wrong for number in numbers})
                    continue
                self._tally.see(keys, asked(self._query))
                sql = flat_lines(self._query, keys)
            connection.register("lines", lines)
            yield from batches(connection.sql(sql).to_arrow_table(), self._query, self._tally, files)

    def _of_table(self, connection: duckdb.DuckDBPyConnection, file: LogFile, *, csv: bool) -> Iterator[Batch]:
        try:
            for rows in table_rows(connection, self._query, file, self._tally, csv=csv):
                yield from batches(rows, self._query, self._tally, [file])
        except duckdb.Error as error:
            self._tally.note(file, error)
        finally:
            if csv:
                rejected(connection, file, self._tally)
