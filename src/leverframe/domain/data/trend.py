"""Monitors that compare a partition with the calendar and with earlier partitions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

from leverframe.domain.data.constraint import SAMPLES, Constraint, Severity, significant
from leverframe.domain.data.statistics import ColumnStatistics, TableStatistics
from leverframe.domain.data.times import EVENT_TIME
from leverframe.domain.verdict import Reason

NO_HISTORY = "no earlier partition to compare with"


@dataclass(frozen=True)
class Freshness:
    """The newest row reaches the end of the partition.

    ``within``: the longest stretch without rows before the end that is still fresh.
    ``severity`` is that of a stale table.
    """

    within: timedelta
    severity: Severity = Severity.ERROR

    def judge(self, statistics: TableStatistics) -> tuple[Constraint, ...]:
        """Return one constraint; skipped for a static table, or if no row has a time."""
        constraint = Constraint(
            statistics.table, f"freshness(within {_length(self.within)})", column=EVENT_TIME, severity=self.severity
        )
        if statistics.end is None:
            return (constraint.skipped("a static table has no end"),)
        if statistics.current.newest is None:
            return (constraint.skipped(f"no row has a time in `{EVENT_TIME}`"),)
        gap = statistics.end - statistics.current.newest
        if gap <= self.within:
            return (constraint,)
        detail = f"the newest row is {_length(gap)} before the end of {statistics.current.partition}"
        return (constraint.failed_by(Reason.TABLE_STALE, detail=detail),)


@dataclass(frozen=True)
class Volume:
    """No volume anomaly: each day has about as many rows as the same weekday of earlier partitions.

    The distance is a robust z score: 0.6745 times the distance from the median over the median
    absolute deviation (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993).
    ``distance``: the largest z that passes. ``points``: how many earlier days of the
    same weekday the check needs, at least 4; it skips a weekday with fewer.
    ``least_deviation``: lower bound of the deviation as a share of the median, so that counts
    that never changed do not make every change infinitely far. ``severity`` is that of an anomaly.
    """

    distance: float = 8.0
    points: int = 4
    least_deviation: float = 0.01
    severity: Severity = Severity.WARN

    def __post_init__(self) -> None:
        """Refuse a history too short for a median absolute deviation."""
        if self.points < 4:
            raise ValueError(f"volume needs at least 4 points of history, not {self.points}")

    def judge(self, statistics: TableStatistics) -> tuple[Constraint, ...]:
        """Return one constraint over all days; skipped when no weekday has enough history."""
        constraint = Constraint(
            statistics.table, f"volume(z <= {self.distance:g})", column=EVENT_TIME, severity=self.severity
        )
        if statistics.begin is None or statistics.end is None:
            return (constraint.skipped("a static table has no days"),)
        usual = _same_weekday([day for earlier in statistics.history for day in earlier.daily])
        rows, days = dict(statistics.current.daily), _days(statistics.begin.date(), statistics.end.date())
        judged = [day for day in days if len(usual.get(day.weekday(), ())) >= self.points]
        if not judged:
            most = max((len(counts) for counts in usual.values()), default=0)
            because = f"too little history: {most} earlier days of a weekday, {self.points} are needed"
            return (constraint.skipped(because),)
        odd = [(day, z) for day in judged if abs(z := self._z(rows.get(day, 0), usual[day.weekday()])) > self.distance]
        if not odd:
            return (constraint,)
        odd.sort(key=lambda pair: (-abs(pair[1]), pair[0]))
        samples = tuple(
            f"{day} {day:%a}: {rows.get(day, 0):,} rows, usually {median(usual[day.weekday()]):,.0f}" for day, _ in odd
        )
        detail = f"{len(odd)} of {len(judged)} days have a volume anomaly, the largest at z = {odd[0][1]:.1f}"
        return (constraint.failed_by(Reason.VOLUME_ODD, samples=samples[:SAMPLES], detail=detail),)

    def _z(self, rows: int, usual: Sequence[int]) -> float:
        middle = median(usual)
        deviation = median(abs(count - middle) for count in usual)
        return 0.6745 * (rows - middle) / max(deviation, self.least_deviation * middle, 1.0)


@dataclass(frozen=True)
class NullRate:
    """No column is empty, and the share of nulls stays near its mean over earlier partitions.

    ``tolerance``: the largest change of the share (0 to 1) that passes. ``columns``: the
    columns to check, all if empty. ``except_columns``: those left to another monitor.
    ``severity`` is that of a changed share; a column without any value is always an error.
    """

    tolerance: float = 0.05
    columns: tuple[str, ...] = ()
    except_columns: tuple[str, ...] = ()
    severity: Severity = Severity.WARN

    def judge(self, statistics: TableStatistics) -> tuple[Constraint, ...]:
        """Return one constraint about empty columns and one about changes, or one per failed column."""
        known = {column.name: column for column in statistics.current.columns}
        named = self.columns or tuple(known)
        meant = [known[name] for name in named if name in known and name not in self.except_columns]
        empty = [column.name for column in meant if statistics.current.rows and column.nulls == statistics.current.rows]
        missing = [
            Constraint(statistics.table, "null_rate").without_column(name, known) for name in named if name not in known
        ]
        changed = self._changed(statistics, [column for column in meant if column.name not in empty])
        return (*missing, *self._empty(statistics, empty), *changed)

    def _empty(self, statistics: TableStatistics, empty: Sequence[str]) -> tuple[Constraint, ...]:
        constraint = Constraint(statistics.table, "not_empty", column=", ".join(self.columns))
        rows = statistics.current.rows
        detail = "no row has a value; `except_columns` of NullRate leaves a column out that may be so"
        fields = {"count": rows, "share": 1.0, "detail": detail}
        failed = [constraint.failed_by(Reason.COLUMN_EMPTY, column=name, **fields) for name in empty]
        return tuple(failed) or (constraint,)

    def _changed(self, statistics: TableStatistics, columns: Sequence[ColumnStatistics]) -> tuple[Constraint, ...]:
        check = f"null_rate(change <= {self.tolerance:g})"
        constraint = Constraint(statistics.table, check, column=", ".join(self.columns), severity=self.severity)
        if not statistics.history:
            return (constraint.skipped(NO_HISTORY),)
        failed = []
        for column in columns:
            rates = [rate for earlier in statistics.history if (rate := earlier.null_rate(column.name)) is not None]
            now = statistics.current.null_rate(column.name)
            usual = math.fsum(rates) / len(rates) if rates else now
            if now is None or usual is None or abs(now - usual) <= self.tolerance:
                continue
            detail = f"{now:.1%} of the rows are null, before it was {usual:.1%}"
            fields = {"column": column.name, "count": column.nulls, "share": significant(now), "detail": detail}
            failed.append(constraint.failed_by(Reason.NULL_RATE_CHANGED, **fields))
        return tuple(failed) or (constraint,)


def _same_weekday(daily: Sequence[tuple[date, int]]) -> dict[int, list[int]]:
    """Return the rows of each day, grouped by weekday (0 is Monday)."""
    usual: dict[int, list[int]] = {}
    for day, rows in daily:
        usual.setdefault(day.weekday(), []).append(rows)
    return usual


def _days(first: date, after: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((after - first).days)]


def _length(length: timedelta) -> str:
    """Return a length of time in the largest unit that leaves at least two of it."""
    hours = length / timedelta(hours=1)
    return f"{hours / 24:.3g} days" if abs(hours) >= 48 else f"{hours:.3g} hours"
