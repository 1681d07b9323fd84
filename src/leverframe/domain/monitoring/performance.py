"""Performance by window: realised where labels arrived, estimated where not, and the gap between the two.

A window is judged against the windows of the reference: what they vary by beyond the noise of their rows, plus the
noise of its own rows, is what it may vary by. A realised drop says that the model is worse; an estimate that leaves
its band says that it is fed other rows; a gap says that the same rows have other labels than they used to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.evaluate.metrics import METRICS, Measured, Metric, measured
from leverframe.domain.model.evaluate.scores import plain
from leverframe.domain.monitoring.batch import Floats, LabelledRows
from leverframe.domain.monitoring.estimate import ESTIMATED, Calibrator, estimated
from leverframe.domain.monitoring.score_histogram import Counts, certainty, score_counts
from leverframe.domain.monitoring.value_band import Value, ValueBand

GAP = "calibration_gap"  # mean label minus mean prediction
_UNSURE = frozenset({"average_precision"})  # its estimate hangs on the calibration of the few highest scores
FEWEST = 10  # rows of a class from which metrics of a window are judged


@dataclass(frozen=True)
class Series:
    """A figure in each window of the reference: values with standard errors, None where it is undefined."""

    name: str
    values: tuple[float | None, ...]
    errors: tuple[float | None, ...]

    def known(self) -> list[Value]:
        """Return the values that are defined."""
        pairs = zip(self.values, self.errors, strict=True)
        return [Value(value, error) for value, error in pairs if value is not None and error is not None]


@dataclass(frozen=True)
class PerformanceReference:
    """What the reference says of performance, a value a window: ``realised``, and ``gaps`` of what can be estimated.

    ``whole`` are the metrics over all its rows. The reference has no labels where ``windows`` is empty.
    """

    kind: LabelKind
    windows: tuple[str, ...]
    whole: Mapping[str, float | None]
    realised: tuple[Series, ...]
    estimates: tuple[Series, ...]
    gaps: tuple[Series, ...]
    calibrator: Calibrator

    def band(self, kind: str, name: str) -> ValueBand | None:
        """Return the band of a figure, of ``realised``, ``estimates`` or ``gaps``; None where nothing is known."""
        listed: tuple[Series, ...] = getattr(self, kind)
        series = next((series for series in listed if series.name == name), None)
        known = series.known() if series else []
        return ValueBand.of(known, scale_of(self.kind, name) if kind != "gaps" else "real") if len(known) > 1 else None


@dataclass(frozen=True)
class WindowPerformance:
    """The figures of one window: realised with standard errors, estimated from all its scores, and gaps."""

    rows: int
    labelled: int
    realised: Mapping[str, Value]
    estimated: Mapping[str, float]
    gaps: Mapping[str, Value]

    @property
    def coverage(self) -> float:
        """The share of rows whose label is known."""
        return min(1.0, self.labelled / self.rows) if self.rows else 0.0


def titled(kind: LabelKind) -> dict[str, Metric]:
    """Return what is followed of a label of that kind: its metrics that have a good direction, and calibration."""
    known = {metric.name: metric for metric in METRICS[kind] if metric.better in ("higher", "lower")}
    known.pop("calibration_error", None)  # the mean of what has lost its sign is mostly noise in a small window
    if kind == "binary":
        known[GAP] = Metric(GAP, "labels minus predictions", "neither", "real")
    return known


def scale_of(kind: LabelKind, name: str) -> str:
    """Return where a figure can lie."""
    return titled(kind)[name].scale


def performance_reference(
    kind: LabelKind, windows: Mapping[str, LabelledRows], metrics: Sequence[str] = ()
) -> PerformanceReference:
    """Return what labelled rows say, a window at a time; ``metrics`` are those to follow, by default all.

    The calibrator learns from all rows of the reference.
    """
    rows = [part for part in windows.values() if len(part.labels)]
    if not rows:
        return PerformanceReference(kind, (), {}, (), (), (), Calibrator(()))
    labels = np.concatenate([part.labels for part in rows])
    predictions = np.concatenate([part.predictions for part in rows])
    sure = certainty(kind, predictions)
    calibrator = Calibrator(()) if sure is None else Calibrator.fitted(sure, _came_true(kind, labels, predictions))
    parts = [window_performance(kind, part, None, calibrator) for part in rows]
    names = [name for name in titled(kind) if not metrics or name in (*metrics, GAP)]
    whole = measured(kind, labels, predictions)
    values = {metric.name: float(value) for metric, value in zip(whole.metrics, whole.values, strict=True)}
    followed = [name for name in ESTIMATED[kind] if name in names]
    return PerformanceReference(
        kind,
        tuple(name for name, part in windows.items() if len(part.labels)),
        {name: plain(value) for name, value in values.items() if name in names},
        tuple(_series(name, [part.realised.get(name) for part in parts]) for name in names),
        tuple(_series(name, [Value(part.estimated.get(name, math.nan), 0.0) for part in parts]) for name in followed),
        tuple(_series(name, [part.gaps.get(name) for part in parts]) for name in followed),
        calibrator,
    )


def window_performance(
    kind: LabelKind, labelled: LabelledRows | None, scores: Counts | None, calibrator: Calibrator, rows: int = 0
) -> WindowPerformance:
    """Return the figures of a window: ``labelled`` are its rows with a label, ``scores`` all its predictions.

    Without ``scores`` the labelled rows are all there are. ``rows`` counts every row of the window.
    """
    realised: dict[str, Value] = {}
    same: Mapping[str, float] = {}
    if labelled is not None and len(labelled.labels):
        realised = _realised(kind, labelled)
        sure = certainty(kind, labelled.predictions)
        same = {} if sure is None else estimated(kind, score_counts(sure), calibrator)
    every = same if scores is None else estimated(kind, scores, calibrator)
    # The gap is over the same rows on both sides: those whose label is late may be others.
    gaps = {
        name: Value(realised[name].value - value, realised[name].error)
        for name, value in same.items()
        if name in realised and name not in _UNSURE
    }
    count = 0 if labelled is None else len(labelled.labels)
    return WindowPerformance(rows or count, count, realised, every, gaps)


def _realised(kind: LabelKind, labelled: LabelledRows) -> dict[str, Value]:
    """Return the metrics of rows with a label; none of a class that has too few rows for an error to mean something."""
    whole = measured(kind, labelled.labels, labelled.predictions)
    errors = np.sqrt((whole.influence**2).sum(axis=0))
    listed = zip(whole.metrics, whole.values, errors, strict=True)
    values = {metric.name: Value(float(value), float(error)) for metric, value, error in listed}
    if kind != "regression" and _fewest(kind, whole) < FEWEST:
        values = {}
    if kind == "binary":
        values |= _gap(labelled)
    return {name: value for name, value in values.items() if name in titled(kind)}


def _fewest(kind: LabelKind, whole: Measured) -> int:
    """Return the rows of the class that has fewest: of two classes one may not occur at all."""
    if kind == "binary" and len(np.unique(whole.classes)) < 2:
        return 0
    return int(whole.rarest.sum())


def _gap(labelled: LabelledRows) -> dict[str, Value]:
    """Return labels minus predictions, with the error that true probabilities would have: labels do not decide it.

    Few rows that are expected of a class leave it out, as their number is far from normal.
    """
    chance = labelled.predictions
    if min(float(chance.sum()), float((1 - chance).sum())) < FEWEST:
        return {}
    error = math.sqrt(float((chance * (1 - chance)).sum())) / len(chance)
    return {GAP: Value(float((labelled.labels - chance).mean()), error)}


def _came_true(kind: LabelKind, labels: Floats, predictions: Floats) -> Floats:
    return labels if kind == "binary" else (predictions.argmax(axis=1) == labels).astype(np.float64)


def _series(name: str, values: Sequence[Value | None]) -> Series:
    figures = [(_short(value.value), _short(value.error)) if value else (None, None) for value in values]
    return Series(name, tuple(value for value, _ in figures), tuple(error for _, error in figures))


def _short(value: float) -> float | None:
    """Return a number of 4 significant digits: a file holds one a window and figure."""
    return float(f"{value:.4g}") if math.isfinite(value) else None
