"""The training set on DuckDB: built partitions in, one Parquet file a side of the split out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from leverframe.adapters.duckdb.connection import connect
from leverframe.adapters.duckdb.relations import FILE, PLACE, Relation, relation
from leverframe.adapters.duckdb.sql import column, files_error, text
from leverframe.domain.data.column_types import kind
from leverframe.domain.features.reserved import KNOWN_AT, VERSIONS
from leverframe.domain.features.split import CutRows, SplitPart
from leverframe.domain.features.training_set import AS_OF, LABEL
from leverframe.files import replacing


class DuckDBSplitter:
    """The ``Splitter`` port."""

    def columns(self, files: Sequence[Path]) -> dict[str, str]:
        """Return the columns with their kind; raises ``SourceError`` for a damaged file."""
        return {name: kind(dtype) for name, dtype in self._relation(files).types.items()}

    def spec(self, file: Path) -> str | None:
        """Return the definition's hash that a built file carries."""
        query = f"SELECT decode(value) FROM parquet_kv_metadata({text(str(file))}) WHERE decode(key) = 'spec'"
        rows = self._all(query, [file])
        return str(rows[0][0]) if rows else None

    def cut(self, cut: SplitPart, out: Path) -> CutRows:
        """Write the rows in order, and return how many of which kind there were."""
        label = column(cut.label)
        table = self._relation(cut.files)
        value = f"{_known(cut, set(table.types))} AS __value"
        source = f"(SELECT *, {value} FROM ({table.sql}){_where(cut)})"
        counts = (
            f"SELECT count(__value), count(*) FILTER (__value IS NULL AND {label} IS NULL), "
            f"count(*) FILTER (__value IS NULL AND {label} IS NOT NULL) FROM {source}"
        )
        columns = ", ".join(column(name) for name in cut.columns)
        ((kept, without, too_late),) = self._all(counts, cut.files)
        some = cut.most is not None and kept > cut.most
        rows = (
            f"SELECT {AS_OF}, __value AS {LABEL}, {columns} FROM {source} "
            f"WHERE __value IS NOT NULL{_drawn(cut, kept) if some else ''} ORDER BY {FILE}, {PLACE}"
        )
        with replacing(out) as temporary:
            copy = f"COPY ({rows}) TO {text(str(temporary))} (FORMAT parquet, COMPRESSION zstd)"
            ((written,),) = self._all(copy, cut.files)
        return CutRows(int(written), int(without), int(too_late), int(kept) if some else None)

    def _relation(self, files: Sequence[Path]) -> Relation:
        with self._connected(files) as connection:
            return relation(connection, files)

    def _all(self, query: str, files: Sequence[Path]) -> list[tuple[Any, ...]]:
        with self._connected(files) as connection:
            return connection.execute(query).fetchall()

    @contextmanager
    def _connected(self, files: Sequence[Path]) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = self._database.cursor()
        try:
            yield connection
        except duckdb.Error as error:
            raise (files_error(error, files) or error) from error
        finally:
            connection.close()

    @cached_property
    def _database(self) -> duckdb.DuckDBPyConnection:
        """Opened once a run: each query would pay for it again."""
        return connect()


def _where(cut: SplitPart) -> str:
    """Return what keeps the rows of the side, nothing where all rows of its files are."""
    if cut.within is None:
        return ""
    first, end = (f"TIMESTAMPTZ {text(timestamp.isoformat())}" for timestamp in cut.within)
    return f" WHERE {AS_OF} >= {first} AND {AS_OF} < {end}"


def _drawn(cut: SplitPart, rows: int) -> str:
    """Return what keeps about ``cut.most`` of so many rows: those with the smallest digests."""
    parts = ", ".join([f"epoch_us({AS_OF})", *(column(name) for name in cut.keys)])
    share = 2**64 * (cut.most or 0) // rows
    return f" AND md5_number_lower(concat_ws(chr(31), {parts})) < {share}::UBIGINT"


def _known(cut: SplitPart, columns: set[str]) -> str:
    """Return the label as far as it was known before the timestamp of the cut, null where it was not."""
    label = column(cut.label)
    if cut.known_before is None:
        return label
    timestamp = f"TIMESTAMPTZ {text(cut.known_before.isoformat())}"
    versions = f"{cut.label}{VERSIONS}"
    if versions in columns:
        value = f"list_filter({column(versions)}, lambda each: each.known_at < {timestamp})[-1].value"
    else:
        value = f"CASE WHEN {column(f'{cut.label}{KNOWN_AT}')} < {timestamp} THEN {label} END"
    return value
