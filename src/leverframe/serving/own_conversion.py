"""Boosted trees that were trained elsewhere as ONNX, where that predicts what their own library does."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.features.training_set import Feature
from leverframe.domain.model.bundle.conversion import Conversion, compared, hard_rows, spread
from leverframe.domain.own_model.opened import (
    Columns,
    ModelInfo,
    NativeFormat,
    NativeModel,
    first_line,
    itself,
    outcome,
)
from leverframe.domain.own_model.own_packing import by_class, fields_of

_THRESHOLDS = 5000  # of which rows are made


def to_onnx(
    format: NativeFormat,
    model: NativeModel,
    about: ModelInfo,
    rows: tuple[Sequence[Feature], Columns],
    tolerance: float,
) -> tuple[bytes | None, str]:
    """Return a model in ONNX, None where its own library has to serve it, and in words why, or how close both are.

    ``rows`` are features with their columns, none of them categories. Both predict them, rows with values missing, and
    rows whose values lie at thresholds of the trees: those of ONNX have 32 bits, and a library may have more.
    """
    features, columns = rows
    try:
        data = _converted(format, model, len(features))
        conversion = _compared(data, model, about, (features, columns), tolerance)
    except Exception as error:  # converters raise what they like, for what they do not know
        return None, itself(format, f"it cannot be converted to ONNX: {type(error).__name__}: {first_line(error)}")
    if conversion.why:
        return None, itself(format, conversion.why)
    return data, f"{conversion.line().replace('scikit-learn', format)}, also at thresholds of the trees"


def _converted(format: NativeFormat, model: Any, width: int) -> bytes:
    if format == "catboost":
        data: bytes = model.to_onnx()
        return data
    from leverframe.adapters.onnxmltools import from_lightgbm, from_xgboost  # noqa: PLC0415 - heavy

    return (from_xgboost if format == "xgboost" else from_lightgbm)(model.booster, width)


def _compared(
    data: bytes, model: NativeModel, about: ModelInfo, rows: tuple[Sequence[Feature], Columns], tolerance: float
) -> Conversion:
    from leverframe.adapters.onnxruntime import OwnOnnxModel, thresholds  # noqa: PLC0415 - heavy

    features, columns = rows
    assert about.kind is not None  # noqa: S101 - it was looked at
    fields = fields_of(features, about.accepts)
    parts = (columns, hard_rows(columns, fields), _at_thresholds(columns, list(islice(thresholds(data), _THRESHOLDS))))
    asked = {name: np.concatenate([part[name] for part in parts]) for name in columns}
    count = len(next(iter(asked.values())))
    ours, theirs = (
        by_class(outcome(side.predict(asked), count, about.kind), about.kind) for side in (model, OwnOnnxModel(data))
    )
    scale = spread(ours) if about.kind == "regression" else 1.0
    return compared(about.kind, ours, theirs, tolerance, scale)


def _at_thresholds(columns: Columns, thresholds: Sequence[tuple[int, float]]) -> dict[str, NDArray[Any]]:
    """Return rows, one after another, with one value at a threshold, or beside it by the smallest step of 64 bits."""
    values = [(place, value) for place, at in thresholds
              for value in (at, np.nextafter(at, -np.inf), np.nextafter(at, np.inf))]  # fmt: skip
    rows = len(next(iter(columns.values())))
    chosen = np.arange(len(values)) % rows
    made = {name: column[chosen].copy() for name, column in columns.items()}
    names = list(columns)
    for row, (place, value) in enumerate(values):
        made[names[place]][row] = value
    return made
