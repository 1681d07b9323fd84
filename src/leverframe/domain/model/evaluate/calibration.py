"""Calibration: whether predictions match outcomes, in bins of equal count over the sorted scores."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.model.evaluate.bootstrap import MINIMUM_DAYS, bounds
from leverframe.domain.model.evaluate.weighing import ByDay, Floats, Weighing, ratio

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Rows of similar score: the mean prediction, the mean outcome, and its interval."""

    predicted: float
    observed: float
    low: float
    high: float
    rows: int


def bin_starts(ranked: Floats, bins: int = BINS) -> NDArray[np.int64]:
    """Return where each bin begins among sorted scores; equal scores stay together, so bins may be fewer."""
    if len(ranked) == 0:
        return np.zeros(0, dtype=np.int64)
    groups = np.concatenate([[0], np.flatnonzero(ranked[1:] != ranked[:-1]) + 1])
    wanted = np.arange(bins) * len(ranked) / bins
    right = np.minimum(np.searchsorted(groups, wanted), len(groups) - 1)
    left = np.maximum(right - 1, 0)
    nearer = np.where(wanted - groups[left] < np.abs(groups[right] - wanted), left, right)
    starts: NDArray[np.int64] = np.unique(groups[nearer])
    return starts


class Calibration:
    """Bins fixed once over all rows; ``scores`` and ``outcomes`` have shape (rows,)."""

    def __init__(self, scores: Floats, outcomes: Floats) -> None:
        order = np.argsort(scores, kind="stable")
        starts = bin_starts(scores[order])
        self._bins = np.split(order, starts[1:]) if len(order) else []
        self._scores, self._outcomes = scores, outcomes
        self._excess = np.zeros((len(scores), len(self._bins) + 1))
        self._excess[:, 0] = 1
        for number, rows in enumerate(self._bins, start=1):
            self._excess[rows, number] = scores[rows] - outcomes[rows]

    def error(self, weighing: Weighing) -> Floats:
        """Return the mean distance between prediction and outcome, bins by weight, shape (samples,).

        This is the expected calibration error of Naeini, Cooper and Hauskrecht (2015), with bins
        of equal count.
        """
        totals = weighing.totals(self._excess)
        return ratio(np.abs(totals[:, 1:]).sum(axis=1), totals[:, 0])

    def table(self, days: NDArray[np.int64], draws: NDArray[np.int64], confidence: float) -> list[Bin]:
        """Return the bins in order of score, with intervals over resampled days.

        ``days`` numbers the day of each row, shape (rows,), as columns of ``draws``, shape
        (resamples, days).
        """
        found = []
        for rows in self._bins:
            observed = self._outcomes[rows]
            total, count = ByDay(days[rows], draws).totals(np.stack([observed, np.ones(len(rows))], axis=1)).T
            low, high = math.nan, math.nan
            if len(np.unique(days[rows])) >= MINIMUM_DAYS:
                low, high = bounds(ratio(total, count), confidence)
            found.append(Bin(float(self._scores[rows].mean()), float(observed.mean()), low, high, len(rows)))
        return found
