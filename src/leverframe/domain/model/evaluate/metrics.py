"""Which metrics a kind of label calls for, and how they are measured under weights.

Each equals the function of scikit-learn of that name, ties and weights included; where
scikit-learn warns or fails because a class is missing, the metric is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.evaluate.calibration import Calibration
from leverframe.domain.model.evaluate.ranking import Ranking
from leverframe.domain.model.evaluate.weighing import Floats, Weighing, ratio

Better = Literal["higher", "lower", "neither"]
_EPSILON = float(np.finfo(np.float64).eps)  # the probability below which a logarithm is cut


@dataclass(frozen=True)
class Metric:
    """A figure of quality: its key in files, its name for people, and which direction is good."""

    name: str
    title: str
    better: Better


# The first of each kind is the one by which slices are compared.
METRICS: dict[LabelKind, tuple[Metric, ...]] = {
    "binary": (
        Metric("auc", "AUC", "higher"),
        Metric("average_precision", "average precision", "higher"),
        Metric("brier", "Brier score", "lower"),
        Metric("log_loss", "log loss", "lower"),
        Metric("calibration_error", "calibration error", "lower"),
        Metric("base_rate", "base rate", "neither"),
        Metric("mean_score", "mean score", "neither"),
    ),
    "multiclass": (
        Metric("accuracy", "accuracy", "higher"),
        Metric("balanced_accuracy", "balanced accuracy", "higher"),
        Metric("macro_f1", "macro F1", "higher"),
        Metric("auc", "AUC, one against rest", "higher"),
        Metric("log_loss", "log loss", "lower"),
        Metric("calibration_error", "calibration error", "lower"),
    ),
    "regression": (
        Metric("mae", "mean absolute error", "lower"),
        Metric("rmse", "root mean squared error", "lower"),
        Metric("median_ae", "median absolute error", "lower"),
        Metric("r2", "R²", "higher"),
        Metric("bias", "bias (predicted minus observed)", "neither"),
    ),
}


class Binary:
    """Probabilities of the positive class against labels 0 and 1, both of shape (rows,)."""

    def __init__(self, labels: Floats, scores: Floats) -> None:
        self.rows = len(labels)
        self.ranking = Ranking(scores, labels == 1)
        self.calibration = Calibration(scores, labels)
        predicted = np.clip(scores, _EPSILON, 1 - _EPSILON)
        surprise = -(labels * np.log(predicted) + (1 - labels) * np.log1p(-predicted))
        self._averaged = np.stack([(scores - labels) ** 2, surprise, labels, scores], axis=1)

    def measure(self, weighing: Weighing) -> Floats:
        """Return the metrics of the kind in order, shape (samples, metrics)."""
        auc, precision = self.ranking.quality(weighing)
        brier, log_loss, base_rate, mean_score = _averages(weighing, self._averaged)
        error = self.calibration.error(weighing)
        return np.stack([auc, precision, brier, log_loss, error, base_rate, mean_score], axis=1)


class Multiclass:
    """Probabilities of shape (rows, classes) against the number of the true class, shape (rows,)."""

    def __init__(self, labels: NDArray[np.int64], probabilities: Floats) -> None:
        self.rows, classes = len(labels), probabilities.shape[1]
        chosen = probabilities.argmax(axis=1)
        self._true = np.eye(classes)[labels]
        self._chosen = np.eye(classes)[chosen]
        self._rankings = [Ranking(probabilities[:, each], labels == each) for each in range(classes)]
        self._hit = (chosen == labels).astype(np.float64)
        self.calibration = Calibration(probabilities.max(axis=1, initial=0), self._hit)
        surprise = -np.log(np.clip(probabilities[np.arange(self.rows), labels], _EPSILON, 1 - _EPSILON))
        self._averaged = np.stack([self._hit, surprise], axis=1)

    def measure(self, weighing: Weighing) -> Floats:
        """Return the metrics of the kind in order, shape (samples, metrics)."""
        accuracy, log_loss = _averages(weighing, self._averaged)
        hits, true, predicted = (
            weighing.totals(each) for each in (self._true * self._chosen, self._true, self._chosen)
        )
        balanced = _mean_where(ratio(hits, true), true > 0)
        f1 = _mean_where(ratio(2 * hits, true + predicted), true + predicted > 0)
        # A class that is missing makes its area, and so the mean, NaN: a mean over fewer classes is another figure.
        auc = np.mean([ranking.quality(weighing)[0] for ranking in self._rankings], axis=0)
        error = self.calibration.error(weighing)
        return np.stack([accuracy, balanced, f1, auc, log_loss, error], axis=1)


class Regression:
    """Predicted numbers against true ones, both of shape (rows,)."""

    def __init__(self, labels: Floats, predictions: Floats) -> None:
        self.rows = len(labels)
        self.calibration = Calibration(predictions, labels)
        excess = predictions - labels
        absolute = np.abs(excess)
        self._order = np.argsort(absolute, kind="stable")
        self._ranked = absolute[self._order]
        centred = labels - (labels.mean() if self.rows else 0.0)  # else squares would cancel badly
        self._averaged = np.stack([absolute, excess**2, excess, centred, centred**2], axis=1)

    def measure(self, weighing: Weighing) -> Floats:
        """Return the metrics of the kind in order, shape (samples, metrics)."""
        mae, squared, bias, mean, square = _averages(weighing, self._averaged)
        variance = square - mean**2
        noise = _EPSILON * max(1, self.rows) * square  # what rounding leaves of labels that are all the same
        r2 = 1 - ratio(squared, np.where(variance > noise, variance, 0.0))
        return np.stack([mae, np.sqrt(squared), self._median(weighing), r2, bias], axis=1)

    def _median(self, weighing: Weighing) -> Floats:
        """Return the weighted median error: halfway between two values where the weight splits evenly."""
        if self.rows == 0:
            return np.full(weighing.samples, np.nan)
        return np.concatenate([self._medians(weights) for weights in weighing.ordered(self._order)])

    def _medians(self, weights: Floats) -> Floats:
        reached = np.cumsum(weights, axis=1)
        total = reached[:, -1:]
        slack = _EPSILON * self.rows * total
        lower = (reached >= total / 2 - slack).argmax(axis=1)
        upper = (reached > total / 2 + slack).argmax(axis=1)
        return np.where(total[:, 0] > 0, (self._ranked[lower] + self._ranked[upper]) / 2, np.nan)


AnyJudge = Binary | Multiclass | Regression


def judge(kind: LabelKind, labels: NDArray[np.float64] | NDArray[np.int64], predictions: Floats) -> AnyJudge:
    """Return the judge of a kind of label; ``predictions`` are (rows, classes) for many classes, else (rows,)."""
    if kind == "multiclass":
        return Multiclass(labels.astype(np.int64), predictions)
    return (Binary if kind == "binary" else Regression)(labels.astype(np.float64), predictions)


def _averages(weighing: Weighing, columns: Floats) -> Floats:
    """Return the weighted means of ``columns``, shape (columns, samples); NaN for a sample without weight."""
    totals = weighing.totals(np.concatenate([np.ones((len(columns), 1)), columns], axis=1)).T
    return np.stack([ratio(each, totals[0]) for each in totals[1:]])


def _mean_where(values: Floats, counted: NDArray[np.bool_]) -> Floats:
    return ratio(np.where(counted, values, 0.0).sum(axis=1), counted.sum(axis=1).astype(np.float64))
