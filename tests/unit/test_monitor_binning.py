"""Bins of a column: every row is counted once, whatever it holds, and nothing of a single row is stored."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from leverframe.documents import parsed, plain
from leverframe.domain.monitoring.batch import Levels, Numbers
from leverframe.domain.monitoring.binning import SHARED, Binning, binning, binnings
from leverframe.domain.monitoring.distances import cramers_v, js, ks, psi, wasserstein
from leverframe.domain.monitoring.monitored_column import MonitoredColumn
from tests.unit.monitored import numbers, texts

ANY_NUMBER = st.floats(allow_nan=True, allow_infinity=True, width=64)
ANY_TEXT = st.one_of(st.none(), st.sampled_from(["a", "b", "c", ""]), st.text(max_size=4))
COLUMN, TEXT = MonitoredColumn("x", "numeric"), MonitoredColumn("c", "categorical")


@given(st.lists(ANY_NUMBER, max_size=60), st.lists(ANY_NUMBER, max_size=60))
def test_every_number_is_counted_once(reference: list[float], live: list[float]) -> None:
    bins = binning(COLUMN, numbers(*reference * 3))
    counts = bins.counts(numbers(*live))
    assert counts.rows == len(live)
    assert counts.missing == sum(math.isnan(value) for value in live)
    assert len(counts.bins) == bins.size
    assert (counts.bins >= 0).all()
    assert 0 <= counts.new <= counts.known
    assert parsed(Binning, json.dumps(plain(bins))) == bins


@given(st.lists(ANY_TEXT, max_size=60), st.lists(ANY_TEXT, max_size=60))
def test_every_text_is_counted_once(reference: list[str | None], live: list[str | None]) -> None:
    bins = binning(TEXT, texts(*reference * 3))
    counts = bins.counts(texts(*live))
    assert counts.rows == len(live)
    assert counts.missing == live.count(None)
    assert counts.new == sum(value is not None and value not in bins.names for value in live)


@given(st.lists(ANY_NUMBER, min_size=1, max_size=40), st.lists(ANY_TEXT, min_size=1, max_size=40))
def test_a_column_of_another_type_is_unreadable_or_new_and_never_an_error(
    values: list[float], levels: list[str | None]
) -> None:
    of_numbers, of_texts = binning(COLUMN, numbers(*values)), binning(TEXT, texts(*levels))
    as_texts = of_numbers.counts(texts(*levels))
    assert (as_texts.unreadable, as_texts.known) == (len(levels) - levels.count(None), 0)
    as_numbers = of_texts.counts(numbers(*values))
    assert as_numbers.new == as_numbers.known == sum(not math.isnan(value) for value in values)
    assert binning(COLUMN, texts(*levels)).size == 1
    assert binning(TEXT, numbers(*values)).size == 1


@given(st.lists(st.integers(0, 5), min_size=1, max_size=200), st.lists(st.integers(-2, 8), max_size=50))
def test_numbers_of_few_values_have_a_bin_each_and_others_are_new(reference: list[int], live: list[int]) -> None:
    bins = binning(MonitoredColumn("x", "discrete"), numbers(*reference))
    shared = {value for value in reference if reference.count(value) >= SHARED}
    if not shared:
        return
    assert bins.edges == tuple(sorted(shared))
    assert bins.counts(numbers(*live)).new == sum(value not in shared for value in live)


def test_rare_values_are_not_stored() -> None:
    levels = ["common"] * 500 + ["few"] * (SHARED - 1) + [f"id {number}" for number in range(300)]
    assert binning(TEXT, texts(*levels)).names == ("common",)
    assert binning(COLUMN, numbers(*[1.0] * 50, *[2.0] * (SHARED - 1))).edges == (1.0,)
    kept = np.random.default_rng(0).lognormal(0, 1, 5000)
    assert not set(binning(COLUMN, numbers(*kept)).edges) & set(kept.tolist())


def test_numbers_after_the_comma_do_not_split_a_spike() -> None:
    bins = binning(
        COLUMN, Numbers(np.concatenate([np.full(6000, 0.1 + 0.2), np.random.default_rng(0).normal(5, 1, 4000)]))
    )
    assert (bins.counts(numbers(0.3, 0.1 + 0.2)).bins > 0).sum() == 1


def test_a_constant_column_sees_another_constant() -> None:
    bins = binning(COLUMN, numbers(*[7.0] * 100))
    pool, other = bins.counts(numbers(*[7.0] * 100)), bins.counts(numbers(*[7.5] * 100))
    assert float(ks(pool.bins, other.bins)) == 1.0
    assert (pool.new, other.new) == (0, 100)


def test_a_column_that_is_absent_has_one_bin() -> None:
    assert binnings([COLUMN, TEXT], {})["x"].counts(numbers(1.0, math.nan)).known == 1


@pytest.mark.parametrize("heavy", [False, True])
def test_binned_ks_is_within_half_a_hundredth_of_the_exact_one(heavy: bool) -> None:
    draw = np.random.default_rng(3)
    reference, live = (draw.standard_t(2, 20_000) if heavy else draw.normal(0, 1, 20_000) for _ in range(2))
    bins = binning(COLUMN, Numbers(reference))
    for moved in (0.0, 0.05, 0.3, 3.0):
        exact = ks_2samp(reference, live + moved).statistic
        distance = float(ks(bins.counts(Numbers(reference)).bins, bins.counts(Numbers(live + moved)).bins))
        assert exact - 0.005 <= distance <= exact + 1e-12


def test_effect_sizes_of_a_known_shift() -> None:
    draw = np.random.default_rng(0)
    bins = binning(COLUMN, Numbers(draw.normal(10, 2, 50_000)))
    before, after = (bins.counts(Numbers(draw.normal(mean, 2, 50_000))).bins for mean in (10, 11))
    assert wasserstein(before, after, bins.places()) == pytest.approx(0.5, abs=0.03)
    assert psi(before, after) == pytest.approx(0.25, abs=0.03)
    assert 0.1 < js(before, after) < 0.3
    assert wasserstein(np.array([5]), np.array([5]), np.array([1.0])) is None


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=12))
def test_distances_are_shares_and_ignore_volume(pairs: list[tuple[int, int]]) -> None:
    first, second = np.array(pairs, np.int64).T
    for distance in (ks, cramers_v):
        assert 0 <= float(distance(first, second)) <= 1 + 1e-12
        assert float(distance(first, second)) == pytest.approx(float(distance(3 * first, second)))
        assert float(distance(first, first)) == pytest.approx(0)


def test_ten_million_rows_are_counted_in_seconds() -> None:
    # A column of ten million numbers, by a tenth: about 0.5 s of CPU, where a loop in Python takes a minute.
    bins = binning(COLUMN, Numbers(np.random.default_rng(0).normal(size=10_000)))
    rows = Numbers(np.random.default_rng(1).normal(size=1_000_000))
    levels = Levels(np.random.default_rng(1).integers(-1, 3, 1_000_000).astype(np.int32), ("a", "b", "c"))
    coded = binning(TEXT, texts(*"aab" * 20))
    started = time.process_time()
    assert bins.counts(rows).rows == coded.counts(levels).rows == 1_000_000
    assert time.process_time() - started < 2
