"""Intervals that cover although days depend on each other, answers that know too little, and days of the right zone."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.domain.model.evaluate.calibration import Calibration
from leverframe.domain.model.evaluate.dependence import (
    MINIMUM_DAYS,
    Scale,
    Uncertainty,
    cosines,
    days_until,
    intervals,
    uncertainty,
)
from leverframe.domain.model.evaluate.holdout import local_days, numbered
from leverframe.domain.model.evaluate.ranking import Floats
from tests.profiles import by_day, examples

EARLIEST, LATEST = datetime(1990, 1, 1), datetime(2040, 1, 1)  # noqa: DTZ001 - hypothesis adds no zone to them


def series(days: int, figures: int, memory: float, seed: int = 0) -> Floats:
    """Return daily contributions of variance 1 that remember the day before, shape (days, figures)."""
    shocks = np.random.default_rng(seed).normal(size=(days + 60, figures))
    values = [shocks[0]]
    for shock in shocks[1:]:
        values.append(memory * values[-1] + math.sqrt(1 - memory**2) * shock)
    return np.array(values[60:])


def even(daily: Floats) -> Floats:
    """Return shares of days that all have as many rows."""
    return np.full(daily.shape, 1 / len(daily))


def covered(daily: Floats) -> float:
    """Return how often the 95 % interval of the mean of days holds the truth, which is 0."""
    around = (daily - daily.mean(axis=0)) / len(daily)
    return float((np.abs(daily.mean(axis=0)) <= uncertainty(around, even(daily)).margin(0.975)).mean())


@pytest.mark.parametrize("days", by_day([40, 120, 365], 40))
@pytest.mark.parametrize("memory", [0.0, 0.4, 0.8])
def test_intervals_cover_although_days_depend_on_each_other(days: int, memory: float) -> None:
    """3,000 series each: 92 to 97 %; independent days would give as little as 50."""
    daily = series(days, 3000, memory)
    assert 0.92 <= covered(daily) <= 0.97
    if memory == 0.8:
        naive = np.abs(daily.mean(axis=0)) <= 1.96 * daily.std(axis=0) / math.sqrt(days)
        assert naive.mean() < 0.55


@pytest.mark.parametrize("season", [1.0, 5.0])
def test_a_weekly_season_is_no_noise_and_hides_none(season: float) -> None:
    """Whole weeks of a season change neither the mean nor how sure it is."""
    daily = series(126, 2000, 0.4)
    week = season * np.cos(2 * np.pi * np.arange(126) / 7)[:, None]
    plain, seasonal = (uncertainty((days - days.mean(axis=0)) / 126, even(daily)) for days in (daily, daily + week))
    assert np.median(seasonal.error / plain.error) == pytest.approx(1, abs=0.1)
    assert 0.93 <= covered(daily + week) <= 0.98


def test_dependent_days_are_worth_few_independent_ones() -> None:
    """A memory of 0.8 leaves a ninth of the days; independent ones stay as they are, whatever noise says."""
    free, bound = (uncertainty(series(365, 400, memory) / 365, np.full((365, 400), 1 / 365)) for memory in (0.0, 0.8))
    assert np.median(free.effective) > 270
    assert 20 < np.median(bound.effective) < 75
    assert (free.effective <= 365 + 1e-6).all()


@pytest.mark.parametrize("concentrated", [1.0, 0.6])
def test_rows_of_one_day_are_no_evidence(concentrated: float) -> None:
    """All or most of what a figure rests on lies on one of 60 days: too few independent periods, not certainty."""
    daily, shares = series(60, 1, 0.0) / 60, np.full((60, 1), (1 - concentrated) / 59)
    shares[30] = concentrated
    known = uncertainty(daily, shares)
    assert np.isnan(known.error).all()
    assert np.isnan(known.degrees).all()
    assert known.effective[0] < 4
    assert np.isnan(intervals(np.array([0.5]), ["share"], known, 0.95, np.array([100]))).all()


def test_one_day_that_decides_a_figure_leaves_few_degrees_of_freedom() -> None:
    """A single contribution ten times as large as all others: the spread rests on one day."""
    daily = series(120, 1, 0.0) / 120
    calm = uncertainty(daily, even(daily))
    daily[60] *= 1000
    assert uncertainty(daily, even(daily)).degrees[0] < 2 < calm.degrees[0]


@given(st.integers(0, MINIMUM_DAYS - 1))
def test_fewer_days_than_two_weeks_give_no_interval(days: int) -> None:
    """Whatever they hold."""
    daily = np.ones((days, 2))
    known = uncertainty(daily, np.full((days, 2), 1 / max(days, 1)))
    assert np.isnan(known.error).all()


@given(st.integers(14, 200), st.integers(0, 1000), st.floats(0.01, 1000))
@settings(max_examples=examples(0.3))
def test_the_unit_of_a_figure_does_not_matter(days: int, seed: int, unit: float) -> None:
    """Errors scale with it, degrees of freedom and independent days do not, and none is negative or undefined."""
    daily = series(days, 3, 0.5, seed)
    one, other = (uncertainty(values, even(daily)) for values in (daily, unit * daily))
    np.testing.assert_allclose(unit * one.error, other.error, rtol=1e-6)
    np.testing.assert_allclose(one.degrees, other.degrees, rtol=1e-6)
    assert (one.degrees > 0).all()
    assert (one.error > 0).all()


def test_a_figure_without_any_variance_is_certain() -> None:
    """Contributions of zero, as of a model against itself: no error, and no warning about 0 / 0."""
    known = uncertainty(np.zeros((30, 1)), np.full((30, 1), 1 / 30))
    assert known.error[0] == 0
    assert known.tail(np.array([0.1])) == 0
    assert known.tail(np.array([0.0])) == 1


@given(st.sampled_from(["share", "positive", "explained", "real"]), st.floats(0, 1), st.floats(0, 10), st.floats(1, 50))
def test_an_interval_holds_its_figure_and_stays_where_that_can_lie(
    scale: Scale, value: float, error: float, degrees: float
) -> None:
    """Shares within [0, 1], positive figures above 0, explained ones below 1; 0 or 1 as a share is never certain."""
    known = Uncertainty(np.array([error]), np.array([degrees]), np.array([30.0]))
    ((low, high),) = intervals(np.array([value]), [scale], known, 0.95, np.array([50]))
    slack = 1e-9 * (1 + value)
    assert low - slack <= value <= high + slack
    if scale == "share":
        assert 0 <= low <= high <= 1
        assert low < high or 0 < value < 1
    if scale == "positive" and value > 0:
        assert low >= 0
    if scale == "explained":
        assert high <= 1


def test_more_days_narrow_a_bound_until_it_tells() -> None:
    """Twice the distance needs at most a fourth of the days; none is needed where the bound tells already."""
    near, far = (days_until(distance, 0.01, 120, 0.95) for distance in (0.01, 0.02))
    assert 120 < near < 500
    assert days_until(0.03, 0.01, 120, 0.95) == 120
    assert far <= max(120, near / 3)
    assert math.isinf(days_until(0.0, 0.01, 120, 0.95))
    assert math.isinf(days_until(0.01, math.nan, 120, 0.95))
    assert math.isinf(days_until(1e-9, 0.01, 120, 0.95))


@given(st.integers(0, 10_000))
def test_nothing_faster_than_two_weeks_gives_the_spread(days: int) -> None:
    """The fastest cosine has a period of 2 * days / cosines days."""
    assert cosines(days) >= 2
    assert days < MINIMUM_DAYS or 2 * days / cosines(days) >= 14


def test_bins_have_intervals_where_their_days_allow_one() -> None:
    """A bin whose rows lie on one day has none; a bin of only hits is not certain."""
    scores = np.repeat([0.2, 0.8], 60)
    outcomes = np.concatenate([np.arange(60) % 2, np.ones(60)]).astype(float)
    spread, one_day = np.arange(120) % 60, np.repeat([0, 1], 60)
    low, high = Calibration(scores, outcomes).table(spread, 60, 0.95)
    assert low.low < 0.5 < low.high
    assert 0.5 < high.low < high.high == 1
    assert all(math.isnan(row.low) for row in Calibration(scores, outcomes).table(one_day, 60, 0.95))


def test_gaps_and_clusters_are_not_taken_for_calm() -> None:
    """A figure whose rows lie in one month of four is as sure as on a hold-out of that month alone."""
    month = series(30, 500, 0.6) / 30
    month -= month.mean(axis=0)
    within = np.zeros((120, 500))
    within[40:70] = month
    shares = np.zeros((120, 500))
    shares[40:70] = 1 / 30
    alone, among = uncertainty(month, even(month)), uncertainty(within, shares)
    np.testing.assert_allclose(alone.error, among.error, rtol=0.15)
    np.testing.assert_allclose(alone.effective, among.effective, rtol=0.3)


def test_days_of_different_size_cover_as_well() -> None:
    """Log-normal numbers of rows a day, and what days have in common: 93 to 98 % of 3,000 intervals."""
    effects = series(120, 3000, 0.4)
    sizes = np.exp(np.random.default_rng(5).normal(size=effects.shape))
    shares = sizes / sizes.sum(axis=0)
    means = (shares * effects).sum(axis=0)
    known = uncertainty(shares * (effects - means), shares)
    assert 0.93 <= (np.abs(means) <= known.margin(0.975)).mean() <= 0.98


@given(st.lists(st.integers(0, 400), max_size=60))
def test_days_are_numbered_in_order_of_time(offsets: list[int]) -> None:
    """By their position among those that occur."""
    days = np.array([date(2024, 1, 1) + timedelta(offset) for offset in offsets], dtype="datetime64[D]")
    known = sorted(set(offsets))
    assert numbered(days).tolist() == [known.index(offset) for offset in offsets]


@given(st.lists(st.datetimes(EARLIEST, LATEST), min_size=1, max_size=30))
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu", "Pacific/Apia", "UTC"])
def test_days_are_those_of_the_time_zone(zone: str, timestamps: list[datetime]) -> None:
    """Clock changes, odd offsets and a skipped day included."""
    days = local_days(np.array(timestamps, dtype="datetime64[us]"), zone)
    expected = [timestamp.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date() for timestamp in timestamps]
    assert days.astype(object).tolist() == expected
