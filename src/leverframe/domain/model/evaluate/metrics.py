"""Which metrics a kind of label calls for, their values, and what each row contributes to them.

Each value equals the function of scikit-learn of that name, ties included; where scikit-learn warns or fails because
a class is missing, it is NaN. The influence of a row is the change of the metric for a little more weight of the row
(Hampel, 1974): influences sum to zero, and over independent rows their squares sum to the variance of the metric.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.evaluate.calibration import Calibration
from leverframe.domain.model.evaluate.dependence import Scale, by_day
from leverframe.domain.model.evaluate.ranking import Floats, Ranking

Better = Literal["higher", "lower", "neither", "nearer to 0"]
_EPSILON = float(np.finfo(np.float64).eps)  # the probability below which a logarithm is cut
_Part = tuple[float, Floats]


@dataclass(frozen=True)
class Metric:
    """A figure of quality: its key in files, its name for people, which direction is good, and where it can lie.

    ``rests_on`` says which rows decide it: all, or those of the class that has fewest.
    """

    name: str
    title: str
    better: Better
    scale: Scale
    rests_on: Literal["rows", "rarest class"] = "rows"

    def merit(self, value: float) -> float:
        """Return a value as one of which more is better; where no direction is, the value itself."""
        if self.better == "nearer to 0":
            return -abs(value)
        return -value if self.better == "lower" else value

    def slope(self, value: float) -> float:
        """Return how the merit changes with the value: 1 or -1."""
        if self.better == "nearer to 0":
            return -1.0 if value >= 0 else 1.0
        return -1.0 if self.better == "lower" else 1.0


# The first of each kind is the one by which slices are compared.
METRICS: dict[LabelKind, tuple[Metric, ...]] = {
    "binary": (
        Metric("auc", "AUC", "higher", "share", "rarest class"),
        Metric("average_precision", "average precision", "higher", "share", "rarest class"),
        Metric("brier", "Brier score", "lower", "positive"),
        Metric("log_loss", "log loss", "lower", "positive"),
        Metric("calibration_error", "calibration error", "lower", "distance"),
        Metric("base_rate", "base rate", "neither", "share"),
        Metric("mean_score", "mean score", "neither", "share"),
    ),
    "multiclass": (
        Metric("accuracy", "accuracy", "higher", "share"),
        Metric("balanced_accuracy", "balanced accuracy", "higher", "share", "rarest class"),
        Metric("macro_f1", "macro F1", "higher", "share", "rarest class"),
        Metric("auc", "AUC, one against rest", "higher", "share", "rarest class"),
        Metric("log_loss", "log loss", "lower", "positive"),
        Metric("calibration_error", "calibration error", "lower", "distance"),
    ),
    "regression": (
        Metric("mae", "mean absolute error", "lower", "positive"),
        Metric("rmse", "root mean squared error", "lower", "positive"),
        Metric("median_ae", "median absolute error", "lower", "positive"),
        Metric("r2", "R²", "higher", "explained"),
        Metric("bias", "bias (predicted minus observed)", "nearer to 0", "real"),
    ),
}


@dataclass(frozen=True)
class Measured:
    """The metrics of a kind in order: values of shape (metrics,), influences of shape (rows, metrics).

    ``classes`` numbers the class of each row, shape (rows,); a regression has one.
    """

    metrics: tuple[Metric, ...]
    values: Floats
    influence: Floats
    classes: NDArray[np.int64]

    @property
    def rarest(self) -> NDArray[np.bool_]:
        """Which rows are of the class that has fewest of those that occur, shape (rows,)."""
        numbers, counts = np.unique(self.classes, return_counts=True)
        rarest: NDArray[np.bool_] = self.classes == (numbers[counts.argmin()] if len(numbers) else 0)
        return rarest

    def shares(self, days: NDArray[np.int64], number_of_days: int) -> Floats:
        """Return the part of the rows that a metric rests on by day, shape (days, metrics)."""
        rows = np.stack([np.ones(len(days)), self.rarest], axis=1)
        shares = by_day(rows / np.maximum(rows.sum(axis=0), 1), days, number_of_days)
        return shares[:, [int(metric.rests_on != "rows") for metric in self.metrics]]

    def counts(self) -> NDArray[np.int64]:
        """Return the number of rows that each metric rests on, shape (metrics,)."""
        rarest = int(self.rarest.sum())
        return np.array([rarest if metric.rests_on != "rows" else len(self.classes) for metric in self.metrics])


def measured(kind: LabelKind, labels: Floats, predictions: Floats) -> Measured:
    """Return the metrics of a kind of label on some rows.

    ``labels`` have shape (rows,); ``predictions`` (rows, classes) for many classes, else (rows,).
    """
    parts = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}[kind](labels, predictions)
    classes = np.zeros(len(labels), dtype=np.int64) if kind == "regression" else labels.astype(np.int64)
    values, influence = zip(*parts, strict=True)
    return Measured(METRICS[kind], np.array(values), np.stack(influence, axis=1), classes)


def calibration(kind: LabelKind, labels: Floats, predictions: Floats) -> Calibration:
    """Return how predictions match outcomes: of many classes the predicted one, and whether it was right."""
    if kind != "multiclass":
        return Calibration(predictions, labels)
    return Calibration(predictions.max(axis=1, initial=0), (predictions.argmax(axis=1) == labels).astype(np.float64))


def _binary(labels: Floats, scores: Floats) -> list[_Part]:
    ranking = Ranking(scores, labels == 1)
    predicted = np.clip(scores, _EPSILON, 1 - _EPSILON)
    surprise = -(labels * np.log(predicted) + (1 - labels) * np.log1p(-predicted))
    return [
        ranking.area(),
        ranking.precision(),
        _mean((scores - labels) ** 2),
        _mean(surprise),
        calibration("binary", labels, scores).error(),
        _mean(labels),
        _mean(scores),
    ]


def _multiclass(labels: Floats, probabilities: Floats) -> list[_Part]:
    rows, classes = probabilities.shape
    numbers, chosen = labels.astype(np.int64), probabilities.argmax(axis=1)
    true, predicted = np.eye(classes)[numbers], np.eye(classes)[chosen]
    surprise = -np.log(np.clip(probabilities[np.arange(rows), numbers], _EPSILON, 1 - _EPSILON))
    # A class that is missing makes its area, and so the mean, NaN: a mean over fewer classes is another figure.
    areas = [Ranking(probabilities[:, number], numbers == number).area() for number in range(classes)]
    auc = float(np.mean([value for value, _ in areas])), np.mean([influence for _, influence in areas], axis=0)
    return [
        _mean((chosen == numbers).astype(np.float64)),
        _mean_of_ratios(true * predicted, true),
        _mean_of_ratios(2 * true * predicted, true + predicted),
        auc,
        _mean(surprise),
        calibration("multiclass", labels, probabilities).error(),
    ]


def _regression(labels: Floats, predictions: Floats) -> list[_Part]:
    largest = max(float(np.abs(values).max(initial=0.0)) for values in (labels, predictions))
    unit = math.ldexp(1.0, math.frexp(largest)[1] - 1)  # a power of two, so that only overflows change
    labels, predictions = labels / unit, predictions / unit
    excess: Floats = predictions - labels
    mae, squared = _mean(np.abs(excess)), _mean(excess**2)
    rmse = float(np.sqrt(squared[0]))
    root = rmse, squared[1] / (2 * rmse) if rmse > 0 else np.zeros(len(labels))
    in_units = [mae, root, _median(np.abs(excess)), _mean(excess)]
    with np.errstate(over="ignore"):  # of what is beyond the largest double nothing is known
        mae, root, median, bias = [(value * unit, influence * unit) for value, influence in in_units]
    return [mae, root, median, _explained(labels, squared), bias]


def _mean(values: Floats) -> _Part:
    if not len(values):
        return np.nan, values
    mean = float(values.mean())
    return mean, (values - mean) / len(values)


def _mean_of_ratios(above: Floats, below: Floats) -> _Part:
    """Return the mean over columns of a ratio of sums, leaving out columns with nothing below."""
    totals = below.sum(axis=0)
    counted = totals > 0
    if not counted.any():
        return np.nan, np.zeros(len(above))
    above, below, totals = above[:, counted], below[:, counted], totals[counted]
    ratios = above.sum(axis=0) / totals
    return float(ratios.mean()), ((above - below * ratios) / totals).mean(axis=1)


def _median(values: Floats) -> _Part:
    """Return the median; its influence needs the density there, from quantiles around it (Siddiqui, 1960)."""
    if not len(values):
        return np.nan, values
    median, width = float(np.median(values)), min(0.25, len(values) ** (-1 / 3))
    low, high = np.quantile(values, [0.5 - width, 0.5 + width])
    return median, (np.sign(values - median) - np.sign(values - median).mean()) * (high - low) / (
        4 * width * len(values)
    )


def _explained(labels: Floats, squared: _Part) -> _Part:
    """Return the share of the variance that is explained; labels that are all the same leave it undefined."""
    centred: Floats = labels - (labels.mean() if len(labels) else 0.0)  # else squares would cancel badly
    variance, influence = _mean(np.square(centred))
    scale = float((labels**2).mean()) if len(labels) else 0.0
    if not variance > (64 * _EPSILON) ** 2 * scale:  # what rounding leaves of labels that are all the same
        return np.nan, np.zeros(len(labels))
    left = squared[0] / variance
    return 1 - left, (left * influence - squared[1]) / variance
