"""What a plan means, row by row and without any cleverness: the reference that engines must equal.

Slow on purpose: plain Python over lists of dictionaries, so that each rule can be read. Tables
are given in the order of their rows; moments are aware datetimes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from leverframe.domain.build.plan import Aggregate, AsOfLookup, Key, LabelStep, Lookup, Plan, Windows

Row = Mapping[str, Any]
Tables = Mapping[str, Sequence[Row]]

_PARTS = {
    "hour": lambda moment: moment.hour,
    "weekday": lambda moment: moment.weekday(),
    "day": lambda moment: moment.day,
    "day_of_year": lambda moment: moment.timetuple().tm_yday,
    "month": lambda moment: moment.month,
}


def reference(plan: Plan, spine: Sequence[Row], tables: Tables) -> list[dict[str, Any]]:
    """Return a row for each row of ``spine``: keys, features, ``as_of`` and labels."""
    shown = {name: [_with_calendar(plan, row) for row in rows] for name, rows in tables.items()}
    return [_row(plan, _with_calendar(plan, row), shown) for row in spine]


def _row(plan: Plan, row: Row, tables: Tables) -> dict[str, Any]:
    as_of = row["event_time"] - plan.ahead
    found = {name: _known(row[name]) for name in [*plan.keys, *plan.spine_features, *plan.calendar]}
    for step in plan.steps:
        if isinstance(step, Windows):
            found |= _windows(step, row, as_of, tables[step.table])
        else:
            found |= _lookup(step, row, as_of, tables[step.table])
    for label in plan.labels:
        found |= _label(label, row, tables[label.table])
    return found | {"as_of": as_of}


def _lookup(step: Lookup, row: Row, as_of: datetime, table: Sequence[Row]) -> dict[str, Any]:
    chosen = None
    for candidate in table:
        if not _same(step.key, row, candidate):
            continue
        if isinstance(step, AsOfLookup):
            usable = candidate["known_at"] and candidate["known_at"] + step.lag
            if not usable or not as_of - step.tolerance <= usable < as_of:
                continue
            if chosen is not None and candidate["known_at"] < chosen["known_at"]:
                continue
        chosen = candidate
    return {f"{step.name}_{name}": _known(chosen[name]) if chosen else None for name in step.columns}


def _windows(step: Windows, row: Row, as_of: datetime, table: Sequence[Row]) -> dict[str, Any]:
    return {each.name: _aggregate(each, step, row, as_of, table) for each in step.aggregates}


def _aggregate(each: Aggregate, step: Windows, row: Row, as_of: datetime, table: Sequence[Row]) -> Any:
    events = [
        event
        for event in table
        if _same(step.key, row, event)
        and event[step.known_at] is not None
        and as_of - each.window <= event[step.known_at] < as_of
        and _known(event[each.column]) is not None
    ]
    events.sort(key=lambda event: event[step.known_at])  # stable: ties stay in the order of rows
    values = [event[each.column] for event in events]
    if each.function == "count":
        return len(values)
    if each.function == "distinct":
        return len(set(values))
    if not values:
        return None
    match each.function:
        case "sum":
            return math.fsum(values)
        case "mean":
            return math.fsum(values) / len(values)
        case "share_above":
            return sum(value > (each.threshold or 0) for value in values) / len(values)
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "last":
            return values[-1]
    raise ValueError(each.function)


def _label(label: LabelStep, row: Row, table: Sequence[Row]) -> dict[str, Any]:
    value = known = None
    for candidate in table:
        if _same(label.key, row, candidate):
            value, known = _known(candidate[label.column]), candidate[label.known_at]
    if value is None or known is None:
        value = known = None
    elif label.at_least is not None:
        value = int(value >= label.at_least)
    return {label.name: value, f"{label.name}_known_at": known}


def _same(key: Key, row: Row, other: Row) -> bool:
    pairs = [(row[ours], other[theirs]) for ours, theirs in zip(key.spine, key.table, strict=True)]
    return all(ours is not None and ours == theirs for ours, theirs in pairs)


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _with_calendar(plan: Plan, row: Row) -> Row:
    if plan.timezone is None or row.get("event_time") is None:
        return row
    local = row["event_time"].astimezone(ZoneInfo(plan.timezone))
    return {part: _PARTS[part](local) for part in plan.calendar} | dict(row)
