"""Two Parquet files of other bytes: the same values, other values, or a claim that is told before it is read."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest

from leverframe.adapters.polars.same_values import same_values

TABLE = pl.DataFrame({"id": [1, 2, 3], "x": [0.5, None, 1e9]})


def written(table: pl.DataFrame, **how: object) -> bytes:
    """Return a table as Parquet."""
    file = io.BytesIO()
    table.write_parquet(file, **how)  # type: ignore[arg-type]
    return file.getvalue()


@pytest.mark.parametrize(
    ("claimed", "same"),
    [
        (written(TABLE, compression="uncompressed"), True),
        (written(TABLE.with_columns(x=pl.col("x") * (1 + 1e-6))), True),
        (written(TABLE.with_columns(x=pl.col("x") * 2)), False),
        (written(TABLE.head(2)), False),
        (written(TABLE.rename({"x": "y"})), False),
        (written(TABLE.with_columns(pl.col("id").cast(pl.Int32))), False),
        (b"PAR1 no table", None),
    ],
)
def test_a_table_is_told_by_its_values(tmp_path: Path, claimed: bytes, same: bool | None) -> None:
    """Whatever wrote the bytes."""
    (tmp_path / "a.parquet").write_bytes(written(TABLE))
    assert same_values(claimed, tmp_path / "a.parquet", 1e-4) is same


def test_rows_without_end_are_told_by_the_footer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of few bytes may stand for more rows than fit into memory: none of them is read."""
    (tmp_path / "a.parquet").write_bytes(written(TABLE))
    bomb = written(pl.select(id=pl.repeat(1, 3_000_000, dtype=pl.Int64), x=pl.repeat(0.5, 3_000_000)))
    assert len(bomb) < 50_000
    monkeypatch.setattr(pl, "read_parquet", lambda *_: pytest.fail("the values were read"))
    assert same_values(bomb, tmp_path / "a.parquet", 1e-4) is False
