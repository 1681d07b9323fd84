"""CatBoost: predicts rows with a model in the library's own format, `.cbm`, on one thread."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import catboost
import numpy as np
import pandas
from numpy.typing import NDArray

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.own_model.opened import Columns, ModelInfo, first_line, unopened, unpredicted

_BINARY = (("0", "1"), ("0.0", "1.0"))


class CatBoostModel:
    """A model that predicts as CatBoost does; raises ``EstimatorError`` for bytes that are none."""

    def __init__(self, data: bytes) -> None:
        try:
            plain = catboost.CatBoost().load_model(blob=data)
            classes = tuple(map(str, plain.classes_))
            self._model: Any = catboost.CatBoostClassifier() if classes else catboost.CatBoostRegressor()
            self._model.load_model(blob=data)
            names = tuple(plain.feature_names_)
            self._categorical = frozenset(plain.get_cat_feature_indices())
        except Exception as error:  # a damaged file may have any part missing
            raise unopened("CatBoost", first_line(error)) from error
        kind: LabelKind = "binary" if classes in _BINARY else "multiclass" if classes else "regression"
        self.about = ModelInfo(names, len(names), kind, ("0", "1") if kind == "binary" else classes)

    def predict(self, columns: Columns) -> NDArray[np.float64]:
        """Return (n, classes) probabilities, or (n,) numbers; a missing category is refused, as the library does."""
        predict = self._model.predict_proba if self.about.classes else self._model.predict
        try:
            predictions = predict(self._rows(list(columns.values())), thread_count=1)
        except (catboost.CatBoostError, ValueError, TypeError) as error:
            raise unpredicted("CatBoost", first_line(error)) from ValueError(str(error))
        return np.asarray(predictions, np.float64)

    def to_onnx(self) -> bytes:
        """Return the model in ONNX, as CatBoost writes it; raises its error for one that has no such form."""
        with TemporaryDirectory(prefix="leverframe-") as folder:
            file = Path(folder, "model.onnx")
            self._model.save_model(str(file), format="onnx")
            return file.read_bytes()

    def _rows(self, values: list[NDArray[Any]]) -> Any:
        """Return the rows as the library takes them: a category is a text or a whole number."""
        return pandas.DataFrame(
            {
                name: _category(column) if number in self._categorical else column
                for number, (name, column) in enumerate(zip(self.about.names or (), values, strict=True))
            }
        )


def _category(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype == object:
        if any(value is None for value in values.tolist()):
            raise ValueError("a category is missing, which CatBoost does not take: send a text in its place")
        return values
    if not (np.isfinite(values) & (values == np.floor(values))).all():
        raise ValueError("a category is neither a text nor a whole number")
    return values.astype(np.int64)
