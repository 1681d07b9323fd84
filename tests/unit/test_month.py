"""Months: order, arithmetic, and how many of them a look back can touch."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.partition import Month, months, months_back
from leverframe.errors import SettingsError

some_months = st.builds(Month, st.integers(1990, 2050), st.integers(1, 12))


@given(some_months, st.integers(-500, 500))
def test_plus_and_minus_cancel(month: Month, count: int) -> None:
    """Going there and back is staying."""
    assert month.plus(count).plus(-count) == month
    assert (month.plus(count) > month) == (count > 0)


@given(some_months, st.integers(0, 900))
def test_a_look_back_never_reaches_further_than_told(month: Month, days: int) -> None:
    """From the first moment of any month, the look back begins inside the months that are read."""
    back = months_back(timedelta(days=days))
    assert month.plus(-back).start("UTC") <= month.start("UTC") - timedelta(days=days)


def test_a_look_back_reads_no_month_too_many() -> None:
    """28 days fit into one February, almost 59 into the two shortest months in a row."""
    assert [months_back(timedelta(days=days)) for days in (0, 1, 28, 29, 58, 59, 364, 365)] == [
        0,
        1,
        1,
        2,
        2,
        3,
        12,
        13,
    ]


@given(some_months, st.integers(0, 900), st.sampled_from(["America/New_York", "Europe/Paris", "Australia/Sydney"]))
def test_a_clock_change_does_not_lose_an_hour(month: Month, days: int, zone: str) -> None:
    """Hours are counted as they pass, not as the clock on the wall shows them."""
    first = month.plus(-months_back(timedelta(days=days)))
    assert first.start(zone).astimezone(UTC) <= month.start(zone).astimezone(UTC) - timedelta(days=days)


def test_ranges_cross_years_and_names_are_checked() -> None:
    """Both ends are included; anything but YYYY-MM is refused."""
    assert [str(month) for month in months("2013-11", "2014-02")] == ["2013-11", "2013-12", "2014-01", "2014-02"]
    with pytest.raises(SettingsError, match="`2013-13` is not a partition"):
        Month.of("2013-13")
