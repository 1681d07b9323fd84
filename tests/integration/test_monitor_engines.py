"""The engine of alibi-detect and ours say the same of the same counts, and neither minds what columns hold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from leverframe.adapters.alibi_detect import MOST, AlibiDetectDiscriminator, AlibiDetectEngine
from leverframe.adapters.sklearn.discriminating import TreeDiscriminator, shuffled, trees
from leverframe.domain.monitoring.batch import Floats, Levels, Numbers
from leverframe.domain.monitoring.binning import binning
from leverframe.domain.monitoring.engine import BuiltinEngine, Pair
from leverframe.domain.monitoring.monitored_column import MonitoredColumn

SINGLE = 1e-6  # alibi-detect returns single precision
THINNED = 0.005


def both(pairs: list[Pair]) -> tuple[Floats, Floats]:
    return AlibiDetectEngine().statistics(pairs), BuiltinEngine().statistics(pairs)


def test_they_agree_on_counts_that_are_handed_over_whole() -> None:
    draw = np.random.default_rng(0)
    pairs = []
    for bins in (2, 3, 20, 100):
        for shift in (0.0, 0.05, 0.5):
            share = draw.dirichlet(np.ones(bins))
            other = (share + shift * draw.dirichlet(np.ones(bins))) / (1 + shift)
            pairs.append(Pair(True, draw.multinomial(3000, share), draw.multinomial(700, other)))
            pairs.append(Pair(False, draw.multinomial(900, share), draw.multinomial(900, other)))
    theirs, ours = both(pairs)
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=SINGLE)


def test_they_agree_on_counts_that_are_thinned() -> None:
    draw = np.random.default_rng(1)
    share = draw.dirichlet(np.ones(60))
    sizes = ((30 * MOST, 3 * MOST), (30 * MOST, 500), (700, 300))
    pairs = [
        Pair(ordered, draw.multinomial(many, share), draw.multinomial(few, draw.dirichlet(50 * share)))
        for many, few in sizes
        for ordered in (True, False)
    ]
    theirs, ours = both(pairs)
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=THINNED)


@pytest.mark.parametrize(
    ("reference", "live"),
    [
        ([500, 0, 0], [0, 0, 500]),  # nothing in common
        ([500, 0], [300, 0]),  # constant
        ([500, 0], [0, 300]),  # constant, then another constant
        ([500], [20]),  # one bin
        ([499, 1], [5, 0]),  # five rows
        ([1, 1], [1, 0]),
        ([500, 500], [501, 499]),  # a table of two levels, which scipy would correct for continuity
        ([0, 0], [5, 5]),  # no row on one side
        ([5, 5], [0, 0]),
    ],
)
def test_they_agree_on_hostile_counts(reference: list[int], live: list[int]) -> None:
    counts = np.array(reference, np.int64), np.array(live, np.int64)
    theirs, ours = both([Pair(True, *counts), Pair(False, *counts)])
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=THINNED)
    assert np.isnan(ours).all() == (not (any(reference) and any(live)))


def test_they_are_near_the_exact_statistic_of_the_values_themselves() -> None:
    draw = np.random.default_rng(2)
    reference, live = draw.lognormal(0, 1, 20_000), draw.lognormal(0.1, 1, 5000)
    bins = binning(MonitoredColumn("x", "numeric"), Numbers(reference))
    missing = np.concatenate([live, np.full(500, np.nan)])
    pair = Pair(True, bins.counts(Numbers(reference)).bins, bins.counts(Numbers(missing)).bins)
    for statistics in both([pair]):
        assert statistics[0] == pytest.approx(ks_2samp(reference, live).statistic, abs=THINNED)


def test_missing_values_and_unseen_levels_never_reach_alibi_detect() -> None:
    codes = np.array([0, 1, 2] * 200, np.int32)
    bins = binning(MonitoredColumn("c", "categorical"), Levels(codes, ("a", "b", "c")))
    pool = bins.counts(Levels(codes, ("a", "b", "c"))).bins
    for live in (Levels(np.full(600, -1, np.int32), ()), Levels(np.zeros(600, np.int32), ("new",))):
        theirs, ours = both([Pair(False, pool, bins.counts(live).bins)])
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=SINGLE)
        assert np.isnan(ours[0]) == (not live.names)


def test_no_pair_needs_no_import() -> None:
    assert AlibiDetectEngine().statistics([]).shape == (0,)
    assert "Business Source License" in AlibiDetectEngine.notice
    assert not BuiltinEngine.notice


def test_both_discriminators_say_the_same() -> None:
    draw = np.random.default_rng(3)
    together = draw.normal(size=(400, 3))
    together[:, 1] = 0.9 * together[:, 0] + 0.4 * together[:, 1]
    together[draw.random((400, 3)) < 0.1] = np.nan
    apart = draw.normal(size=(300, 3))
    theirs = AlibiDetectDiscriminator(trees(), shuffled)
    for live in (apart, together[::2]):
        assert theirs.auc(together, live) == pytest.approx(TreeDiscriminator().auc(together, live), abs=0.03)
    assert theirs.auc(together, apart) > 0.65
    assert np.argmin(TreeDiscriminator().weights(together, apart)) == 2
