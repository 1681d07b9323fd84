"""The charts of an evaluation: calibration, precision against recall, and the worst slices."""

from __future__ import annotations

import math

from leverframe.domain.model.charts import Axis, Bar, BarChart, Line, LineChart
from leverframe.domain.model.evaluate.holdout import Holdout
from leverframe.domain.model.evaluate.metrics import METRICS
from leverframe.domain.model.evaluate.plots import precision_recall
from leverframe.domain.model.evaluate.scores import Scores, slice_lines

NAMES = ("calibration", "precision-recall", "slices")
MOST_SLICES = 30
_POINTS = 150  # a file stays far below 20 kB, and a screen shows no more


def charts(label: str, holdout: Holdout, scores: Scores) -> dict[str, LineChart | BarChart]:
    """Return each chart by its name; what is undefined has none."""
    charts: dict[str, LineChart | BarChart | None] = {
        "calibration": _calibration(label, holdout, scores),
        "slices": _slices(label, holdout, scores),
    }
    if holdout.kind == "binary":
        charts["precision-recall"] = _precision_recall(label, holdout, scores)
    return {name: chart for name, chart in charts.items() if chart is not None}


def _calibration(label: str, holdout: Holdout, scores: Scores) -> LineChart | None:
    bins = scores.bins
    if not bins:
        return None
    predicted, observed = _AXES[holdout.kind]
    values = [value for group in bins for value in (group.predicted, group.observed, group.low, group.high)]
    finite = [value for value in values if math.isfinite(value)]
    probabilities = holdout.kind != "regression"
    low = 0.0 if probabilities else min(finite)
    high = min(1.0, math.ceil(max(finite) * 10 + 1e-9) / 10) if probabilities else max(finite)
    model = Line(
        "model",
        [(group.predicted, group.observed) for group in bins],
        [(group.low, group.high) for group in bins],
        dots=True,
    )
    expected = Line("perfect calibration", [(low, low), (high, high)], dashed=True)
    ends = (low, high) if probabilities else (None, None)
    return LineChart(f"Calibration of {label}", Axis(predicted, *ends), Axis(observed, *ends), [expected, model])


_AXES = {
    "binary": ("mean predicted probability", "observed share"),
    "multiclass": ("mean confidence", "share of correct predictions"),
    "regression": ("mean prediction", "mean observed value"),
}


def _precision_recall(label: str, holdout: Holdout, scores: Scores) -> LineChart | None:
    points = [(recall, precision) for recall, precision, _ in precision_recall(holdout, _POINTS)]
    if not points:
        return None
    rate = scores.figures["base_rate"]
    lines = [Line("model", points), Line("no skill", [(0, rate), (1, rate)], dashed=True)]
    title = f"Precision and recall of {label}: average precision {scores.figures['average_precision']:.3f}"
    return LineChart(title, Axis("recall", 0, 1), Axis("precision", 0, 1), lines)


def _slices(label: str, holdout: Holdout, scores: Scores) -> BarChart | None:
    metric = METRICS[holdout.kind][0]
    judged, _ = slice_lines(scores.figures, metric.name, metric.better)
    defined = [line for line in judged if line.metric is not None]
    if not defined:
        return None
    bars = [Bar(line.name, _or_nan(line.metric), _or_nan(line.low), _or_nan(line.high)) for line in defined]
    overall = scores.figures[metric.name]
    expected = ("all rows", overall) if overall is not None else None
    which = f"{MOST_SLICES} worst of {len(bars)} slices" if len(bars) > MOST_SLICES else "Slices, worst first"
    axis = Axis(metric.title, 0 if metric.better == "lower" else None)
    return BarChart(f"{which}: {metric.title} of {label}", axis, bars[:MOST_SLICES], expected)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
