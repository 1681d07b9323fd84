"""Whether a converted model predicts like the trained one, also on rows that are hard to predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.bundle.bundle_manifest import Engine
from leverframe.domain.model.bundle.schema import Field

UNSEEN = "\u2205 never seen"  # a category that no training set contains

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Conversion:
    """The difference of two models: the ``largest`` over ``rows`` predictions, and ``flips`` of the label.

    Of a regression, which has no flips, ``largest`` is in units of ``scale``, how far labels lie apart.
    ``why`` says what kept the converted model from being used, empty where it is.
    """

    engine: Engine
    rows: int
    largest: float | None
    flips: int | None
    tolerance: float
    why: str = ""
    scale: float | None = None

    def line(self) -> str:
        """Return the result as one line."""
        if self.engine == "skops":
            return f"served by scikit-learn itself: {self.why}"
        rest = (
            f", {self.flips} labels differ" if self.scale is None else f" of the spread of the label, {self.scale:.3g}"
        )
        return f"ONNX matches scikit-learn on {self.rows:,} rows: largest difference {self.largest:.1e}{rest}"


def spread(values: NDArray[np.float64]) -> float:
    """Return how far numbers lie apart: between their quartiles, or wider quantiles where these are the same.

    Neither an offset of all numbers nor a few that lie far out change it. It is positive: numbers that are all
    the same lie as far apart as the number is large.
    """
    finite = np.asarray(values, np.float64)[np.isfinite(values)]
    if not len(finite):
        return 1.0
    low, high = np.quantile(finite, [[0.25, 0.05, 0.0], [0.75, 0.95, 1.0]])
    widths = [float(width) for width in high - low if width > 0]
    return next(iter(widths), float(np.abs(finite).max()) or 1.0)


def limits(expected: NDArray[np.float64], tolerance: float, scale: float | None) -> NDArray[np.float64]:
    """Return by how much a prediction of each row may differ from the ``expected`` ones, shape (rows,).

    A prediction of a regression that lies further out than ``scale`` may differ by as much more.
    """
    if scale is None:
        return np.full(len(expected), tolerance * max(1.0, float(np.nanmax(np.abs(expected), initial=0.0))))
    return tolerance * _sizes(expected, scale)


def _sizes(numbers: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    flat = numbers.reshape(len(numbers), -1).max(axis=1, initial=-np.inf)
    middle = np.nanmedian(flat) if np.isfinite(flat).any() else 0.0
    sizes: NDArray[np.float64] = np.fmax(scale, np.abs(flat - middle))
    return sizes


def compared(
    kind: LabelKind, trained: NDArray[Any], converted: NDArray[Any], tolerance: float, scale: float = 1.0
) -> Conversion:
    """Return how ``converted`` predictions differ from ``trained`` ones, both (rows,) or (rows, classes).

    The distance is one of probabilities, for a regression relative to ``scale`` and how far out the
    prediction lies. Converted predictions that are no finite number differ infinitely.
    """
    rows, numbers = len(trained), kind == "regression"
    if trained.shape != converted.shape:
        why = f"predictions of the converted model have the shape {converted.shape} instead of {trained.shape}"
        return Conversion("skops", rows, None, None if numbers else 0, tolerance, why, scale if numbers else None)
    apart = np.abs(trained - converted) / (_sizes(trained, scale) if numbers else 1.0)
    largest = float(apart.max(initial=0.0)) if np.isfinite(converted).all() else float("inf")
    flips = None if numbers else int((trained.argmax(axis=1) != converted.argmax(axis=1)).sum())
    why = ""
    if largest > tolerance or flips:
        why = f"ONNX differs by up to {largest:.2g}"
        why += f" of the spread of the label, {scale:.3g}" if flips is None else _flips(flips, rows)
    known = largest if np.isfinite(largest) else None
    return Conversion("skops" if why else "onnx", rows, known, flips, tolerance, why, scale if numbers else None)


def _flips(flips: int, rows: int) -> str:
    return f", and gives {flips:,} of {rows:,} rows another label" if flips else ""


def hard_rows(columns: Columns, fields: Sequence[Field], rows: int = 32) -> dict[str, NDArray[Any]]:
    """Return rows that a conversion may get wrong: a feature missing, a category unseen or empty, all missing.

    They are made of the first ``rows`` rows of ``columns``, as the model takes them, and hold nothing that
    the ``fields`` refuse.
    """
    few = {field.name: columns[field.name][:rows] for field in fields}
    missing: dict[str, Any] = {
        field.name: None if field.kind == "text" else np.nan for field in fields if field.nullable
    }
    changes: list[dict[str, Any]] = [{name: value} for name, value in missing.items()]
    for field in fields:
        if field.kind == "text" and field.allowed is None:
            changes += [{field.name: UNSEEN}, {field.name: ""}]
    changes.append(missing)
    return {
        name: np.concatenate([np.full_like(values, change[name]) if name in change else values for change in changes])
        for name, values in few.items()
    }
