"""How sure a figure is of blocks that tell nothing of each other: against theory, and where too few say nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from leverframe.domain.review.gate.blocks import DAYS, Blocks, exchangeable

USERS = Blocks("users", "ask more users", timed=False)


def test_the_error_of_equal_blocks_is_that_of_a_t_test() -> None:
    values = np.random.default_rng(0).normal(0.3, 2, 50)
    known = exchangeable((values - values.mean())[:, None] / 50, np.full((50, 1), 1 / 50))
    tested = ttest_1samp(values, 0)
    assert known.error[0] == pytest.approx(values.std(ddof=1) / math.sqrt(50))
    low, _ = tested.confidence_interval(0.9)
    assert values.mean() - known.margin(0.95)[0] == pytest.approx(low, rel=0.02)


def test_an_interval_of_users_of_all_sizes_covers_as_often_as_it_says() -> None:
    """A mean over rows of 40 users, of whom each has a level of its own: rows taken alone would be far too sure."""
    draw, covered, of_rows = np.random.default_rng(1), [], []
    for _ in range(600):
        sizes = draw.integers(1, 40, 40)
        user = np.repeat(np.arange(40), sizes)
        values = draw.normal(size=40)[user] + draw.normal(size=len(user))
        parts = (values - values.mean()) / len(values)
        sums = np.bincount(user, parts).astype(np.float64)[:, None]
        margin = exchangeable(sums, (sizes / sizes.sum()).astype(np.float64)[:, None]).margin(0.95)[0]
        covered.append(values.mean() - margin <= 0)
        alone = exchangeable(parts[:, None], np.full((len(parts), 1), 1 / len(parts))).margin(0.95)[0]
        of_rows.append(values.mean() - alone <= 0)
    assert 0.92 <= np.mean(covered) <= 0.98
    assert np.mean(of_rows) < 0.8


def test_too_few_blocks_or_one_that_has_nearly_all_give_no_bound() -> None:
    few = exchangeable(np.ones((13, 1)), np.full((13, 1), 1 / 13))
    assert math.isnan(few.error[0])
    uneven = np.array([0.9, *[0.1 / 29] * 29])[:, None]
    assert math.isnan(exchangeable(np.ones((30, 1)), uneven).error[0])
    assert math.isnan(exchangeable(np.full((30, 1), math.inf), np.full((30, 1), 1 / 30)).error[0])
    assert exchangeable(np.zeros((30, 1)), np.full((30, 1), 1 / 30)).error[0] == 0


def test_how_many_more_are_needed_follows_from_the_square_of_the_distance() -> None:
    assert USERS.until(0.1, 0.1, 100, 0.95) == pytest.approx(100 * 1.66**2, rel=0.01)
    assert USERS.until(0.05, 0.1, 100, 0.95) == pytest.approx(4 * USERS.until(0.1, 0.1, 100, 0.95), rel=0.01)
    assert math.isinf(USERS.until(0.0, 0.1, 100, 0.95))
    assert "independent" in USERS.method(30)
    assert "30 days" in DAYS.method(30)
