"""A model that a cluster trained, built again of its plain values: what it predicts needs scikit-learn alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from leverframe.adapters.sklearn.exported_trees import summed
from leverframe.adapters.sklearn.models import SklearnModels
from leverframe.domain.features.training_set import Feature, LabelKind
from leverframe.domain.model.exported import (
    BoostedTrees,
    Code,
    ExportedModel,
    Indicators,
    Linear,
    Number,
    Step,
    SummedTrees,
)
from leverframe.domain.model.train import Recipe

Frame = Callable[[Mapping[str, Any]], Any]


class ExportedModels(SklearnModels):
    """The ``Builder`` port; ``frame`` makes a table of columns, ``trees`` a fitted estimator of boosted trees."""

    def __init__(
        self, root: Path, trusted: Collection[str], frame: Frame, trees: Callable[[BoostedTrees, LabelKind], Any]
    ) -> None:
        super().__init__(root, trusted)
        self._frame, self._trees = frame, trees

    def exported(self, model: ExportedModel, recipe: Recipe) -> Any:
        """Return the model, ready to predict a frame with a column a feature."""
        columns = _columns(model.steps, recipe.features, self._frame)
        match model.model:
            case BoostedTrees():
                last = self._trees(model.model, model.kind)
            case SummedTrees():
                last = summed(model.model, model)
            case Linear():
                last = _linear(model.model, model)
        return Pipeline([("columns", columns), ("model", last)])


def _columns(steps: Sequence[Step], features: Sequence[Feature], frame: Frame) -> Any:
    """Return what makes the values of all steps, in their order, of a frame.

    It is fitted to one row, which has the value that fills a gap wherever one does: so that is its mean.
    """
    row: dict[str, Any] = {
        feature.name: np.array([""], object) if feature.kind == "categorical" else np.zeros(1) for feature in features
    }
    parts: list[tuple[str, Any, list[str]]] = []
    for run in _runs(steps):
        names = [step.feature for step in run]
        first = run[0]
        if isinstance(first, Number):
            fills = {step.feature: step.fill for step in run if isinstance(step, Number)}
            row |= {name: np.array([fill]) for name, fill in fills.items() if fill is not None}
            filling: Any = SimpleImputer(strategy="mean", keep_empty_features=True)
            parts.append((f"numbers{len(parts)}", "passthrough" if first.fill is None else filling, names))
        else:
            row[first.feature] = np.array([first.values[0]], object)
            parts.append((f"{type(first).__name__.lower()}{len(parts)}", _encoder(first), names))
    columns = ColumnTransformer(parts, verbose_feature_names_out=False)
    return columns.fit(frame(row))


def _encoder(step: Code | Indicators) -> Any:
    values = [np.array(step.values, object)]
    if isinstance(step, Indicators):
        return OneHotEncoder(categories=values, handle_unknown="ignore", sparse_output=False)
    return OrdinalEncoder(categories=values, handle_unknown="use_encoded_value", unknown_value=len(step.values))


def _runs(steps: Sequence[Step]) -> list[list[Step]]:
    """Return steps that one transformer makes together: numbers beside each other, filled ones or others."""
    runs: list[list[Step]] = []
    for step in steps:
        last = runs[-1][-1] if runs else None
        together = isinstance(step, Number) and isinstance(last, Number) and (step.fill is None) == (last.fill is None)
        if together and step.feature not in {earlier.feature for earlier in runs[-1]}:
            runs[-1].append(step)
        else:
            runs.append([step])
    return runs


def _linear(linear: Linear, model: ExportedModel) -> Any:
    if model.kind == "regression":
        estimator = LinearRegression()
        estimator.coef_, estimator.intercept_ = linear.weights[0], float(linear.intercepts[0])
    else:
        estimator = LogisticRegression()
        estimator.coef_, estimator.intercept_ = linear.weights, linear.intercepts
        estimator.classes_ = np.array(model.classes)
    estimator.n_features_in_ = model.width
    return estimator
