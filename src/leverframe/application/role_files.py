"""The files that roles of a pipeline of one's own name, as tables: Parquet, CSV, JSON lines, and arrays of NumPy."""

from __future__ import annotations

from pathlib import Path

from leverframe.adapters.duckdb.query import arrow_table, select_of
from leverframe.adapters.numpy_files import columns_of
from leverframe.adapters.polars import PolarsFrames, PolarsTables
from leverframe.adapters.polars.looked_at import columns_seen
from leverframe.domain.data.readers import Query
from leverframe.domain.model.table import Table
from leverframe.domain.pipeline.own_draft import SeenColumn
from leverframe.errors import SourceError

_LOOKED_AT = 5000  # rows


def read_rows(root: Path, path: str) -> Table:
    """Return the rows of a file, or of all files of a pattern in the order of their names.

    Raises ``SourceError`` for what cannot be read.
    """
    if Path(path).suffix.lower() in (".npy", ".npz"):
        return PolarsTables(root).frame(columns_of(_one(root, path)))
    table: Table = PolarsFrames(root, arrow_table).read(Query(select_of(root / path)), None).collect()
    return table


def columns_in(root: Path, path: str) -> tuple[SeenColumn, ...]:
    """Return what the columns of a file hold, as its first rows show it; raises ``SourceError``."""
    if Path(path).suffix.lower() in (".npy", ".npz"):
        return columns_seen(PolarsTables(root).frame(columns_of(root / path)).head(_LOOKED_AT))
    select = Query(f"{select_of(root / path)} LIMIT {_LOOKED_AT}")
    return columns_seen(PolarsFrames(root, arrow_table).read(select, None).collect())


def _one(root: Path, path: str) -> Path:
    files = sorted(root.glob(path))
    if len(files) != 1:
        raise SourceError(
            f"{path} names {len(files)} files of NumPy",
            why="a file of NumPy holds all columns, so one is read",
            next="name one file, or write Parquet",
        )
    return files[0]
