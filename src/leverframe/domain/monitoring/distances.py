"""How far the rows of a window are from those of the reference, as counts in the same bins.

Two decide: Kolmogorov and Smirnov's D where bins have an order, Cramér's V where they have none. The others are shown.
"""

from __future__ import annotations

import numpy as np

from leverframe.domain.monitoring.batch import Floats, Ints

_LITTLE = 1e-4  # share of a bin without rows in PSI, which is else infinite


def shares(counts: Ints) -> Floats:
    """Return counts as shares, along the last axis; 0 where there is no row at all."""
    rows = counts.sum(axis=-1, keepdims=True)
    return np.asarray(counts / np.maximum(rows, 1))


def ks(reference: Ints, window: Ints) -> Floats:
    """Return the largest difference of the cumulative shares, 0 to 1, shape (...) for counts of shape (..., bins)."""
    apart = np.cumsum(shares(reference) - shares(window), axis=-1)
    return np.asarray(np.abs(apart).max(axis=-1, initial=0.0))


def cramers_v(reference: Ints, window: Ints) -> Floats:
    """Return Cramér's V of two samples of equal weight, 0 to 1, of shape (...) for counts of shape (..., bins).

    It is the root of chi-square over rows for a table of two rows that are scaled to the same total, so that it says
    the same of a small window and a large one (Cramér, 1946).
    """
    first, second = shares(reference), shares(window)
    both = first + second
    parts = np.divide((first - second) ** 2, both, out=np.zeros_like(both), where=both > 0)
    return np.asarray(np.sqrt(parts.sum(axis=-1) / 2))


def psi(reference: Ints, window: Ints) -> float:
    """Return the population stability index of counts of shape (bins,)."""
    first, second = (np.maximum(shares(counts), _LITTLE) for counts in (reference, window))
    return float(((second - first) * np.log(second / first)).sum())


def js(reference: Ints, window: Ints) -> float:
    """Return the Jensen-Shannon distance, 0 to 1 (base 2), of counts of shape (bins,)."""
    sides = (shares(reference), shares(window))
    middle = (sides[0] + sides[1]) / 2
    parts = [float((side[side > 0] * np.log2(side[side > 0] / middle[side > 0])).sum()) for side in sides]
    return float(np.sqrt(max(0.0, sum(parts) / 2)))


def wasserstein(reference: Ints, window: Ints, places: Floats) -> float | None:
    """Return the mean way from one to the other in standard deviations of the reference; None where it has none.

    ``places`` of shape (bins,) says which number stands for each bin.
    """
    first = shares(reference)
    deviation = spread(reference, places)
    if not deviation:
        return None
    apart = np.abs(np.cumsum(first - shares(window))[:-1])
    return float((apart * np.diff(places / deviation)).sum())


def spread(counts: Ints, places: Floats) -> float:
    """Return the standard deviation of rows in bins, 0 where it is not finite."""
    share = shares(counts)
    with np.errstate(over="ignore", invalid="ignore"):
        deviation = float(np.sqrt((share * (places - (share * places).sum()) ** 2).sum()))
    return deviation if np.isfinite(deviation) else 0.0
