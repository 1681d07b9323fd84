"""ONNX Runtime: predicts rows with a model that somebody converted elsewhere, whatever its inputs are called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.own_model.opened import Columns, ModelInfo, first_line, unopened, unpredicted

_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64,
          "tensor(int32)": np.int32, "tensor(bool)": np.bool_, "tensor(string)": object}  # fmt: skip
_CLASSES = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")
_LIBRARY = "ONNX Runtime"


class OwnOnnxModel:
    """A model with one matrix of numbers as its input, or with an input a column.

    Of its outputs the last is taken: probabilities, as a tensor or as a map a row, or a number. Raises
    ``EstimatorError`` for bytes that are no such model.
    """

    def __init__(self, data: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors; it warns of graphs that are fine
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
            graph = onnx.load_model_from_string(data).graph
        except Exception as error:  # its exceptions have no common class
            raise unopened(_LIBRARY, first_line(error)) from error
        self._inputs = self._session.get_inputs()
        outputs = self._session.get_outputs()
        self._output = outputs[-1]
        strange = [tensor.type for tensor in self._inputs if tensor.type not in _TYPES]
        if strange:
            raise unopened(_LIBRARY, f"an input is a {strange[0]}, and the rows of a table are none")
        wide = self._inputs[0].shape[-1] if len(self._inputs) == 1 and len(self._inputs[0].shape) == 2 else 1
        self._matrix = wide != 1
        named = tuple(tensor.name for tensor in self._inputs)
        classes = next(_classes(graph), ())
        width = (wide if isinstance(wide, int) else None) if self._matrix else len(named)
        self.about = ModelInfo(None if self._matrix else named, width, _kind(classes, len(outputs)), classes)

    def predict(self, columns: Columns) -> NDArray[np.float64]:
        """Return (n, classes) probabilities or (n,) numbers."""
        values = list(columns.values())
        try:
            if self._matrix:
                given = {self._inputs[0].name: np.column_stack(values).astype(_TYPES[self._inputs[0].type])}
            else:
                given = {
                    tensor.name: _tensor(tensor, column) for tensor, column in zip(self._inputs, values, strict=True)
                }
            output = self._session.run([self._output.name], given)[0]
        except Exception as error:  # as above
            raise unpredicted(_LIBRARY, first_line(error)) from ValueError(str(error))
        return np.asarray([list(row.values()) for row in output] if isinstance(output, list) else output, np.float64)


def thresholds(data: bytes) -> Iterator[tuple[int, float]]:
    """Yield the feature, by its place, and the value of each split of the trees in a model, the same ones once."""
    seen: set[tuple[int, float]] = set()
    for node in onnx.load_model_from_string(data).graph.node:
        attributes = {attribute.name: attribute for attribute in node.attribute}
        if "nodes_featureids" not in attributes or "nodes_values" not in attributes:
            continue
        splits = zip(attributes["nodes_featureids"].ints, attributes["nodes_values"].floats, strict=True)
        for split, mode in zip(splits, attributes["nodes_modes"].strings, strict=True):
            if mode != b"LEAF" and split not in seen:
                seen.add(split)
                yield split


def _tensor(tensor: Any, column: NDArray[Any]) -> NDArray[Any]:
    kind = _TYPES[tensor.type]
    if kind is object:
        texts = np.array([str(value) for value in column.tolist()] if column.dtype != object else column, object)
        if any(value is None for value in texts.tolist()):
            raise ValueError(f"`{tensor.name}` is missing, and ONNX has no missing texts")
    elif kind in (np.int64, np.int32, np.bool_) and not np.isfinite(column.astype(np.float64)).all():
        raise ValueError(f"`{tensor.name}` is missing, and {tensor.type} has no missing values")
    shaped = column if kind is not object else texts
    return shaped.astype(kind).reshape(-1, 1) if len(tensor.shape) == 2 else shaped.astype(kind)


def _classes(graph: Any) -> Iterator[tuple[str, ...]]:
    """Yield the classes that nodes name, those of the last one first."""
    for node in reversed(graph.node):
        for attribute in node.attribute:
            if attribute.name in _CLASSES and (attribute.strings or attribute.ints):
                texts = [text.decode() for text in attribute.strings] or [str(number) for number in attribute.ints]
                yield tuple(texts)


def _kind(classes: tuple[str, ...], outputs: int) -> LabelKind | None:
    """Return the kind of the label: that of classes, a number where there is one output and no class."""
    if classes:
        return "binary" if classes == ("0", "1") else "multiclass"
    return "regression" if outputs == 1 else None
