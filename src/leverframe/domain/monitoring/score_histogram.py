"""How predicted probabilities are spread, in fixed bins, so that windows of any size can be added and compared.

Bins have equal width in log odds: a rare class, whose probabilities are all close to 0, is told apart as well as a
frequent one. Within a bin scores are as good as equal: it is 0.012 log odds wide.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.monitoring.batch import Floats

BINS = 2000
_FURTHEST = 12.0  # log odds: a probability of 0.000006

Counts = NDArray[np.int64]


def certainty(kind: LabelKind, predictions: Floats) -> Floats | None:
    """Return the probability that performance is estimated from, shape (rows,); None for a regression.

    For two classes it is that of the positive one, for many that of the predicted one.
    """
    if kind == "regression":
        return None
    return predictions if kind == "binary" else predictions.max(axis=1, initial=0.0)


def score_bins(probabilities: Floats) -> Counts:
    """Return the number of the bin of each probability, shape (rows,)."""
    inside = np.clip(probabilities, 1e-9, 1 - 1e-9)
    odds = np.log(inside) - np.log1p(-inside)
    bins: Counts = np.clip(((odds / _FURTHEST + 1) * BINS / 2).astype(np.int64), 0, BINS - 1)
    return bins


def score_counts(probabilities: Floats) -> Counts:
    """Return how many probabilities each bin has, those that are missing left out, shape (BINS,)."""
    counts: Counts = np.bincount(score_bins(probabilities[np.isfinite(probabilities)]), minlength=BINS)
    return counts


def middles() -> Floats:
    """Return the probability in the middle of each bin, shape (BINS,)."""
    odds = ((np.arange(BINS) + 0.5) * 2 / BINS - 1) * _FURTHEST
    return np.asarray(1 / (1 + np.exp(-odds)))
