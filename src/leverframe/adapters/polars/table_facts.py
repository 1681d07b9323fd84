"""What the columns of a whole table hold, and how their texts are read as times."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import polars as pl

from leverframe.domain.pipeline.case_draft.table_facts import ColumnFacts, Holds, plain_name

_MOST_VALUES = 20
_FORMS = (
    "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S%.fZ", "%Y-%m-%dT%H:%M:%S%#z", "%Y-%m-%d %H:%M:%S%#z", "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M",
    "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M",
)  # fmt: skip
_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%Y%m%d")
_STAMP = pl.Datetime("us", "UTC")
_EPOCH = {"s": (946_684_800, 4_102_444_800), "ms": (946_684_800_000, 4_102_444_800_000)}  # 2000 to 2100


def facts_of(frame: pl.DataFrame) -> tuple[ColumnFacts, ...]:
    """Return the columns in their order."""
    return tuple(_facts(frame.get_column(name)) for name in frame.columns)


def _facts(column: pl.Series) -> ColumnFacts:
    name, dtype, rows = column.name, column.dtype, len(column)
    nullable = column.null_count() > 0
    if dtype.is_nested() or isinstance(dtype, pl.Object | pl.Binary):
        return ColumnFacts(name, "other", 0, rows, nullable)
    distinct = column.n_unique() - int(nullable)
    values = _values(column) if distinct <= _MOST_VALUES else ()
    low, high = _range(column)
    read = _time(column)
    first, last = (None, None) if read is None else _ends(column, read[1])
    as_time = "" if read is None else read[0]
    return ColumnFacts(name, _holds(dtype), distinct, rows, nullable, low, high, values, as_time, first, last)


def _holds(dtype: pl.DataType) -> Holds:
    if isinstance(dtype, pl.Boolean):
        return "booleans"
    if dtype.is_integer():
        return "whole numbers"
    if dtype.is_numeric():
        return "numbers"
    return "times" if dtype.is_temporal() else "texts"


def _values(column: pl.Series) -> tuple[str, ...]:
    known = column.drop_nulls().unique().cast(pl.String).to_list()
    return tuple(sorted(known))


def _range(column: pl.Series) -> tuple[float, float]:
    if not column.dtype.is_numeric():
        return math.nan, math.nan
    numbers = column.cast(pl.Float64).drop_nulls()
    numbers = numbers.filter(numbers.is_finite())
    if not len(numbers):
        return math.nan, math.nan
    ends: list[Any] = [numbers.min(), numbers.max()]
    return float(ends[0]), float(ends[1])


def _time(column: pl.Series) -> tuple[str, pl.Expr] | None:
    """Return what reads timestamps in UTC, as the text of a draft and as an expression.

    A form of texts counts only if it reads every value.
    """
    name, read, dtype = f'pl.col("{plain_name(column.name)}")', pl.col(column.name), column.dtype
    stamp = 'pl.Datetime("us", "UTC")'
    if isinstance(dtype, pl.Datetime):
        zoned = read.dt.convert_time_zone("UTC") if dtype.time_zone else read.dt.replace_time_zone("UTC")
        how = "convert" if dtype.time_zone else "replace"
        return f'{name}.dt.{how}_time_zone("UTC").dt.cast_time_unit("us")', zoned.dt.cast_time_unit("us")
    if isinstance(dtype, pl.Date):
        return f"{name}.cast({stamp})", read.cast(_STAMP)
    if column.null_count() or not len(column):
        return None
    if dtype.is_integer():
        low, high = _range(column)
        unit = next((unit for unit, (first, last) in _EPOCH.items() if first <= low and high < last), None)
        return (
            None
            if unit is None
            else (
                f'pl.from_epoch({name}, "{unit}").cast({stamp})',
                pl.from_epoch(read, "ms" if unit == "ms" else "s").cast(_STAMP),
            )
        )
    if dtype != pl.String:
        return None
    forms = ((form, *_form(name, read, form, stamp)) for form in (*_FORMS, *_DATES))
    return next(((text, expression) for _, text, expression in forms if _reads(column, expression)), None)


def _form(name: str, read: pl.Expr, form: str, stamp: str) -> tuple[str, pl.Expr]:
    if form in _DATES:
        return f'{name}.str.to_date("{form}").cast({stamp})', read.str.to_date(form).cast(_STAMP)
    if form.endswith("%#z"):
        text = f'{name}.str.to_datetime("{form}", time_unit="us").dt.convert_time_zone("UTC")'
        return text, read.str.to_datetime(form, time_unit="us").dt.convert_time_zone("UTC")
    text = f'{name}.str.to_datetime("{form}", time_unit="us", time_zone="UTC")'
    return text, read.str.to_datetime(form, time_unit="us", time_zone="UTC")


def _reads(column: pl.Series, expression: pl.Expr) -> bool:
    try:
        column.to_frame().select(expression)
    except pl.exceptions.PolarsError:
        return False
    return True


def _ends(column: pl.Series, expression: pl.Expr) -> tuple[datetime | None, datetime | None]:
    times = column.to_frame().select(expression).to_series()
    first, last = (end.astimezone(UTC) if isinstance(end, datetime) else None for end in (times.min(), times.max()))
    return first, last
