"""ONNX Runtime: predicts rows with a converted model, on one thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from leverframe.adapters.onnx.exchange import short_line
from leverframe.errors import BundleError

MISSING = "\u2205 missing"  # what a missing text is for ONNX, which knows none: the empty one is a text like others


class OnnxModel:
    """A converted model that predicts; raises ``BundleError`` for bytes that are no such model."""

    def __init__(self, data: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors; it warns of graphs that are fine
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no common class
            raise BundleError(
                "the model in ONNX cannot be opened",
                why=short_line(error),
                next="`dvc pull` fetches the bundle again, `dvc repro bundle` makes it again",
            ) from error
        self._text = {tensor.name: tensor.type == "tensor(string)" for tensor in self._session.get_inputs()}
        self._output = self._session.get_outputs()[-1].name

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return what the model says to n rows: (n, classes) probabilities, or (n,) numbers of a regression.

        ``columns`` hold n values each: texts, None where one is missing, or doubles with NaN.
        """
        inputs = {name: _texts(columns[name]) if text else columns[name] for name, text in self._text.items()}
        output = self._session.run([self._output], {name: values.reshape(-1, 1) for name, values in inputs.items()})[0]
        predictions = np.asarray(output, np.float64)
        return predictions[:, 0] if predictions.ndim == 2 and predictions.shape[1] == 1 else predictions


def _texts(values: NDArray[Any]) -> NDArray[Any]:
    missing = np.equal(values, np.array(None, object))
    return np.where(missing, MISSING, values) if missing.any() else values
