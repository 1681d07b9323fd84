"""ONNX: how a model becomes one (``convert``), and how it predicts (``session``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.features.training_set import Feature


class Onnx:
    """The ``Converter`` port."""

    def convert(self, model: Any, features: Sequence[Feature]) -> bytes:
        """Return the model in ONNX; raises ``BundleError`` where it cannot be converted."""
        from leverframe.adapters.onnx.convert import converted  # noqa: PLC0415 - a server needs only the session

        return converted(model, features)

    def predict(self, data: bytes, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return (rows, classes) probabilities or (rows,) numbers; raises ``BundleError``."""
        from leverframe.adapters.onnx.session import OnnxModel  # noqa: PLC0415 - a session can be used without this

        return OnnxModel(data).predict(columns)

    def versions(self) -> dict[str, str]:
        """Return the versions of what converts and what predicts."""
        return {name: version(name) for name in ("onnx", "onnxruntime", "skl2onnx")}
