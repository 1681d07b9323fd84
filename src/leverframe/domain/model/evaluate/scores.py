"""Every figure of an evaluation as plain numbers: overall, by slice, by threshold, by bin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.model.evaluate.calibration import Bin
from leverframe.domain.model.evaluate.dependence import by_day, intervals, uncertainty
from leverframe.domain.model.evaluate.holdout import Holdout
from leverframe.domain.model.evaluate.metrics import calibration
from leverframe.domain.model.evaluate.ranking import Floats
from leverframe.settings.params import EvaluateSettings

Figures = dict[str, Any]


@dataclass(frozen=True)
class Threshold:
    """What follows from acting on every row whose score is at least ``threshold``; NaN where undefined."""

    threshold: float
    precision: float
    recall: float
    f1: float
    alert_share: float
    tp: int
    fp: int
    tn: int
    fn: int


@dataclass(frozen=True)
class Scores:
    """``figures`` is the content of ``reports/metrics.json``; bins and thresholds feed plots and card."""

    figures: Figures
    bins: Sequence[Bin]
    thresholds: Sequence[Threshold]


def scored(holdout: Holdout, settings: EvaluateSettings) -> Scores:
    """Return every figure of the hold-out."""
    figures, independent = _figures(holdout, slice(None), settings.confidence)
    figures["independent_days"] = independent
    figures["rows"] = len(holdout.labels)
    figures["days"] = holdout.number_of_days
    figures["slices"] = {name: _slices(holdout, values, settings) for name, values in sorted(holdout.slices.items())}
    bins = calibration(holdout.kind, holdout.labels, holdout.predictions)
    binary = holdout.kind == "binary"
    thresholds = threshold_table(holdout.labels, holdout.predictions, settings.thresholds) if binary else []
    return Scores(figures, bins.table(holdout.days, holdout.number_of_days, settings.confidence), thresholds)


def _slices(holdout: Holdout, values: NDArray[np.str_], settings: EvaluateSettings) -> Figures:
    slices: Figures = {}
    for value in np.unique(values).tolist():
        rows = np.flatnonzero(values == value)
        figures: Figures = {"rows": len(rows)}
        if len(rows) >= settings.minimum_slice_rows:
            figures |= _figures(holdout, rows, settings.confidence)[0]
        slices[value] = figures
    return slices


def _figures(holdout: Holdout, rows: NDArray[np.int64] | slice, confidence: float) -> tuple[Figures, Figures]:
    """Return each metric with its interval, and how many independent days would tell as much of it as these."""
    measured, days = holdout.measured(rows), holdout.days[rows]
    known = uncertainty(
        by_day(measured.influence, days, holdout.number_of_days), measured.shares(days, holdout.number_of_days)
    )
    scales = [metric.scale for metric in measured.metrics]
    ends = intervals(measured.values, scales, known, confidence, measured.counts())
    names = [metric.name for metric in measured.metrics]
    figures: Figures = {name: plain(value) for name, value in zip(names, measured.values, strict=True)}
    figures["interval"] = {
        name: {"low": plain(low), "high": plain(high)} for name, (low, high) in zip(names, ends, strict=True)
    }
    independent = {name: round(float(days), 1) for name, days in zip(names, known.effective, strict=True)}
    return figures, independent


def plain(value: float) -> float | None:
    """Return a number of 6 significant digits, None where it is undefined."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def threshold_table(labels: Floats, scores: Floats, thresholds: Sequence[float]) -> list[Threshold]:
    """Return what each threshold gives; ``labels`` (0 or 1) and ``scores`` have shape (rows,)."""
    table = []
    for threshold in sorted(set(thresholds)):
        alert, positive = scores >= threshold, labels == 1
        tp, fp = int((alert & positive).sum()), int((alert & ~positive).sum())
        fn, tn = int((~alert & positive).sum()), int((~alert & ~positive).sum())
        rates = (_share(tp, tp + fp), _share(tp, tp + fn), _share(2 * tp, 2 * tp + fp + fn))
        table.append(Threshold(threshold, *rates, _share(tp + fp, len(labels)), tp, fp, tn, fn))
    return table


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


@dataclass(frozen=True)
class SliceLine:
    """One slice as people read it: its values of the leading metric, None where undefined."""

    column: str
    value: str
    rows: int
    metric: float | None
    low: float | None
    high: float | None

    @property
    def name(self) -> str:
        """The column and the value."""
        return f"{self.column} = {self.value}"


def slice_lines(figures: Figures, metric: str, better: str) -> tuple[list[SliceLine], list[SliceLine]]:
    """Return the slices that were judged, worst first, and those that were too small, largest first."""
    judged: list[SliceLine] = []
    small: list[SliceLine] = []
    for column, values in figures["slices"].items():
        for value, of_slice in values.items():
            ends = of_slice.get("interval", {}).get(metric, {})
            line = SliceLine(column, value, of_slice["rows"], of_slice.get(metric), ends.get("low"), ends.get("high"))
            (judged if metric in of_slice else small).append(line)
    sign = 1 if better == "higher" else -1
    # A slice without a figure cannot be the worst: it stands last.
    judged.sort(key=lambda slice_line: (slice_line.metric is None, sign * (slice_line.metric or 0), slice_line.name))
    return judged, sorted(small, key=lambda slice_line: (-slice_line.rows, slice_line.name))
