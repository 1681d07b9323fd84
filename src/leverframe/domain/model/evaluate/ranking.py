"""How well scores put positive rows above negative ones, and what each row contributes to that."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Ranking:
    """Rows in descending order of score, equal scores as one group.

    ``scores`` and ``positive`` have shape (rows,).
    """

    def __init__(self, scores: Floats, positive: NDArray[np.bool_]) -> None:
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        new = np.append(True, ranked[1:] != ranked[:-1])[: len(ranked)]
        self._thresholds = ranked[new]
        self._group = np.empty(len(ranked), dtype=np.int64)
        self._group[order] = np.cumsum(new) - 1
        self._positive = positive
        of_group = np.bincount(self._group, minlength=len(self._thresholds)).astype(np.float64)
        self._gained = np.bincount(self._group, weights=positive, minlength=len(self._thresholds))
        self._hits: Floats = np.cumsum(self._gained)
        self._reached: Floats = np.cumsum(of_group)

    def area(self) -> tuple[float, Floats]:
        """Return the area under the ROC curve and the influence of each row on it, shape (rows,).

        A tie counts half. NaN and zeros where a class is missing. Source of the influences: DeLong, DeLong and
        Clarke-Pearson (1988).
        """
        misses = self._reached - self._hits
        positives, negatives = (float(counts[-1]) if len(counts) else 0.0 for counts in (self._hits, misses))
        if not positives or not negatives:
            return np.nan, np.zeros(len(self._group))
        level = np.diff(misses, prepend=0.0)
        beaten = 1 - (misses - level / 2) / negatives
        beating = (self._hits - self._gained / 2) / positives
        area = float(self._gained @ beaten) / positives
        influence = np.where(
            self._positive, (beaten[self._group] - area) / positives, (beating[self._group] - area) / negatives
        )
        return area, influence

    def precision(self) -> tuple[float, Floats]:
        """Return the average precision and the influence of each row on it, shape (rows,).

        It is the sum of precision times the gain in recall, without interpolation. NaN and zeros without one.
        """
        positives = float(self._hits[-1]) if len(self._hits) else 0.0
        if not positives:
            return np.nan, np.zeros(len(self._group))
        precise = self._hits / self._reached
        value = float(self._gained @ precise) / positives
        weights = self._gained / self._reached
        # A row counts as an alert, and a positive one as a hit, in its own group and in all below.
        hit, alert = (np.cumsum(terms[::-1])[::-1] for terms in (weights, weights * precise))
        of_row = self._positive * (precise - value + hit)[self._group] - alert[self._group]
        return value, of_row / positives

    def counts(self) -> tuple[Floats, Floats, Floats]:
        """Return each distinct score, descending, with the positive and the negative rows that reach it."""
        misses: Floats = self._reached - self._hits
        return self._thresholds, self._hits, misses
