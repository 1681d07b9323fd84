"""An evaluation in a few lines for a terminal."""

from __future__ import annotations

from typing import Any

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.evaluate.metrics import METRICS, Metric
from leverframe.domain.model.evaluate.scores import slice_lines

_GAUGE = 24  # characters from 0 to 1
_WORST = 3


def summary_lines(metrics: dict[str, Any]) -> list[str]:
    """Return the content of ``reports/metrics.json`` as lines of text: metrics, intervals, worst slices."""
    known = METRICS[kind_of(metrics)]
    lines = [f"{metrics['rows']:,} rows of {metrics['days']:,} days"]
    width = max(len(metric.title) for metric in known)
    lines += [_line(metric, metrics, width) for metric in known]
    judged, small = slice_lines(metrics, known[0].name, known[0].better)
    worst = [line for line in judged if line.metric is not None][:_WORST]
    if worst:
        named = ", ".join(f"{line.name} {short(line.metric)} ({line.rows:,} rows)" for line in worst)
        lines.append(f"worst slices by {known[0].title}: {named}")
    if small:
        lines.append(f"slices with too few rows, not evaluated: {len(small)}")
    return lines


def kind_of(metrics: dict[str, Any]) -> LabelKind:
    """Return the kind of label whose metrics these are."""
    return next(kind for kind, known in METRICS.items() if all(metric.name in metrics for metric in known))


def short(value: float | None) -> str:
    """Return a number as people compare it: about four digits, or n/a where it is undefined."""
    if value is None:
        return "n/a"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if size > 1 or 0 < size < 0.001 else f"{value:.4f}"


def _line(metric: Metric, metrics: dict[str, Any], width: int) -> str:
    value, ends = metrics[metric.name], metrics["interval"][metric.name]
    line = f"  {metric.title:<{width}}  {short(value):>8}"
    if ends["low"] is None:
        return line
    line += f"  [{short(ends['low']):>8}, {short(ends['high']):>8}]"
    inside = all(0 <= number <= 1 for number in (value, ends["low"], ends["high"]))
    return f"{line}  {_gauge(value, ends['low'], ends['high'])}" if inside and metric.better == "higher" else line


def _gauge(value: float, low: float, high: float) -> str:
    at, first, last = (round(number * (_GAUGE - 1)) for number in (value, low, high))
    return "".join("●" if cell == at else "━" if first <= cell <= last else "·" for cell in range(_GAUGE))
