"""Whether two Parquet files of other bytes hold the same values."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal


def same_values(claimed: bytes, file: Path, tolerance: float) -> bool | None:
    """Tell whether a table has the columns, types, rows and, within a tolerance, the numbers that are claimed.

    The tolerance is relative, and absolute near zero. None where either is no Parquet file. Columns and rows are
    compared before a value is read: a claim of few bytes may stand for rows without end.
    """
    try:
        if _shape(io.BytesIO(claimed)) != _shape(file):
            return False
        ours, theirs = pl.read_parquet(io.BytesIO(claimed)), pl.read_parquet(file)
    except (pl.exceptions.PolarsError, OSError):
        return None
    try:
        assert_frame_equal(ours, theirs, rel_tol=tolerance, abs_tol=tolerance)
    except AssertionError:
        return False
    return True


def _shape(source: io.BytesIO | Path) -> tuple[list[tuple[str, pl.DataType]], int]:
    """Return the columns with their types, and the number of rows, by the footer of a file alone."""
    table = pl.scan_parquet(source)
    return list(table.collect_schema().items()), int(table.select(pl.len()).collect().item())
