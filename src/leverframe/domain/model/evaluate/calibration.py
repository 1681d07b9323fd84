"""Calibration: whether predictions match outcomes, in bins of equal count over the sorted scores."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.model.evaluate.dependence import Scale, by_day, intervals, uncertainty
from leverframe.domain.model.evaluate.ranking import Floats

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
    """Bins over all rows; ``scores`` and ``outcomes`` have shape (rows,)."""

    def __init__(self, scores: Floats, outcomes: Floats) -> None:
        order = np.argsort(scores, kind="stable")
        starts = bin_starts(scores[order])
        self._bins = np.split(order, starts[1:]) if len(order) else []
        self._scores, self._outcomes = scores, outcomes

    def error(self) -> tuple[float, Floats]:
        """Return the mean distance between prediction and outcome, bins by count, and each row's influence on it.

        This is the expected calibration error of Naeini, Cooper and Hauskrecht (2015), with bins
        of equal count.
        """
        rows = len(self._scores)
        influence, total = np.zeros(rows), 0.0
        for members in self._bins:
            excess = self._scores[members] - self._outcomes[members]
            influence[members] = np.sign(excess.sum()) * excess
            total += abs(float(excess.sum()))
        return (total / rows, (influence - total / rows) / rows) if rows else (math.nan, influence)

    def table(self, days: NDArray[np.int64], number_of_days: int, confidence: float) -> list[Bin]:
        """Return the bins in order of score, with intervals; ``days`` numbers the day of each row, shape (rows,)."""
        bins = []
        share: Scale = "share" if ((self._outcomes >= 0) & (self._outcomes <= 1)).all() else "real"
        for rows in self._bins:
            observed = self._outcomes[rows]
            mean = float(observed.mean())
            columns = np.stack([observed - mean, np.ones(len(rows))], axis=1) / len(rows)
            daily = by_day(columns, days[rows], number_of_days)
            known = uncertainty(daily[:, :1], daily[:, 1:])
            ((low, high),) = intervals(np.array([mean]), [share], known, confidence, np.array([len(rows)]))
            bins.append(Bin(float(self._scores[rows].mean()), mean, low, high, len(rows)))
        return bins
