"""Small references and windows for tests of the monitor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np

from leverframe.domain.monitoring.batch import Levels, Numbers, Values
from leverframe.domain.monitoring.binning import binnings
from leverframe.domain.monitoring.engine import BuiltinEngine
from leverframe.domain.monitoring.monitored_column import ColumnKind, MonitoredColumn
from leverframe.domain.monitoring.reference_counts import counted, reference_profile
from leverframe.domain.monitoring.reference_profile import ReferenceProfile, Role, WindowCounts

MONDAY = date(2024, 1, 1)


def numbers(*values: float, unreadable: int = 0) -> Numbers:
    return Numbers(np.array(values, np.float64), unreadable)


def texts(*values: str | None) -> Levels:
    names = tuple(dict.fromkeys(value for value in values if value is not None))
    return Levels(np.array([-1 if value is None else names.index(value) for value in values], np.int32), names)


def day(number: int) -> str:
    return str(MONDAY + timedelta(days=number))


def rows_of(values: Values) -> int:
    return len(values.values if isinstance(values, Numbers) else values.codes)


def window(
    profile: ReferenceProfile, number: int, values: Mapping[str, Values], *, rows: int | None = None
) -> WindowCounts:
    many = max(map(rows_of, values.values()), default=0) if rows is None else rows
    return WindowCounts(day(number), day(number), many, counted(profile.binnings, values))


def reference(
    kinds: Mapping[str, ColumnKind],
    days: Sequence[Mapping[str, Values]],
    *,
    match: str = "none",
    prediction: str = "",
) -> ReferenceProfile:
    columns = [MonitoredColumn(name, kind) for name, kind in kinds.items()]
    roles: list[tuple[MonitoredColumn, Role]] = [
        (column, "prediction" if column.name == prediction else "feature") for column in columns
    ]
    bins = binnings(columns, {name: joined([table[name] for table in days if name in table]) for name in kinds})
    windows = [
        WindowCounts(day(at), day(at), max(map(rows_of, table.values()), default=0), counted(bins, table))
        for at, table in enumerate(days)
    ]
    return reference_profile(roles, bins, windows, BuiltinEngine(), match=match)  # type: ignore[arg-type]


def joined(parts: Sequence[Values]) -> Values:
    if all(isinstance(part, Numbers) for part in parts):
        return Numbers(np.concatenate([part.values for part in parts if isinstance(part, Numbers)] or [np.zeros(0)]))
    return texts(
        *(
            None if code < 0 else part.names[code]
            for part in parts
            if isinstance(part, Levels)
            for code in part.codes.tolist()
        )
    )
