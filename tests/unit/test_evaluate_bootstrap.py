"""Day weights that can be used again, intervals that cover, and days of the right time zone."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.evaluate.bootstrap import MINIMUM_DAYS, bounds, day_weights, intervals, local_days
from leverframe.domain.model.evaluate.metrics import METRICS, judge
from leverframe.domain.model.evaluate.weighing import ByDay, ByRow
from tests.profiles import examples

EARLIEST, LATEST = datetime(1990, 1, 1), datetime(2040, 1, 1)  # noqa: DTZ001 - hypothesis adds no zone to them


def test_day_weights_draw_as_many_days_as_there_are() -> None:
    """Shape (resamples, days), every row a draw with replacement, the same for the same seed."""
    weights = day_weights(30, 200, 7)
    assert weights.shape == (200, 30)
    assert (weights.sum(axis=1) == 30).all()
    assert (weights == day_weights(30, 200, 7)).all()
    assert (weights != day_weights(30, 200, 8)).any()
    assert weights.mean() == 1
    assert weights.var() == pytest.approx(1 - 1 / 30, rel=0.05)
    assert day_weights(0, 5, 0).shape == (5, 0)


@given(st.integers(1, 60), st.integers(0, 10_000), st.sampled_from(["binary", "multiclass", "regression"]))
@settings(max_examples=examples(0.4))
def test_weighing_by_day_is_weighing_every_row(rows: int, seed: int, kind: LabelKind) -> None:
    """Summing days first changes nothing but the time it takes."""
    draw = np.random.default_rng(seed)
    days = np.sort(draw.integers(0, 6, rows))
    answers = draw.random((rows, 3)) if kind == "multiclass" else draw.random(rows).round(1)
    labels = draw.integers(0, 3 if kind == "multiclass" else 2, rows)
    judged, draws = judge(kind, labels, answers), day_weights(6, 20, seed)
    found = judged.measure(ByDay(days, draws))
    assert found.shape == (20, len(METRICS[kind]))
    np.testing.assert_allclose(found, judged.measure(ByRow(draws[:, days].astype(float))), rtol=1e-9, atol=1e-12)


def test_intervals_over_days_cover_where_rows_would_not() -> None:
    """About 95 % of intervals hold the truth although rows of a day move together; single rows would give far fewer."""
    draw = np.random.default_rng(0)
    days, rows, trials, covered, naive = 60, 20, 200, 0, 0
    of_row = np.repeat(np.arange(days), rows)
    for trial in range(trials):
        errors = np.repeat(draw.normal(size=days), rows) + 0.5 * draw.normal(size=days * rows)
        judged = judge("regression", np.zeros(days * rows), errors)
        low, high = intervals(judged, of_row, day_weights(days, 200, trial), 0.95)[-1]
        covered += low <= 0 <= high
        naive += abs(errors.mean()) <= 1.96 * errors.std() / math.sqrt(len(errors))
    assert 0.90 <= covered / trials <= 0.98
    assert naive / trials < 0.6


def test_an_interval_needs_days_and_most_resamples() -> None:
    """Few days give none, and a metric that is undefined in most resamples has none."""
    days = np.arange(MINIMUM_DAYS - 1)
    judged = judge("regression", np.zeros(len(days)), days.astype(float))
    assert np.isnan(intervals(judged, days, day_weights(len(days), 100, 0), 0.95)).all()
    low, high = bounds(np.array([1.0, 2.0, np.nan, np.nan]), 0.95)
    assert math.isnan(low)
    assert math.isnan(high)
    assert bounds(np.array([1.0, 2.0, 3.0, np.nan]), 0.5) == (1.5, 2.5)


def test_a_slice_of_few_days_has_the_resamples_of_all() -> None:
    """A slice with rows on some days only is judged in the resamples that drew them."""
    days = np.repeat(np.arange(0, 40, 2), 5)
    judged = judge("regression", np.zeros(100), np.ones(100))
    low, high = intervals(judged, days, day_weights(40, 100, 0), 0.95)[0]
    assert (low, high) == (1.0, 1.0)


@given(st.lists(st.datetimes(EARLIEST, LATEST), min_size=1, max_size=30))
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu", "Pacific/Apia", "UTC"])
def test_days_are_those_of_the_time_zone(zone: str, moments: list[datetime]) -> None:
    """Clock changes, odd offsets and a skipped day included."""
    found = local_days(np.array(moments, dtype="datetime64[us]"), zone)
    expected = [moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date() for moment in moments]
    assert found.astype(object).tolist() == expected
