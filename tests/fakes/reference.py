"""What a plan means, row by row and without any cleverness: the reference that engines must equal.

Slow on purpose: plain Python over lists of dictionaries, so that each rule can be read. Tables
are given in the order of their rows; timestamps are aware datetimes. A row counts from the latest of
its event, its arrival and the fact's column; a row's own events do not count for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from leverframe.domain.features.plan import Aggregate, AsOfLookup, Corrected, Key, LabelStep, Lookup, Plan, Windows

Row = Mapping[str, Any]
Tables = Mapping[str, Sequence[Row]]

_EVER = datetime.min.replace(tzinfo=UTC)
_PARTS = {
    "hour": lambda timestamp: timestamp.hour,
    "weekday": lambda timestamp: timestamp.weekday(),
    "day": lambda timestamp: timestamp.day,
    "day_of_year": lambda timestamp: timestamp.timetuple().tm_yday,
    "month": lambda timestamp: timestamp.month,
}


def reference(plan: Plan, spine: Sequence[Row], tables: Tables) -> list[dict[str, Any]]:
    """Return a row for each row of ``spine``: keys, features, ``as_of`` and labels."""
    shown = {name: [_with_calendar(plan, row) for row in rows] for name, rows in tables.items()}
    if plan.corrected:
        spine = _newest_in_time(plan, plan.corrected, spine)
    return [_row(plan, _with_calendar(plan, row), shown) for row in spine]


def _row(plan: Plan, row: Row, tables: Tables) -> dict[str, Any]:
    as_of = row["event_time"] - plan.lead_time
    values = {name: _known(row[name]) for name in [*plan.keys, *plan.spine_features, *plan.calendar]}
    for step in plan.steps:
        if isinstance(step, Windows):
            values |= _windows(step, row, as_of, tables[step.table])
        else:
            values |= _lookup(step, row, as_of, tables[step.table])
    for label in plan.labels:
        values |= _not_before(label, _arrival(plan.corrected, row), _label(label, row, tables[label.table]))
    return values | {"as_of": as_of}


def _arrival(corrected: Corrected | None, row: Row) -> datetime:
    """Return when a row of the spine, or this version of it, was there."""
    times: list[datetime] = [row["event_time"], row["known_at"], *([_recorded(row, corrected)] if corrected else [])]
    return max(times)


def _not_before(label: LabelStep, arrived: datetime, values: dict[str, Any]) -> dict[str, Any]:
    """Return a label that is known no earlier than the row that it belongs to."""
    known_at, *versions = list(label.outputs())[1:]
    if values[known_at] is not None:
        values[known_at] = max(values[known_at], arrived)
    for name in versions:
        history = values[name]
        values[name] = history and [version | {"known_at": max(version["known_at"], arrived)} for version in history]
    return values


def _since(row: Row, known_at: str) -> datetime | None:
    """Return since when a row counts for a fact; None for never."""
    return None if row[known_at] is None else max(row["event_time"], row["known_at"], row[known_at])


def _newest_in_time(plan: Plan, corrected: Corrected, spine: Sequence[Row]) -> list[Row]:
    """Return of each row the newest version that was recorded before the row's own timestamp, else the first."""
    chosen: dict[int, Row] = {}
    for rows in _of_one(corrected, spine):
        ordered = sorted(rows, key=lambda at: (_recorded(spine[at], corrected), at))
        in_time = [at for at in ordered if _recorded(spine[at], corrected) < spine[at]["event_time"] - plan.lead_time]
        at = in_time[-1] if in_time else ordered[0]
        chosen[at] = spine[at]
    return [chosen[at] for at in sorted(chosen)]


def _recorded(row: Row, corrected: Corrected) -> datetime:
    return row[corrected.recorded_at] or _EVER


def _of_one(corrected: Corrected, table: Sequence[Row]) -> list[list[int]]:
    """Return the positions of the rows that are versions of one, in the order of the table."""
    groups: dict[Any, list[int]] = {}
    for at, row in enumerate(table):
        key = tuple(row[name] for name in corrected.key)
        groups.setdefault(("alone", at) if None in key else key, []).append(at)
    return list(groups.values())


def _known_versions(
    corrected: Corrected, known_at: str, table: Sequence[Row], before: datetime | None
) -> list[tuple[datetime, int, list[tuple[datetime, Row]]]]:
    """Return each event that happened: its place, its row, and its versions with the timestamps they became known."""
    events = []
    for rows in _of_one(corrected, table):
        seen = []
        for at in rows:
            times = [table[at][name] for name in ("event_time", "known_at", known_at, corrected.recorded_at)]
            known = max(time for time in times if time is not None)
            if before is None or known < before:
                seen.append((known, _recorded(table[at], corrected), at))
        seen.sort()
        happened = [number for number, (_, _, at) in enumerate(seen) if table[at][known_at] is not None]
        if happened:
            place, _, first = seen[happened[0]]
            events.append((place, first, [(known, table[at]) for known, _, at in seen[happened[0] :]]))
    return events


def _corrected_events(
    aggregate: Aggregate, step: Windows, row: Row, as_of: datetime, table: Sequence[Row]
) -> list[Row]:
    """Return the newest known versions of the events whose place is in the window, in the order of places."""
    assert step.corrected is not None
    events = _known_versions(step.corrected, step.known_at, table, as_of)
    inside = sorted((event for event in events if event[0] >= as_of - aggregate.window), key=lambda event: event[:2])
    newest = [versions[-1][1] for _, _, versions in inside]
    return [
        version
        for version in newest
        if version[step.known_at] is not None
        and _same(step.key, row, version)
        and not _own(step, row, version)
        and _known(version[aggregate.column]) is not None
    ]


def _lookup(step: Lookup, row: Row, as_of: datetime, table: Sequence[Row]) -> dict[str, Any]:
    chosen = None
    for candidate in table:
        if not _same(step.key, row, candidate):
            continue
        if isinstance(step, AsOfLookup):
            known = max(candidate["event_time"], candidate["known_at"])
            if known - candidate["event_time"] > step.tolerance:
                continue
            if not as_of - step.tolerance <= known + step.lag < as_of:
                continue
            if chosen is not None and known < max(chosen["event_time"], chosen["known_at"]):
                continue
        chosen = candidate
    return {f"{step.name}_{name}": _known(chosen[name]) if chosen else None for name in step.columns}


def _windows(step: Windows, row: Row, as_of: datetime, table: Sequence[Row]) -> dict[str, Any]:
    return {aggregate.name: _aggregate(aggregate, step, row, as_of, table) for aggregate in step.aggregates}


def _events(aggregate: Aggregate, step: Windows, row: Row, as_of: datetime, table: Sequence[Row]) -> list[Row]:
    """Return the events of the window whose value is known, in the order of timestamps."""
    events = [
        event
        for event in table
        if _same(step.key, row, event)
        and not _own(step, row, event)
        and (known := _since(event, step.known_at)) is not None
        and as_of - aggregate.window <= known < as_of
        and _known(event[aggregate.column]) is not None
    ]
    # Stable: ties stay in the order of rows.
    return sorted(events, key=lambda event: _since(event, step.known_at) or _EVER)


def _own(step: Windows, row: Row, event: Row) -> bool:
    return bool(step.own) and _same(Key(step.own or (), step.own or ()), row, event)


def _aggregate(aggregate: Aggregate, step: Windows, row: Row, as_of: datetime, table: Sequence[Row]) -> Any:
    events = (_corrected_events if step.corrected else _events)(aggregate, step, row, as_of, table)
    values = [event[aggregate.column] for event in events]
    if aggregate.function == "count":
        return len(values)
    if aggregate.function == "distinct":
        return len(set(values))
    if not values:
        return None
    match aggregate.function:
        case "sum":
            return _rounded(sum(map(Fraction, values)))
        case "mean":
            total = sum(map(Fraction, values))
            rounded = _rounded(total)
            return _rounded(total / len(values)) if rounded is None else rounded / len(values)
        case "share_above":
            return sum(_above(value, aggregate.threshold or 0) for value in values) / len(values)
        case "min":
            return _rounded(Fraction(min(values)))
        case "max":
            return _rounded(Fraction(max(values)))
        case "last":
            return values[-1]
    raise ValueError(aggregate.function)


def _rounded(number: Any) -> float | None:
    """Return the nearest double, None beyond the largest."""
    try:
        return float(number)
    except OverflowError:
        return None


def _above(value: Any, limit: float) -> bool:
    """Tell whether a value is greater; to a decimal a limit is what is written, to a double the nearest one."""
    return bool(Fraction(value) > _limit(value, limit))


def _at_least(value: Any, limit: float) -> bool:
    """Tell whether a value is as large or larger, as in ``_above``."""
    return bool(Fraction(value) >= _limit(value, limit))


def _limit(value: Any, limit: float) -> Fraction:
    return Fraction(str(limit)) if isinstance(value, Decimal) else Fraction(limit)


def _label(label: LabelStep, row: Row, table: Sequence[Row]) -> dict[str, Any]:
    if label.corrected:
        return _corrected_label(label, label.corrected, row, table)
    value = known = None
    for candidate in table:
        if _same(label.key, row, candidate):
            value, known = _known(candidate[label.column]), _since(candidate, label.known_at)
    if value is None or known is None:
        value = known = None
    elif label.at_least is not None:
        value = int(_at_least(value, label.at_least))
    return {label.name: value, f"{label.name}_known_at": known}


def _corrected_label(label: LabelStep, corrected: Corrected, row: Row, table: Sequence[Row]) -> dict[str, Any]:
    for _, _, versions in _known_versions(corrected, label.known_at, table, None):
        if _same(label.key, row, versions[0][1]):
            history = [{"known_at": known, "value": _learnt(label, version)} for known, version in versions]
            known = history[-1]["known_at"] if history[-1]["value"] is not None else None
            return {
                label.name: history[-1]["value"],
                f"{label.name}_known_at": known,
                f"{label.name}_versions": history,
            }
    return dict.fromkeys(label.outputs())


def _learnt(label: LabelStep, row: Row) -> Any:
    value = _known(row[label.column]) if row[label.known_at] is not None else None
    return value if value is None or label.at_least is None else int(_at_least(value, label.at_least))


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
