"""The profile of a table, which git keeps for every partition: aggregates, never rows."""

from __future__ import annotations

from typing import Any

from leverframe.domain.data.constraint import cut, significant
from leverframe.domain.data.statistics import QUANTILES, ColumnStatistics, TableStatistics

_FREQUENT = 10  # rows that share a value before it is named: a rarer one could point at a person


def table_profile(table: TableStatistics) -> dict[str, Any]:
    """Return rows, columns and daily rows as nested values, numbers with 6 significant digits."""
    current = table.current
    profile: dict[str, Any] = {
        "rows": current.rows,
        "columns": {column.name: _column(column, current.rows) for column in current.columns},
    }
    if current.daily:
        profile["daily"] = {str(day): rows for day, rows in current.daily}
    return profile


def _column(column: ColumnStatistics, rows: int) -> dict[str, Any]:
    profile: dict[str, Any] = {"type": column.type, "null_rate": significant(column.nulls / rows) if rows else None}
    match column.kind:
        case "number":
            profile |= {name: _rounded(getattr(column, given)) for name, given in _NUMBERS.items()}
            quantiles = zip(QUANTILES, column.quantiles, strict=False)  # no value, no quantiles
            profile |= {f"p{100 * share:02.0f}": _rounded(value) for share, value in quantiles}
        case "text":
            shares = {cut(value): significant(n / rows) for value, n in column.top if n >= _FREQUENT}
            profile |= {"distinct": column.distinct, "top": shares}
        case "time":
            profile |= {"min": column.minimum, "max": column.maximum}
        case "boolean":
            known = rows - column.nulls
            profile["true_rate"] = significant((column.trues or 0) / known) if known else None
        case "other":
            pass
    return profile


_NUMBERS = {"min": "minimum", "max": "maximum", "mean": "mean"}


def _rounded(value: float | str | None) -> float | str | None:
    """Return whole numbers as they are, others with 6 significant digits."""
    return significant(value) if isinstance(value, float) else value
