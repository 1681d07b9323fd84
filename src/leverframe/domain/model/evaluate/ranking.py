"""How well scores put positive rows above negative ones, for any weights of the rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.model.evaluate.weighing import Floats, Weighing, ratio


class Ranking:
    """Rows in descending order of score, equal scores as one group; sorted once, weighed often.

    ``scores`` and ``positive`` have shape (rows,).
    """

    def __init__(self, scores: Floats, positive: NDArray[np.bool_]) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ranked = scores[self._order]
        new = np.append(True, ranked[1:] != ranked[:-1])[: len(ranked)]
        starts, group = np.flatnonzero(new), np.cumsum(new) - 1
        ends = np.append(starts[1:], len(ranked))[: len(starts)]
        self._thresholds = ranked[starts]
        self._group_ends = ends - 1
        self._classes = np.stack([positive, ~positive], axis=1).astype(np.float64)
        # Only groups that hold a positive row move recall, so only they are looked at.
        self._hits = np.flatnonzero(positive[self._order])
        held, first = np.unique(group[self._hits], return_index=True)
        self._starts, self._ends = starts[held], ends[held]
        self._last_hit = np.append(first[1:], len(self._hits))[: len(held)] - 1

    def quality(self, weighing: Weighing) -> tuple[Floats, Floats]:
        """Return the area under the ROC curve and the average precision, each of shape (samples,).

        A tie counts half in the area; average precision is the sum of precision times the gain in
        recall, without interpolation. NaN for a sample that lacks a class they need.
        """
        positives, negatives = weighing.totals(self._classes).T
        if len(self._hits) == 0:
            return np.full(weighing.samples, np.nan), np.full(weighing.samples, np.nan)
        parts = [self._sums(weights, some) for weights, some in _with(weighing.ordered(self._order), negatives)]
        area, precision = np.concatenate(parts, axis=1)
        return ratio(area, positives * negatives), ratio(precision, positives)

    def _sums(self, weights: Floats, negatives: Floats) -> Floats:
        """Return the pairs in right order and the summed precision, shape (2, samples)."""
        above = np.cumsum(weights, axis=1)
        alerts = above[:, self._ends - 1]
        before = np.where(self._starts > 0, above[:, self._starts - 1], 0.0)
        hits = np.cumsum(weights[:, self._hits], axis=1)[:, self._last_hit]
        gained = np.diff(hits, axis=1, prepend=0.0)
        misses, misses_before = alerts - hits, before - (hits - gained)
        beaten = negatives[:, None] - (misses + misses_before) / 2
        precision = np.divide(hits, alerts, out=np.zeros_like(hits), where=alerts > 0)
        return np.stack([(gained * beaten).sum(axis=1), (gained * precision).sum(axis=1)])

    def counts(self) -> tuple[Floats, Floats, Floats]:
        """Return each distinct score, descending, with the positive and the negative rows that reach it."""
        reached = np.cumsum(self._classes[self._order], axis=0)[self._group_ends]
        return self._thresholds, reached[:, 0], reached[:, 1]


def _with(chunks: Iterator[Floats], of_samples: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Yield each chunk of weights with the values of its samples."""
    at = 0
    for chunk in chunks:
        yield chunk, of_samples[at : at + len(chunk)]
        at += len(chunk)
