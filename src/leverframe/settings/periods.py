"""How keys of partitions are written, a form a period; `domain/partition.py` knows what they mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Period = Literal["hour", "day", "week", "month", "quarter", "year", "none"]
Arrival = Literal["hour", "day", "week", "month", "year", "none"]  # how data arrive
Grouping = Literal["hour", "day", "week", "month", "quarter", "year"]  # what one file and one stage hold

ORDER: tuple[Period, ...] = ("hour", "day", "week", "month", "quarter", "year", "none")  # from fine to coarse
ALL = "all"  # the key of the only group where data have no partitions


@dataclass(frozen=True)
class Form:
    """How a key is written: its pattern, in words, and one of them; ``date`` reads it, where Python can."""

    pattern: re.Pattern[str]
    words: str
    example: str
    date: str = "{}"


FORMS: Mapping[Period, Form] = {
    "hour": Form(re.compile(r"\d{4}-\d\d-\d\dT\d\d"), "an hour written as YYYY-MM-DDTHH", "2013-01-05T14"),
    "day": Form(re.compile(r"\d{4}-\d\d-\d\d"), "a day written as YYYY-MM-DD", "2013-01-05"),
    "week": Form(re.compile(r"\d{4}-W\d\d"), "an ISO week written as YYYY-Www", "2013-W05"),
    "month": Form(re.compile(r"\d{4}-\d\d"), "a month written as YYYY-MM", "2013-01", "{}-01"),
    "quarter": Form(re.compile(r"\d{4}-Q[1-4]"), "a quarter written as YYYY-Qn", "2013-Q1", "{:.4}-01-01"),
    "year": Form(re.compile(r"\d{4}"), "a year written as YYYY", "2013", "{}-01-01"),
    "none": Form(re.compile(ALL), f"`{ALL}`, the only one", ALL, "2013-01-01"),
}


def unit(period: Period) -> Period:
    """Return the period whose keys ranges are written in: that of the partitions, days where there are none."""
    return "day" if period == "none" else period


def period_of(text: str) -> Period | None:
    """Return the period whose form a key has; None for a text that is no key, such as the 30th of February."""
    for period, form in FORMS.items():
        if form.pattern.fullmatch(text):
            return period if _exists(form.date.format(text)) else None
    return None


def _exists(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
