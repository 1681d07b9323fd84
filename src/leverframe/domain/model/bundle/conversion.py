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

    ``why`` says what kept the converted model from being used, empty where it is.
    """

    engine: Engine
    rows: int
    largest: float | None
    flips: int
    tolerance: float
    why: str = ""

    def line(self) -> str:
        """Return the result as one line."""
        if self.engine == "skops":
            return f"served by scikit-learn itself: {self.why}"
        return (
            f"ONNX matches scikit-learn on {self.rows:,} rows: largest difference {self.largest:.1e}, "
            f"{self.flips} labels differ"
        )


def compared(kind: LabelKind, trained: NDArray[Any], converted: NDArray[Any], tolerance: float) -> Conversion:
    """Return how ``converted`` predictions differ from ``trained`` ones, both (rows,) or (rows, classes).

    For a regression the distance is relative to the largest prediction. Converted predictions that are
    no finite number differ infinitely.
    """
    if trained.shape != converted.shape:
        why = f"predictions of the converted model have the shape {converted.shape} instead of {trained.shape}"
        return Conversion("skops", len(trained), None, 0, tolerance, why)
    apart = np.abs(trained - converted)
    scale = max(1.0, float(np.abs(trained).max(initial=0))) if kind == "regression" else 1.0
    largest = float(apart.max(initial=0.0)) / scale if np.isfinite(converted).all() else float("inf")
    flips = 0 if kind == "regression" else int((trained.argmax(axis=1) != converted.argmax(axis=1)).sum())
    if largest <= tolerance and not flips:
        return Conversion("onnx", len(trained), largest, 0, tolerance)
    why = f"ONNX differs by up to {largest:.2g}, and gives {flips} of {len(trained):,} rows another label"
    return Conversion("skops", len(trained), largest if np.isfinite(largest) else None, flips, tolerance, why)


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
