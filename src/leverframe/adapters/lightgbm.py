"""LightGBM: predicts rows with a model in the library's own format, text, on one thread."""

from __future__ import annotations

import re
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.own_model.opened import Columns, ModelInfo, first_line, unopened, unpredicted

_LINE = r"^{}=(.*)$"
_KINDS: dict[str, LabelKind] = {"binary": "binary", "multiclass": "multiclass", "multiclassova": "multiclass"}


class LightGBMModel:
    """A model that predicts as LightGBM does; raises ``EstimatorError`` for bytes that are none."""

    def __init__(self, data: bytes) -> None:
        try:
            text = data.decode()
            lightgbm.register_logger(_Quiet())
            self._booster = lightgbm.Booster(model_str=text)
        except Exception as error:  # a damaged file may have any part missing
            raise unopened("LightGBM", first_line(error)) from error
        head = text.partition("\nTree=")[0]
        kind = _KINDS.get(_line(head, "objective").partition(" ")[0], "regression")
        self._categories: list[list[Any]] = self._booster.pandas_categorical or []
        infos = _line(head, "feature_infos").split()
        self._categorical = [number for number, info in enumerate(infos) if info[:1] not in ("[", "n")]  # `none`
        classes = {"binary": 2, "multiclass": self._booster.num_model_per_iteration()}.get(kind, 0)
        self.about = ModelInfo(
            tuple(self._booster.feature_name()), self._booster.num_feature(), kind, tuple(map(str, range(classes)))
        )

    @property
    def booster(self) -> Any:
        """The model as LightGBM has it."""
        return self._booster

    def predict(self, columns: Columns) -> NDArray[np.float64]:
        """Return (n,) probabilities of class 1 or numbers, or (n, classes) probabilities."""
        try:
            rows = self._rows(list(columns.values()))
            predictions = self._booster.predict(rows, num_threads=1, validate_features=False)
        except (lightgbm.basic.LightGBMError, ValueError, TypeError) as error:
            raise unpredicted("LightGBM", first_line(error)) from ValueError(str(error))
        return np.asarray(predictions, np.float64)

    def _rows(self, values: list[NDArray[Any]]) -> Any:
        """Return the rows as the library takes them: a matrix, or a frame of pandas where it keeps its categories."""
        texts = [number for number, column in enumerate(values) if column.dtype == object]
        if not self._categories:
            if texts:
                raise ValueError(f"`{self._booster.feature_name()[texts[0]]}` holds texts, and the file knows no "
                                 "categories: train with columns of pandas of type category")  # fmt: skip
            return np.column_stack(values)
        categorical = texts if len(texts) == len(self._categories) else self._categorical
        if len(categorical) != len(self._categories):
            raise ValueError(f"{len(texts)} columns hold texts, and the file knows the categories of "
                             f"{len(self._categories)}")  # fmt: skip
        import pandas  # noqa: PLC0415 - only for categories, which LightGBM keeps as those of pandas

        known = dict(zip(categorical, self._categories, strict=True))
        return pandas.DataFrame(
            {
                number: pandas.Categorical(column, categories=known[number]) if number in known else column
                for number, column in enumerate(values)
            }
        )


class _Quiet:
    """Takes what LightGBM would print; its errors are raised as well."""

    def info(self, message: str) -> None:
        """Take a note."""

    def warning(self, message: str) -> None:
        """Take a warning."""


def _line(head: str, name: str) -> str:
    match = re.search(_LINE.format(name), head, re.MULTILINE)
    return match[1] if match else ""
