"""Partitions: keys, order, groups that leave no gap, and how many groups a look back can touch."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from leverframe.domain.partition import GROUPS, Partition, Partitions, default_group, groups_back
from leverframe.errors import SettingsError
from leverframe.settings.params import DataSettings, Params, params_of
from leverframe.settings.periods import FORMS, ORDER, Period
from tests.integration.shop import PARAMS

PERIODS: tuple[Period, ...] = tuple(period for period in ORDER if period != "none")
ARRIVALS: tuple[Period, ...] = tuple(period for period in PERIODS if period != "quarter")
ZONES = ["UTC", "America/New_York", "Europe/Paris", "Australia/Sydney", "America/Sao_Paulo"]

local_times = st.datetimes(datetime(1990, 1, 1), datetime(2050, 12, 31))  # noqa: DTZ001 - local, as clocks show it
partitions = st.builds(Partition.at, local_times, st.sampled_from(PERIODS))
months = st.builds(Partition.at, local_times, st.just("month"))


@st.composite
def cases(draw: Any) -> Partitions:
    """Draw a case: up to some hundred partitions of any period, in any longer period as a group."""
    period = draw(st.sampled_from(ARRIVALS))
    first = Partition.at(draw(local_times), period)
    group = draw(st.sampled_from(PERIODS[PERIODS.index(period) :]))
    return Partitions(first, first.plus(draw(st.integers(0, 400))), group, draw(st.sampled_from(ZONES)))


def utc(partition: Partition, zone: str) -> datetime:
    """Return the start of a partition in UTC: two times of one zone would compare as clocks show them."""
    return partition.start(zone).astimezone(UTC)


@given(partitions, st.integers(-500, 500))
def test_plus_and_minus_cancel_and_keys_come_back(partition: Partition, count: int) -> None:
    """Going there and back is staying; a key names its partition; keys are in the order of time."""
    other = partition.plus(count)
    assert other.plus(-count) == partition
    assert (other > partition) == (count > 0) == (str(other) > str(partition))
    assert Partition.of(str(other)) == Partition.of(str(other), other.period) == other


@given(partitions, st.sampled_from(ZONES))
def test_one_begins_where_the_one_before_ends(partition: Partition, zone: str) -> None:
    """Nothing lies between two partitions or in both, whatever clocks do."""
    start, end = utc(partition, zone), utc(partition.plus(1), zone)
    assert start <= end
    if start < end:
        everything = Partitions(partition.plus(-1), partition.plus(1), partition.period, zone)
        assert everything.group_at(start) == everything.group_at(end - timedelta(microseconds=1)) == partition


@pytest.mark.parametrize(
    ("zone", "skipped", "hours"),
    [
        ("America/New_York", "2013-03-10T02", (1, 0, 1)),
        ("Australia/Lord_Howe", "2013-10-06T02", (1, 0.5, 1)),
        ("Antarctica/Troll", "2013-03-31T01", (1, 0, 0)),
        ("Europe/Paris", "2013-10-27T02", (1, 2, 1)),
    ],
)
def test_an_hour_that_clocks_skip_is_empty(zone: str, skipped: str, hours: tuple[float, ...]) -> None:
    """And one that they show twice is two hours long."""
    starts = [utc(Partition.of(skipped).plus(count), zone) for count in (-1, 0, 1, 2)]
    assert tuple((b - a) / timedelta(hours=1) for a, b in itertools.pairwise(starts)) == hours


def test_a_day_that_a_zone_skipped_is_empty() -> None:
    """Samoa had no 30 December 2011."""
    days = [Partition.of(f"2011-12-{day}") for day in (29, 30, 31)]
    starts = [utc(day, "Pacific/Apia") for day in days]
    assert starts[1] - starts[0] == timedelta(days=1)
    assert starts[2] == starts[1]


@given(cases())
def test_groups_hold_every_partition_once(case: Partitions) -> None:
    """Groups follow one another without a gap, hold whole partitions, and end with the data."""
    groups = case.groups()
    held = [part for group in groups for part in case.parts(group)]
    assert held == [case.first.plus(count) for count in range(len(held))]
    assert held[-1] == case.last
    bounds = [tuple(bound.astimezone(UTC) for bound in case.bounds(group)) for group in groups]
    assert bounds[0][0] == utc(case.first, case.timezone)
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(bounds))
    assert bounds[-1][1] == case.end.astimezone(UTC)
    assert {part.within(case.group) for part in case.parts(groups[-1])} == {groups[-1]}


@given(cases(), st.integers(0, 24 * 900))
def test_a_look_back_never_reaches_further_than_told(case: Partitions, hours: int) -> None:
    """From the first timestamp of any group the look back begins inside the groups that are read, as hours pass."""
    reach, back = timedelta(hours=hours), case.back(timedelta(hours=hours))
    endless = Partitions(case.first.plus(-30_000), case.last, case.group, case.timezone)
    for group in {case.groups()[0], case.groups()[-1]}:
        start = endless.bounds(group)[0].astimezone(UTC)
        assert endless.bounds(group.plus(-back))[0].astimezone(UTC) <= start - reach


@given(months, st.integers(0, 900))
@example(Partition.of("2014-03"), 28)
def test_a_look_back_over_months_needs_no_change_of_clocks(month: Partition, days: int) -> None:
    """In UTC the shortest months alone decide."""
    first = month.plus(-groups_back(timedelta(days=days), "month"))
    assert utc(first, "UTC") <= utc(month, "UTC") - timedelta(days=days)


def test_a_look_back_reads_no_group_too_many() -> None:
    """28 days fit into one February, almost 59 into the two shortest months in a row; clocks may skip an hour."""
    days = (0, 1, 28, 29, 58, 59, 364, 365)
    assert [groups_back(timedelta(days=day), "month") for day in days] == [0, 1, 1, 2, 2, 3, 12, 13]
    hours = (0, 1, 2, 23, 24, 47)
    assert [groups_back(timedelta(hours=hour), "day") for hour in hours] == [0, 1, 1, 1, 2, 2]
    assert [groups_back(timedelta(hours=hour), "hour") for hour in hours] == [0, 2, 3, 24, 25, 48]
    assert [groups_back(timedelta(days=day), "quarter") for day in (89, 90, 180, 365)] == [1, 2, 2, 5]
    assert [groups_back(timedelta(days=day), "month", "week") for day in (27, 28, 55, 56)] == [1, 2, 2, 3]
    assert groups_back(timedelta(days=9000), "none") == 0


def declared(period: str, first: str, last: str, group: str | None = None) -> Partitions:
    """Return the partitions that settings declare."""
    content = {"case": "c", "timezone": "UTC", "period": period, "first": first, "last": last, "group": group}
    return Partitions.of(DataSettings.model_validate(content))


@pytest.mark.parametrize(
    ("period", "first", "last", "group", "number"),
    [
        ("month", "2013-01", "2013-12", "month", 12),
        ("month", "2013-01", "2014-02", "month", 14),
        ("month", "2013-01", "2014-03", "quarter", 5),
        ("day", "2013-01-01", "2013-01-14", "day", 14),
        ("day", "2013-01-01", "2013-01-31", "week", 5),
        ("day", "2013-01-01", "2014-02-04", "month", 14),
        ("day", "2013-01-01", "2014-12-31", "quarter", 8),
        ("hour", "2013-01-05T00", "2013-01-06T23", "day", 2),
        ("week", "2013-W01", "2013-W52", "month", 13),
        ("year", "1990", "2013", "year", 24),
        ("none", "2013-01-01", "2013-12-31", "none", 1),
    ],
)
def test_the_default_grouping_is_the_finest_that_makes_few_stages(
    period: str, first: str, last: str, group: str, number: int
) -> None:
    """At most fourteen groups, which is about fifty stages; only years have no coarser period."""
    case = declared(period, first, last)
    assert (case.group, len(case.groups())) == (group, number)
    assert case.coarse == (group != period or period == "none")


@given(cases())
def test_the_default_grouping_has_few_groups(case: Partitions) -> None:
    """And the next finer one has more."""
    group = default_group(case.first, case.last)
    finer = PERIODS[PERIODS.index(case.first.period) : PERIODS.index(group)]
    counts = [len(Partitions(case.first, case.last, period, "UTC").groups()) for period in finer]
    assert all(count > GROUPS for count in counts)
    assert group == "year" or len(Partitions(case.first, case.last, group, "UTC").groups()) <= GROUPS


def test_a_week_belongs_to_the_month_of_its_monday() -> None:
    """So a month of weeks begins with its first Monday, and holds whole weeks."""
    case = declared("week", "2013-W01", "2013-W14", "month")
    assert [str(group) for group in case.groups()] == ["2012-12", "2013-01", "2013-02", "2013-03", "2013-04"]
    assert [str(week) for week in case.parts(Partition.of("2013-01"))] == [
        "2013-W02",
        "2013-W03",
        "2013-W04",
        "2013-W05",
    ]
    assert case.bounds(Partition.of("2013-01")) == (datetime(2013, 1, 7, tzinfo=UTC), datetime(2013, 2, 4, tzinfo=UTC))


def test_a_group_ends_with_the_data_and_one_outside_is_whole() -> None:
    """A partly filled group is as long as its partitions; `until` takes partitions from the end."""
    case = declared("day", "2013-01-05", "2013-02-10", "month")
    february = Partition.of("2013-02")
    assert case.bounds(Partition.of("2013-01"))[0] == datetime(2013, 1, 5, tzinfo=UTC)
    assert case.bounds(february)[1] == datetime(2013, 2, 11, tzinfo=UTC)
    assert case.until("2013-02-03").bounds(february)[1] == datetime(2013, 2, 4, tzinfo=UTC)
    assert case.bounds(Partition.of("2013-03"))[1] == datetime(2013, 4, 1, tzinfo=UTC)
    assert [str(group) for group in case.groups("2013-02-01", "2013-02-03")] == ["2013-02"]


@pytest.mark.parametrize(
    "text", ["2013-13", "2013-02-30", "2013-W53", "2013-01-05T24", "2013-Q5", "13", "2013-1", "0000", "everything", ""]
)
def test_what_is_no_key_is_refused(text: str) -> None:
    """A date that does not exist is none either."""
    with pytest.raises(SettingsError, match="is not a partition"):
        Partition.of(text)


def test_partitions_of_two_periods_have_no_order_and_a_key_of_another_grouping_is_refused() -> None:
    """A month is neither before nor after one of its days."""
    with pytest.raises(TypeError):
        assert Partition.of("2013-01") < Partition.of("2013-01-05")
    with pytest.raises(SettingsError) as refused:
        Partition.of("2013-01-05", "month")
    assert refused.value.why == "a partition is a month written as YYYY-MM"
    with pytest.raises(SettingsError, match="`2013-01` is not a partition that has files") as refused:
        declared("month", "2013-01", "2014-12").named("2013-01")
    assert "2013-Q1" in refused.value.why
    with pytest.raises(ValueError, match="no beginning"):
        Partition.of("all").start("UTC")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"first": 2024}, 'write it in quotes, "2024"'),
        ({"period": "day"}, "a partition is a day written as YYYY-MM-DD where `data.period` is day, not `2024-01`"),
        ({"period": "none"}, "a day written as YYYY-MM-DD where `data.period` is none"),
        ({"group": "week"}, "a week cannot hold whole partitions where `period` is month"),
        ({"period": "quarter"}, "data.period"),
        ({"first": "2024-06"}, "is later than last"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any], words: str) -> None:
    """Keys of another period, a group that would cut partitions, numbers that YAML made of a key."""
    content = yaml.safe_load(PARAMS)
    content["data"] |= change
    with pytest.raises(SettingsError) as refused:
        params_of(content, name="params.yaml")
    assert words in refused.value.render()


def test_ranges_of_the_split_are_of_the_period_of_the_data() -> None:
    """Days are split at days, whatever the group."""
    content = yaml.safe_load(PARAMS)
    content["data"] |= {"period": "day", "first": "2024-01-01", "last": "2024-05-31"}
    with pytest.raises(SettingsError, match="does not fit"):
        params_of(content, name="params.yaml")
    content["features"] |= {
        "train": {"first": "2024-01-01", "last": "2024-03-10"},
        "holdout": {"first": "2024-03-11", "last": "2024-05-31"},
    }
    assert isinstance(params_of(content, name="params.yaml"), Params)


def test_every_form_has_an_example_of_itself() -> None:
    """What an error offers is accepted."""
    assert all(Partition.of(form.example).period == period for period, form in FORMS.items())
