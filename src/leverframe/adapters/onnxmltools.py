"""onnxmltools: turns trees of XGBoost and LightGBM into ONNX, whose input is one matrix of 32-bit floats."""

from __future__ import annotations

from typing import Any

from onnxmltools.convert import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

_OPSET = 15


def from_xgboost(booster: Any, width: int) -> bytes:
    """Return a booster of XGBoost in ONNX; raises what the converter likes for one that it does not know."""
    unnamed = booster.copy()
    unnamed.feature_names = unnamed.feature_types = None  # the converter knows only f0, f1 and so on
    data: bytes = convert_xgboost(unnamed, initial_types=_matrix(width), target_opset=_OPSET).SerializeToString()
    return data


def from_lightgbm(booster: Any, width: int) -> bytes:
    """Return a booster of LightGBM in ONNX; raises what the converter likes for one that it does not know."""
    proto = convert_lightgbm(booster, initial_types=_matrix(width), target_opset=_OPSET, zipmap=False)
    data: bytes = proto.SerializeToString()
    return data


def _matrix(width: int) -> list[tuple[str, Any]]:
    return [("rows", FloatTensorType([None, width]))]
