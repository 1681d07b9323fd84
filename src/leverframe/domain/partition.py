"""Which partitions exist, which came before, which group's file holds them, and how far back a window reaches.

The only module that knows the calendar. Data arrive in partitions of one period: an hour, a day, a
week, a month, a year, or all at once. A group is a longer period that holds whole partitions; it has
one file a table and one stage each, so that a pipeline has few stages however fine the partitions are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import total_ordering
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from leverframe.errors import SettingsError
from leverframe.settings.periods import ALL, FORMS, ORDER, Period, period_of, unit

if TYPE_CHECKING:
    from leverframe.settings.params import DataSettings

HISTORY = {"week": 4, "none": 0}  # earlier groups that volume and null rates of one are compared with, else 2
GROUPS = 14  # the default grouping is the finest that has no more: about 50 stages

_HOUR = timedelta(hours=1)
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


@total_ordering
@dataclass(frozen=True)
class Partition:
    """One hour, day, ISO week, month, quarter or year, counted from the first there is; or all time.

    Two of different periods have no order.
    """

    period: Period
    ordinal: int

    @classmethod
    def of(cls, text: str, *periods: Period) -> Partition:
        """Return the partition with that key, of one of the ``periods`` if any are given.

        Raises ``SettingsError`` for a text that is no such key.
        """
        period = period_of(text)
        if period is None or (periods and period not in periods):
            forms = [FORMS[name] for name in periods or ORDER]
            raise SettingsError(
                f"`{text}` is not a partition",
                why=f"a partition is {' or '.join(form.words for form in forms)}",
                next=f"name one such as {forms[0].example}",
            )
        if period == "none":
            return cls(period, 0)
        if period == "quarter":
            return cls(period, int(text[:4]) * 4 + int(text[-1]) - 1)
        return cls.at(datetime.fromisoformat(FORMS[period].date.format(text)), period)

    @classmethod
    def at(cls, local: datetime, period: Period) -> Partition:
        """Return the partition of ``period`` that holds a local time, given without its zone."""
        day = local.toordinal()
        if period in _MONTHS:
            return cls(period, (local.year * 12 + local.month - 1) // _MONTHS[period])
        ordinals = {"hour": day * 24 + local.hour, "day": day, "week": (day - 1) // 7, "none": 0}
        return cls(period, ordinals[period])

    def __str__(self) -> str:
        if self.period == "none":
            return ALL
        day, length = self.first_day, {"day": 10, "month": 7, "year": 4}
        match self.period:
            case "hour":
                return f"{day}T{self.ordinal % 24:02d}"
            case "week":
                return "{:04d}-W{:02d}".format(*day.isocalendar())
            case "quarter":
                return f"{day.year:04d}-Q{self.ordinal % 4 + 1}"
        return str(day)[: length[self.period]]

    def __lt__(self, other: Partition) -> bool:
        return self.ordinal < other.ordinal if self.period == other.period else NotImplemented

    @property
    def first_day(self) -> date:
        """The date on which it begins."""
        return self.begins.date()

    @property
    def begins(self) -> datetime:
        """The local time at which it begins, without a zone; raises ``ValueError`` for all time, which does not."""
        match self.period:
            case "hour":
                return datetime.fromordinal(self.ordinal // 24) + self.ordinal % 24 * _HOUR
            case "day":
                return datetime.fromordinal(self.ordinal)
            case "week":
                return datetime.fromordinal(self.ordinal * 7 + 1)
            case "none":
                raise ValueError("all time has no beginning")
        month = self.ordinal * _MONTHS[self.period]
        return datetime(month // 12, month % 12 + 1, 1)  # noqa: DTZ001 - local, as clocks show it

    def plus(self, count: int) -> Partition:
        """Return the partition ``count`` later, or earlier when negative."""
        return replace(self, ordinal=self.ordinal + count)

    def start(self, timezone: str) -> datetime:
        """Return the timestamp at which it begins in ``timezone``, with its zone.

        Each begins where the one before ends: an hour that clocks skip is empty, one that they
        show twice lasts until the second is over.
        """
        zone = ZoneInfo(timezone)
        start = self.begins.replace(tzinfo=zone)
        if start.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == self.begins:
            return start
        return min(start.astimezone(UTC), self.plus(1).start(timezone).astimezone(UTC)).astimezone(zone)

    def within(self, period: Period) -> Partition:
        """Return the longer period that it belongs to: a week to that of its Monday."""
        return Partition(period, 0) if period == "none" else Partition.at(self.begins, period)


@dataclass(frozen=True)
class Partitions:
    """All partitions of a case, from ``first`` to ``last``, in groups.

    ``group`` is the period of a group; ``timezone`` the IANA zone in which a day begins. Where data
    have no partitions ``first`` and ``last`` are days, and one group holds them all.
    """

    first: Partition
    last: Partition
    group: Period
    timezone: str

    @classmethod
    def of(cls, data: DataSettings) -> Partitions:
        """Return the partitions that settings declare; without ``group`` in its default grouping."""
        first, last = (Partition.of(key, unit(data.period)) for key in (data.first, data.last))
        group: Period = "none" if data.period == "none" else data.group or default_group(first, last)
        return cls(first, last, group, data.timezone)

    @property
    def coarse(self) -> bool:
        """Tell whether a group holds several partitions, so that the newest may be filled in part."""
        return self.group != self.first.period

    @property
    def period(self) -> Period:
        """The period of the partitions, `none` where data have none."""
        return "none" if self.group == "none" else self.first.period

    @property
    def history(self) -> int:
        """How many earlier groups the data of one are compared with."""
        return HISTORY.get(self.group, 2)

    @property
    def start(self) -> datetime:
        """The timestamp at which the data begin."""
        return self.first.start(self.timezone)

    @property
    def end(self) -> datetime:
        """The timestamp at which the data end."""
        return self.last.plus(1).start(self.timezone)

    def groups(self, first: str | None = None, last: str | None = None) -> list[Partition]:
        """Return the groups that exist, in order; given keys of partitions, those that hold them."""
        start, end = (
            default if key is None else Partition.of(key, default.period)
            for key, default in ((first, self.first), (last, self.last))
        )
        return list(_between(start.within(self.group), end.within(self.group)))

    def named(self, key: str) -> Partition:
        """Return the group with that key; raises ``SettingsError`` for a text that is none."""
        if period_of(key) != self.group:
            raise SettingsError(
                f"`{key}` is not a partition that has files of its own",
                why=f"a file holds {FORMS[self.group].words}, such as {self.groups()[0]}",
                next="name one such, or set `group` under `data` in params.yaml and run `leverframe stages --write`",
            )
        return Partition.of(key)

    def group_at(self, timestamp: datetime) -> Partition:
        """Return the group in which a timestamp lies, or would lie."""
        local = timestamp.astimezone(ZoneInfo(self.timezone)).replace(tzinfo=None)
        return Partition.at(local, self.first.period).within(self.group)

    def parts(self, group: Partition) -> list[Partition]:
        """Return the partitions of a group that exist, in order; hours that clocks skipped do not."""
        parts = list(_between(*self._ends(group)))
        return [part for part in parts if part.start(self.timezone) != part.plus(1).start(self.timezone)] or parts

    def bounds(self, group: Partition) -> tuple[datetime, datetime]:
        """Return where a group begins and ends, end excluded: no later than the data, unless it lies outside."""
        first, last = self._ends(group)
        return first.start(self.timezone), last.plus(1).start(self.timezone)

    def whole(self, group: Partition) -> Partitions:
        """Return all partitions of a group or of another longer period, whether or not their data exist."""
        if group.period == "none":
            return self
        first, after = (Partition.at(partition.begins, self.first.period) for partition in (group, group.plus(1)))
        # A week around the turn of two months belongs to the month before.
        first = first if first.within(group.period) == group else first.plus(1)
        last = after.plus(-1) if after.within(group.period) == group.plus(1) else after
        return replace(self, first=first, last=last)

    def _ends(self, group: Partition) -> tuple[Partition, Partition]:
        first, last = (whole := self.whole(group)).first, whole.last
        if first > self.last or last < self.first:
            return first, last
        return max(first, self.first), min(last, self.last)

    def until(self, key: str | None) -> Partitions:
        """Return the partitions up to the one with that key, which is their last."""
        return self if key is None else replace(self, last=Partition.of(key, self.first.period))

    def back(self, reach: timedelta) -> int:
        """Return how many earlier groups a look back over ``reach`` can touch from any timestamp of a group."""
        return groups_back(reach, self.group, self.first.period)


def default_group(first: Partition, last: Partition) -> Period:
    """Return the finest grouping that has at most ``GROUPS`` groups; years where none has."""
    for period in ORDER[ORDER.index(first.period) : -1]:
        if last.within(period).ordinal - first.within(period).ordinal < GROUPS:
            return period
    return "year"


def groups_back(reach: timedelta, group: Period, period: Period | None = None) -> int:
    """Return how many earlier groups a look back over ``reach`` can touch from any timestamp of a group.

    The shortest stretch of n whole groups decides. For months that is 28 days for one (February) and
    59 for two, which may hold a change of clocks and then lack an hour. Where partitions are weeks, a
    group is as many whole weeks as have their Monday in it.
    """
    back = 0
    while group != "none" and reach > _shortest(back, group, period or group):
        back += 1
    return back


def _shortest(count: int, group: Period, period: Period) -> timedelta:
    if group not in _MONTHS:
        length = {"hour": _HOUR, "day": 24 * _HOUR, "week": 7 * 24 * _HOUR}[group]
        return max(count * length - _HOUR, timedelta(0))
    years, rest = divmod(count * _MONTHS[group], 12)
    days = 365 * years + (_DAYS if group == "month" else _ALIGNED)[rest]
    if period == "week":
        days = days // 7 * 7
    lacking = timedelta(0) if count == 0 or (group == period == "month" and count == 1) else _HOUR
    return timedelta(days=days) - lacking


def _between(first: Partition, last: Partition) -> Iterator[Partition]:
    return (first.plus(count) for count in range(last.ordinal - first.ordinal + 1))


# Days in the shortest stretch of n consecutive whole months, of any and of whole quarters.
_DAYS = (0, 28, 59, 89, 120, 150, 181, 212, 242, 273, 303, 334)
_ALIGNED = {0: 0, 3: 90, 6: 181, 9: 273}
