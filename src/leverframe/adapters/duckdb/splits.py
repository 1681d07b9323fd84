"""The training set on DuckDB: months in, one Parquet file a side of the split out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from leverframe.adapters.duckdb.connection import connect
from leverframe.adapters.duckdb.sql import column, files_error, kind_of, parquet, text
from leverframe.domain.build.training_set import Cut
from leverframe.domain.training_set import AS_OF, LABEL
from leverframe.files import replacing


class DuckDBSplitter:
    """The ``Splitter`` port."""

    def columns(self, files: Sequence[Path]) -> dict[str, str]:
        """Return the columns with their kind; raises ``SourceError`` for a damaged file."""
        rows = self._all(f"DESCRIBE SELECT * FROM {parquet(files)}", files)
        return {name: kind_of(dtype) for name, dtype, *_ in rows}

    def spec(self, file: Path) -> str | None:
        """Return the definition's hash that a built month carries."""
        query = f"SELECT decode(value) FROM parquet_kv_metadata({text(str(file))}) WHERE decode(key) = 'spec'"
        rows = self._all(query, [file])
        return str(rows[0][0]) if rows else None

    def cut(self, cut: Cut, out: Path) -> tuple[int, int, int]:
        """Write the rows in order; return rows kept, rows without label, rows with a label known too late."""
        label, known = column(cut.label), column(f"{cut.label}_known_at")
        late = f"coalesce({known} >= {_moment(cut)}, false)"
        source = parquet(cut.files)
        counts = (
            f"SELECT count(*) FILTER ({label} IS NOT NULL AND NOT {late}), count(*) FILTER ({label} IS NULL), "
            f"count(*) FILTER ({label} IS NOT NULL AND {late}) FROM {source}"
        )
        columns = ", ".join(column(name) for name in cut.columns)
        rows = (
            f"SELECT {AS_OF}, {label} AS {LABEL}, {columns} FROM {source} "
            f"WHERE {label} IS NOT NULL AND NOT {late} ORDER BY file_index, file_row_number"
        )
        ((kept, without, too_late),) = self._all(counts, cut.files)
        with replacing(out) as temporary:
            self._all(f"COPY ({rows}) TO {text(str(temporary))} (FORMAT parquet, COMPRESSION zstd)", cut.files)
        return int(kept), int(without), int(too_late)

    def _all(self, query: str, files: Sequence[Path]) -> list[tuple[Any, ...]]:
        connection = connect()
        try:
            return connection.execute(query).fetchall()
        except duckdb.Error as error:
            raise (files_error(error, files) or error) from error
        finally:
            connection.close()


def _moment(cut: Cut) -> str:
    return f"TIMESTAMPTZ {text(cut.known_before.isoformat())}" if cut.known_before else "'infinity'::TIMESTAMPTZ"
