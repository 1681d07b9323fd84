"""Estimators as people write them, behind imputer, scaler and one-hot encoder, and what serves each: ONNX or itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from leverframe.adapters.onnx.convert import converted
from leverframe.adapters.onnx.session import OnnxModel
from leverframe.adapters.sklearn import SklearnModels
from leverframe.adapters.sklearn.storing import dumped
from leverframe.domain.features.training_set import Feature, LabelKind
from leverframe.domain.model.bundle.conversion import Conversion, compared, hard_rows, spread
from leverframe.domain.model.bundle.schema import Field
from leverframe.errors import BundleError

FEATURES = (
    Feature("place", "categorical"),
    Feature("size", "numeric"),
    Feature("price", "numeric"),
    Feature("fresh", "boolean"),
)
_FIELDS = [Field(feature.name, "text" if feature.kind == "categorical" else "number") for feature in FEATURES]
_ROWS, _FEW = 300, 12


def estimators() -> Iterator[tuple[str, str, Any]]:
    """Yield the estimators of the table, each with the kinds of labels it is tried with, by their first letters."""
    one = {"random_state": 0}
    yield "LogisticRegression", "bm", LogisticRegression(max_iter=200)
    yield "SGDClassifier(loss='log_loss')", "bm", SGDClassifier(loss="log_loss", **one)
    yield "LinearRegression", "r", LinearRegression()
    yield "Ridge", "r", Ridge()
    yield "Lasso", "r", Lasso(alpha=0.1)
    yield "RandomForestClassifier", "bm", RandomForestClassifier(5, max_depth=5, **one)
    yield "RandomForestRegressor", "r", RandomForestRegressor(5, max_depth=5, **one)
    yield "ExtraTreesClassifier", "b", ExtraTreesClassifier(5, max_depth=5, **one)
    yield "DecisionTreeClassifier", "b", DecisionTreeClassifier(max_depth=4, **one)
    yield "GradientBoostingClassifier", "bm", GradientBoostingClassifier(n_estimators=5, **one)
    yield "GradientBoostingRegressor", "r", GradientBoostingRegressor(n_estimators=5, **one)
    yield "HistGradientBoostingClassifier", "bm", HistGradientBoostingClassifier(max_iter=5, **one)
    yield "HistGradientBoostingRegressor", "r", HistGradientBoostingRegressor(max_iter=5, **one)
    yield "SVC(probability=True)", "bm", SVC(probability=True, **one)
    yield "SVR", "r", SVR()
    yield "KNeighborsClassifier", "bm", KNeighborsClassifier()
    yield "KNeighborsRegressor", "r", KNeighborsRegressor()
    yield "MLPClassifier", "bm", MLPClassifier((4,), max_iter=20, **one)
    yield "MLPRegressor", "r", MLPRegressor(hidden_layer_sizes=(4,), max_iter=20, **one)
    yield "GaussianNB", "bm", GaussianNB()
    yield "CalibratedClassifierCV(LinearSVC())", "b", CalibratedClassifierCV(LinearSVC(**one), cv=2)
    yield "StackingClassifier", "b", StackingClassifier([("lr", LogisticRegression()), ("nb", GaussianNB())], cv=2)
    yield "SelectKBest, LogisticRegression", "b", make_pipeline(SelectKBest(k=3), LogisticRegression())
    yield "GridSearchCV(LogisticRegression())", "b", GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2)
    yield "LinearDiscriminantAnalysis", "b", LinearDiscriminantAnalysis()


@dataclass(frozen=True)
class World:
    """Rows of a text, numbers with nulls and another size, and a boolean, with labels of every kind."""

    columns: dict[str, NDArray[Any]]
    labels: dict[LabelKind, NDArray[Any]]

    @property
    def frame(self) -> pl.DataFrame:
        """The rows as a model is trained on them."""
        return frame(self.columns)


def frame(columns: dict[str, NDArray[Any]]) -> pl.DataFrame:
    """Return columns as a model takes them."""
    texts = {
        name: pl.Series(values.tolist(), dtype=pl.String) for name, values in columns.items() if values.dtype == object
    }
    return pl.DataFrame({**columns, **texts})


def world(seed: int = 0) -> World:
    """Return some rows."""
    draw = np.random.default_rng(seed)
    size = np.where(draw.random(_ROWS) < 0.1, np.nan, draw.normal(size=_ROWS) / 3)
    price = np.exp(draw.normal(size=_ROWS) * 1.5 + 5)
    columns = {
        "place": np.array([("a", "b", "c")[n] for n in draw.integers(0, 3, _ROWS)], object),
        "size": size,
        "price": price,
        "fresh": draw.integers(0, 2, _ROWS).astype(np.float64),
    }
    signal = np.nan_to_num(size) + (columns["place"] == "b") * 0.6 + np.log(price) / 5 - 1
    signal += draw.normal(size=_ROWS) * 0.2
    kinds = np.array(["early", "late", "on time"])[np.digitize(signal, [0.0, 0.5])]
    return World(columns, {"binary": (signal > 0.3).astype(np.int64), "multiclass": kinds, "regression": signal})


def prepared(estimator: Any) -> Any:
    """Return an estimator behind the usual steps."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    steps = [
        ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["place"]),
        ("numbers", numbers, ["size", "price", "fresh"]),
    ]
    return make_pipeline(ColumnTransformer(steps), estimator)


def conversion(kind: LabelKind, fitted: Any, columns: dict[str, NDArray[Any]], labels: NDArray[Any]) -> Conversion:
    """Return how a fitted model converts, as the stage `bundle` finds out, also on rows that are hard to predict."""
    hard = hard_rows(columns, _FIELDS, _FEW)
    asked = {name: np.concatenate([columns[name], hard[name]]) for name in columns}
    numbers = kind == "regression"
    trained = fitted.predict(frame(asked)) if numbers else fitted.predict_proba(frame(asked))
    scale = spread(labels) if numbers else 1.0
    try:
        predictions = OnnxModel(converted(fitted, FEATURES)).predict(asked)
    except BundleError as error:
        return Conversion("skops", len(trained), None, None if numbers else 0, 1e-5, error.why)
    return compared(kind, np.asarray(trained, np.float64), predictions, 1e-5, scale)


def stored(model: Any) -> Any:
    """Return a model as it comes back from its file: whoever opens it trusts nothing but what is known."""
    return SklearnModels(Path()).load(dumped(model))
