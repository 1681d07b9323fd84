"""XGBoost: predicts rows with a model in the library's own format, JSON or UBJSON, on one thread."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.own_model.opened import Columns, ModelInfo, first_line, unopened, unpredicted

_PLACE = re.compile(r"^\[[\d:]+\]\s+\S+:\d+:\s+")  # time and line of its source, before what its errors say
_ALIKE = {"multi:softmax": "multi:softprob"}  # gives labels; the other one gives their probabilities


class XGBoostModel:
    """A model that predicts as XGBoost does; raises ``EstimatorError`` for bytes that are none.

    One that was saved by an estimator of scikit-learn's interface stops, as that does, at its best iteration.
    """

    def __init__(self, data: bytes) -> None:
        try:
            self._booster = xgboost.Booster({"nthread": 1}, model_file=bytearray(data))
            learner = json.loads(self._booster.save_config())["learner"]
            categories: dict[str, Any] = dict(self._booster.get_categories(export_to_arrow=True).to_arrow())
        except Exception as error:  # a damaged file may have any part missing
            raise unopened("XGBoost", _why(error)) from error
        objective = learner["objective"]["name"]
        if objective in _ALIKE:
            self._booster.set_param({"objective": _ALIKE[objective]})
        names, types = self._booster.feature_names, self._booster.feature_types or []
        self._categories = {
            number: categories[name].to_pylist()
            for number, (name, kind) in enumerate(zip(names or [], types, strict=False))
            if kind == "c" and categories.get(name) is not None
        }
        best = self._booster.attr("best_iteration") if self._booster.attr("scikit_learn") else None
        self._rounds = (0, int(best) + 1) if best is not None else (0, 0)
        kind = _kind(objective)
        classes = int(learner["learner_model_param"]["num_class"]) if kind == "multiclass" else 2
        self.about = ModelInfo(
            tuple(names) if names else None,
            self._booster.num_features(),
            kind,
            () if kind == "regression" else tuple(map(str, range(classes))),
        )

    @property
    def booster(self) -> Any:
        """The model as XGBoost has it, with the trees that it predicts with and no others."""
        return self._booster[: self._rounds[1]] if self._rounds[1] else self._booster

    def predict(self, columns: Columns) -> NDArray[np.float64]:
        """Return (n,) probabilities of class 1 or numbers, or (n, classes) probabilities; each a float of 32 bits."""
        texts = [name for number, (name, values) in enumerate(columns.items())
                 if values.dtype == object and number not in self._categories]  # fmt: skip
        if texts:
            raise unpredicted("XGBoost", f"`{texts[0]}` holds texts, and the file knows no categories for it: "
                              "train with `enable_categorical=True` and save by XGBoost 3.1 or newer")  # fmt: skip
        try:
            return np.asarray(self._predicted(list(columns.values())), np.float64)
        except ValueError as error:
            raise unpredicted("XGBoost", _why(error)) from ValueError(str(error))

    def _predicted(self, values: list[NDArray[Any]]) -> Any:
        if not self._categories:
            matrix = np.column_stack(values)
            return self._booster.inplace_predict(matrix, iteration_range=self._rounds, validate_features=False)
        import pandas  # noqa: PLC0415 - only for categories, of which XGBoost has no other form

        names = self._booster.feature_names or []
        frame = pandas.DataFrame(
            {
                name: _categorical(pandas, column, self._categories[number]) if number in self._categories else column
                for number, (name, column) in enumerate(zip(names, values, strict=True))
            }
        )
        rows = xgboost.DMatrix(frame, enable_categorical=True, nthread=1)
        return self._booster.predict(rows, iteration_range=self._rounds, validate_features=False)


def estimator(data: bytes, kind: LabelKind) -> Any:
    """Return the model in bytes as an estimator of scikit-learn's interface that is fitted, on one thread."""
    made = xgboost.XGBRegressor(n_jobs=1) if kind == "regression" else xgboost.XGBClassifier(n_jobs=1)
    made.load_model(bytearray(data))
    return made


def _categorical(pandas: Any, values: NDArray[Any], known: list[Any]) -> Any:
    """Return values as categories of pandas: those of training in their order, then others, which XGBoost judges."""
    if values.dtype != object and all(isinstance(category, int) for category in known):
        whole = [int(value) if float(value).is_integer() else value for value in values[np.isfinite(values)].tolist()]
        others = sorted({*whole} - {*known})
    else:
        others = sorted({value for value in values.tolist() if isinstance(value, str)} - {*known})
    return pandas.Categorical(values, categories=[*known, *others])


def _kind(objective: str) -> LabelKind:
    if objective.startswith("multi:"):
        return "multiclass"
    return "binary" if objective in ("binary:logistic", "binary:hinge") else "regression"


def _why(error: Exception) -> str:
    return _PLACE.sub("", first_line(error))
