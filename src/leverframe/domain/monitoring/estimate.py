"""How well a model does where no label has arrived yet, as its own calibrated probabilities suggest.

Confidence-based performance estimation (NannyML, 2022): probabilities are calibrated by isotonic regression on the
reference, and each metric is its expectation under them. It knows nothing of a relation between features and label
that changed: then it stays where it was, and its distance to the realised metric is what says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.evaluate.scores import plain
from leverframe.domain.monitoring.batch import Floats
from leverframe.domain.monitoring.score_histogram import BINS, Counts, middles, score_bins

ESTIMATED: dict[LabelKind, tuple[str, ...]] = {
    "binary": ("auc", "average_precision", "brier", "log_loss"),
    "multiclass": ("accuracy",),
    "regression": (),
}


@dataclass(frozen=True)
class Calibrator:
    """A rising curve from a probability to the share of rows that it came true for, as ``knots`` in order."""

    knots: tuple[tuple[float, float], ...]

    @classmethod
    def fitted(cls, probabilities: Floats, outcomes: Floats) -> Calibrator:
        """Return the isotonic regression of ``outcomes`` (0 or 1) on ``probabilities``, both of shape (rows,)."""
        bins = score_bins(probabilities)
        rows = np.bincount(bins, minlength=BINS)
        there = rows > 0
        if not there.any():
            return cls(())
        shares = np.bincount(bins, weights=outcomes, minlength=BINS)[there] / rows[there]
        curve = isotonic_regression(shares, weights=rows[there].astype(np.float64)).x
        return cls(_thinned(middles()[there], curve))

    def calibrated(self) -> Floats:
        """Return the calibrated probability of each bin, shape (BINS,)."""
        if not self.knots:
            return middles()
        known, shares = np.array(self.knots).T
        return np.asarray(np.interp(middles(), known, shares))


def estimated(kind: LabelKind, counts: Counts, calibrator: Calibrator) -> dict[str, float]:
    """Return the expected metrics of rows with these scores, NaN where undefined; none for a regression.

    ``counts`` has shape (BINS,): that of `score_counts`.
    """
    if kind == "regression":
        return {}
    rows, share = counts.astype(np.float64), calibrator.calibrated()
    total = float(rows.sum())
    if not total:
        return dict.fromkeys(ESTIMATED[kind], math.nan)
    if kind == "multiclass":
        return {"accuracy": float(rows @ share) / total}
    score = middles()
    positive, negative = rows * share, rows * (1 - share)
    surprise = -(positive @ np.log(score) + negative @ np.log1p(-score))
    return {
        "auc": _area(positive, negative),
        "average_precision": _precision(positive, rows),
        "brier": float(positive @ (1 - score) ** 2 + negative @ score**2) / total,
        "log_loss": float(surprise) / total,
    }


def _area(positive: Floats, negative: Floats) -> float:
    """Return the expected share of pairs in the right order; equal scores count half."""
    pairs = float(positive.sum() * negative.sum())
    below = np.cumsum(negative) - negative / 2
    return float(positive @ below) / pairs if pairs else math.nan


def _precision(positive: Floats, rows: Floats) -> float:
    """Return the sum of precision times the gain in recall, from the highest score down."""
    hits, reached = np.cumsum(positive[::-1]), np.cumsum(rows[::-1])
    precise = np.divide(hits, reached, out=np.zeros(BINS), where=reached > 0)
    return float(positive[::-1] @ precise) / float(hits[-1]) if hits[-1] else math.nan


def _thinned(places: Floats, curve: Floats) -> tuple[tuple[float, float], ...]:
    """Return the corners of a step-wise curve: what lies between two equal values follows from them."""
    corner = np.ones(len(curve), dtype=bool)
    corner[1:-1] = (curve[1:-1] != curve[:-2]) | (curve[1:-1] != curve[2:])
    return tuple(
        (plain(float(place)) or 0.0, plain(float(value)) or 0.0)
        for place, value in zip(places[corner], curve[corner], strict=True)
    )
