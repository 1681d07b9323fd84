"""What the columns of a table hold, as a look at some of its rows shows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from leverframe.domain.pipeline.own_draft import SeenColumn

_MOST_VALUES = 20


def columns_seen(rows: pl.DataFrame) -> tuple[SeenColumn, ...]:
    """Return the columns in their order."""
    return tuple(_seen(rows.get_column(name)) for name in rows.columns)


def _seen(column: pl.Series) -> SeenColumn:
    rows, dtype = len(column), column.dtype
    if dtype.is_nested() or isinstance(dtype, pl.Object | pl.Binary):
        return SeenColumn(column.name, "other", 0, rows)
    distinct = column.n_unique()
    values = _values(column) if distinct <= _MOST_VALUES else ()
    if dtype.is_numeric() or isinstance(dtype, pl.Boolean):
        numbers = column.cast(pl.Float64).drop_nulls()
        low, high = (math.nan if value is None else float(value) for value in (_least(numbers), _most(numbers)))
        holds = "numbers" if dtype.is_float() else "whole numbers"
        return SeenColumn(
            column.name, "numbers" if holds == "numbers" else "whole numbers", distinct, rows, low, high, values
        )
    return SeenColumn(column.name, "times" if dtype.is_temporal() else "texts", distinct, rows, values=values)


def _values(column: pl.Series) -> tuple[str, ...]:
    texts: Sequence[str] = column.drop_nulls().unique().cast(pl.String).to_list()
    return tuple(sorted(texts))


def _least(numbers: pl.Series) -> float | None:
    return numbers.min()  # type: ignore[return-value] # of a column of doubles


def _most(numbers: pl.Series) -> float | None:
    return numbers.max()  # type: ignore[return-value] # of a column of doubles
