"""Scikit-learn: predicts rows with a model that somebody stored by skops elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.adapters.sklearn.models import SklearnModels
from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.own_model.opened import GUIDE, Columns, ModelInfo, first_line, unpredicted
from leverframe.errors import EstimatorError, guide_page


class OwnSklearnModel:
    """A stored model, which is given a frame where it was trained with names of columns, else a matrix.

    ``frame`` makes a table of columns. Raises ``EstimatorError`` for bytes that are none, and with all types that are
    neither known nor ``trusted``.
    """

    def __init__(self, data: bytes, trusted: Collection[str], frame: Callable[[Mapping[str, Any]], Any]) -> None:
        self._frame = frame
        try:
            self._model = SklearnModels(Path(), trusted).load(data)
        except EstimatorError as error:
            if "not trusted" not in error.what:
                raise
            raise EstimatorError(
                error.what,
                why=error.why,
                next=f"let a function of the repository open it: `predict: module:function`, {guide_page(GUIDE)}",
            ) from error
        names = getattr(self._model, "feature_names_in_", None)
        classes = tuple(map(str, getattr(self._model, "classes_", ())))
        kind: LabelKind = "binary" if classes == ("0", "1") else "multiclass" if classes else "regression"
        width = getattr(self._model, "n_features_in_", None)
        self.about = ModelInfo(None if names is None else tuple(map(str, names)), width, kind, classes)

    def predict(self, columns: Columns) -> NDArray[np.float64]:
        """Return (n, classes) probabilities or (n,) numbers."""
        try:
            if self.about.names is None:
                texts = any(column.dtype == object for column in columns.values())
                rows = np.column_stack([column.astype(object) if texts else column for column in columns.values()])
            else:
                rows = self._frame(dict(zip(self.about.names, columns.values(), strict=True)))
            return np.asarray((self._model.predict_proba if self.about.classes else self._model.predict)(rows), float)
        except Exception as error:  # estimators raise what they like
            raise unpredicted("scikit-learn", first_line(error)) from ValueError(str(error))
