"""Which months exist, which came before, and which a window reaches back to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import total_ordering
from zoneinfo import ZoneInfo

from leverframe.errors import SettingsError

HISTORY = 2  # earlier partitions that volume and null rates of one are compared with

_WRITTEN = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


@total_ordering
@dataclass(frozen=True)
class Month:
    """One calendar month, the size of a partition."""

    year: int
    number: int

    @classmethod
    def of(cls, text: str) -> Month:
        """Return the month written as ``YYYY-MM``; raises ``SettingsError`` for anything else."""
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise SettingsError(
                f"`{text}` is not a partition",
                why="a partition is a month written as YYYY-MM",
                next="name a month such as 2013-01",
            )
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"

    def __lt__(self, other: Month) -> bool:
        return (self.year, self.number) < (other.year, other.number)

    def plus(self, months: int) -> Month:
        """Return the month ``months`` later, or earlier when negative."""
        index = self.year * 12 + self.number - 1 + months
        return Month(index // 12, index % 12 + 1)

    def start(self, timezone: str) -> datetime:
        """Return the first moment of the month in ``timezone``, with its zone."""
        return datetime(self.year, self.number, 1, tzinfo=ZoneInfo(timezone))


def months(first: str, last: str) -> list[Month]:
    """Return the months from ``first`` to ``last``, both included and written ``YYYY-MM``."""
    found, month = [], Month.of(first)
    while month <= Month.of(last):
        found.append(month)
        month = month.plus(1)
    return found


def months_back(reach: timedelta) -> int:
    """Return how many earlier months a look back over ``reach`` can touch from any moment of a month.

    The shortest stretch of n whole months decides: 28 days for one (February), 59 for two, which
    may hold a change of clocks and then lack an hour.
    """
    back = 0
    while reach > _shortest(back):
        back += 1
    return back


def _shortest(count: int) -> timedelta:
    years, rest = divmod(count, 12)
    return timedelta(days=365 * years + _DAYS[rest], hours=-1 if count > 1 else 0)


# Days in the shortest stretch of n consecutive whole months, n = 0..11.
_DAYS = (0, 28, 59, 89, 120, 150, 181, 212, 242, 273, 303, 334)
