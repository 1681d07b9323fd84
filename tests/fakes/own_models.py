"""Small models of other libraries, as users train and save them, with rows and what the library predicts for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import skops.io
import xgboost
from numpy.typing import NDArray
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ROWS, TREES = 300, 20


@dataclass(frozen=True)
class Trained:
    """A model in a file, its rows, and what its own library predicts for them."""

    file: Path
    rows: pl.DataFrame
    predictions: NDArray[np.float64]


def rows(seed: int = 0) -> pd.DataFrame:
    """Return 300 rows: numbers with gaps, whole numbers, a boolean, texts, and a label of each kind."""
    draw = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "amount": draw.normal(size=ROWS).round(3),
            "age": draw.integers(18, 80, ROWS),
            "plan": draw.choice(["basic", "plus", "pro"], ROWS),
            "active": draw.random(ROWS) > 0.5,
        }
    )
    score = table.amount + table.age / 60 + (table.plan == "pro")
    table.loc[::7, "amount"] = np.nan
    table["regression"] = score * 3 + 10
    table["binary"] = (score > score.median()).astype(int)
    table["multiclass"] = np.digitize(score, np.quantile(score, [1 / 3, 2 / 3]))
    return table


LABELS = ("binary", "multiclass", "regression")


def _xgboost(file: Path, inputs: pd.DataFrame, label: Any, kind: str) -> Any:
    of = xgboost.XGBRegressor if kind == "regression" else xgboost.XGBClassifier
    model = of(n_estimators=TREES, max_depth=3, n_jobs=1, enable_categorical=True).fit(_categories(inputs), label)
    model.save_model(file)
    return _predicted(model, _categories(inputs), kind)


def _lightgbm(file: Path, inputs: pd.DataFrame, label: Any, kind: str) -> Any:
    of = lightgbm.LGBMRegressor if kind == "regression" else lightgbm.LGBMClassifier
    model = of(n_estimators=TREES, n_jobs=1, verbose=-1).fit(_categories(inputs), label)
    model.booster_.save_model(file)
    return _predicted(model, _categories(inputs), kind)


def _catboost(file: Path, inputs: pd.DataFrame, label: Any, kind: str) -> Any:
    of = catboost.CatBoostRegressor if kind == "regression" else catboost.CatBoostClassifier
    model = of(iterations=TREES, depth=3, thread_count=1, verbose=0, allow_writing_files=False, random_seed=0)
    model.fit(inputs, label, cat_features=[name for name in ["plan"] if name in inputs])
    model.save_model(str(file))
    return _predicted(model, inputs, kind)


def _skops(file: Path, inputs: pd.DataFrame, label: Any, kind: str) -> Any:
    model = _estimator(inputs, label, kind)
    skops.io.dump(model, file)
    return _predicted(model, inputs[["amount", "age"]], kind)


def _onnx(file: Path, inputs: pd.DataFrame, label: Any, kind: str) -> Any:
    model = _estimator(inputs, label, kind)
    matrix = inputs[["amount", "age"]].to_numpy(np.float32)
    file.write_bytes(to_onnx(model, matrix[:1]).SerializeToString())
    return _predicted(model, inputs[["amount", "age"]], kind)


def _estimator(inputs: pd.DataFrame, label: Any, kind: str) -> Any:
    of = Ridge() if kind == "regression" else LogisticRegression()
    return make_pipeline(StandardScaler(), of).fit(inputs[["amount", "age"]], label)


def _categories(inputs: pd.DataFrame) -> pd.DataFrame:
    return inputs.assign(plan=inputs["plan"].astype("category")) if "plan" in inputs else inputs


def _predicted(model: Any, inputs: pd.DataFrame, kind: str) -> Any:
    return model.predict(inputs) if kind == "regression" else model.predict_proba(inputs)


_FORMATS: Mapping[str, tuple[str, Callable[[Path, pd.DataFrame, Any, str], Any]]] = {
    "xgboost": ("model.ubj", _xgboost),
    "lightgbm": ("model.txt", _lightgbm),
    "catboost": ("model.cbm", _catboost),
    "skops": ("model.skops", _skops),
    "onnx": ("model.onnx", _onnx),
}
FORMATS = tuple(_FORMATS)


def trained(format: str, kind: str, folder: Path, seed: int = 0, *, categories: bool = True) -> Trained:
    """Return a model of a format for a kind of label, saved into a folder as its library saves it.

    Without ``categories`` it sees numbers and booleans alone.
    """
    table = rows(seed)
    if format in ("skops", "onnx"):  # of which the estimators here take numbers alone
        table["amount"] = table["amount"].fillna(0.0)
        table = table.drop(columns=["plan", "active"])
    if not categories:
        table = table.drop(columns=["plan"])
    name, train = _FORMATS[format]
    inputs = table.drop(columns=list(LABELS))
    predictions = np.asarray(train(folder / name, inputs, table[kind], kind), np.float64)
    binary = kind == "binary" and predictions.ndim == 2
    return Trained(folder / name, pl.from_pandas(table), predictions[:, 1] if binary else predictions)
