"""The data of the plots, as the tables that ``dvc plots`` draws and compares."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from typing import Any

import numpy as np

from leverframe.domain.model.evaluate.calibration import Bin
from leverframe.domain.model.evaluate.holdout import Holdout
from leverframe.domain.model.evaluate.metrics import METRICS
from leverframe.domain.model.evaluate.ranking import Ranking
from leverframe.domain.model.evaluate.scores import Scores, Threshold, plain, slice_lines

NAMES = ("precision-recall", "roc", "calibration", "thresholds", "slices", "classes")
POINTS = 500  # of a curve at most: beyond that a file grows and the picture does not change

Curve = list[tuple[float, float, float]]


def plots(holdout: Holdout, scores: Scores) -> dict[str, str]:
    """Return the content of each CSV file by its name among ``NAMES``; what is undefined has no file."""
    leading = METRICS[holdout.kind][0]
    judged, _ = slice_lines(scores.figures, leading.name, leading.better)
    tables: dict[str, tuple[Sequence[str], Iterable[Sequence[Any]]]] = {
        "calibration": ([field.name for field in fields(Bin)], [astuple(group) for group in scores.bins]),
        "slices": (
            ("slice", "rows", leading.name, "low", "high"),
            [(line.name, line.rows, line.metric, line.low, line.high) for line in judged],
        ),
    }
    if holdout.kind == "binary":
        tables["thresholds"] = ([field.name for field in fields(Threshold)], [astuple(e) for e in scores.thresholds])
        tables["precision-recall"] = (("recall", "precision", "threshold"), precision_recall(holdout))
        tables["roc"] = (("fpr", "tpr", "threshold"), roc(holdout))
    if holdout.kind == "multiclass":
        tables["classes"] = (("class", "rows", "precision", "recall", "f1"), _classes(holdout))
    written = {name: _csv(header, list(rows)) for name, (header, rows) in tables.items()}
    return {name: text for name, text in written.items() if text}


def precision_recall(holdout: Holdout, points: int = POINTS) -> Curve:
    """Return at most ``points`` of (recall, precision, threshold), recall ascending; empty without a positive row."""
    thresholds, hits, misses = Ranking(holdout.predictions, holdout.labels == 1).counts()
    if len(hits) == 0 or hits[-1] == 0:
        return []
    rows = list(zip(hits / hits[-1], hits / (hits + misses), thresholds, strict=True))
    return _thinned(rows, [recall for recall, _, _ in rows], points)


def roc(holdout: Holdout, points: int = POINTS) -> Curve:
    """Return at most ``points`` of (false positive rate, true positive rate, threshold); empty for one class."""
    thresholds, hits, misses = Ranking(holdout.predictions, holdout.labels == 1).counts()
    if len(hits) == 0 or hits[-1] == 0 or misses[-1] == 0:
        return []
    rows = list(zip(misses / misses[-1], hits / hits[-1], thresholds, strict=True))
    return _thinned(rows, [fpr + tpr for fpr, tpr, _ in rows], points)


def _thinned(rows: Curve, along: Sequence[float], points: int) -> Curve:
    """Return at most ``points`` rows, evenly spread over the ascending ``along``, the first and the last among them."""
    if len(rows) <= points:
        return rows
    wanted = np.linspace(along[0], along[-1], points)
    kept = np.unique(np.clip(np.searchsorted(along, wanted), 0, len(rows) - 1))
    return [rows[index] for index in sorted({0, len(rows) - 1, *kept.tolist()})][:points]


def _classes(holdout: Holdout) -> list[Sequence[Any]]:
    chosen = holdout.predictions.argmax(axis=1)
    table: list[Sequence[Any]] = []
    for number, name in enumerate(holdout.classes):
        true, predicted = holdout.labels == number, chosen == number
        hits, rows, alerts = int((true & predicted).sum()), int(true.sum()), int(predicted.sum())
        precision = hits / alerts if alerts else math.nan
        recall = hits / rows if rows else math.nan
        f1 = 2 * hits / (rows + alerts) if rows + alerts else math.nan
        table.append((name, rows, precision, recall, f1))
    return table


def _csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    if not rows:
        return ""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([plain(value) if isinstance(value, float) else value for value in row] for row in rows)
    return out.getvalue()
