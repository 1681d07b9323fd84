"""A small case on disk: tables, their description, and estimators to learn from them."""

# ruff: noqa: ARG001, ARG002

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from leverframe.adapters.disk import Disk
from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.pygal import draw
from leverframe.adapters.sklearn import SklearnModels
from leverframe.documents import plain
from leverframe.domain import layout
from leverframe.domain.features.training_set import Feature, Label, LabelKind, Split, TrainingSet
from leverframe.domain.model import train
from leverframe.domain.model.evaluate import evaluation
from leverframe.settings.params import EvaluateSettings, TrainSettings

HERE = "tests.integration.small_case"
REPOSITORY = Path(__file__).parents[2]
FEATURES = (Feature("gate", "categorical"), Feature("wind", "numeric"), Feature("night", "boolean"))
TREES = TrainSettings(
    estimator="pipelines.flights.model:estimator", params={"iterations": 8, "learning_rate": 0.2, "seed": 0}
)


@dataclass(frozen=True)
class SmallCase:
    """A case in a folder of its own, whose estimators lie in this repository."""

    root: Path

    def train(self, settings: TrainSettings = TREES) -> train.ModelDescription:
        """Run the stage."""
        return train.run(PolarsTables(self.root), Disk(self.root), SklearnModels(REPOSITORY, TRUSTED), settings)

    def evaluate(self, **changed: Any) -> evaluation.Evaluation:
        """Run the stage, settings changed by name."""
        chosen: dict[str, Any] = {"slices": ["gate", "month"], "minimum_slice_rows": 50}
        settings = EvaluateSettings(**(chosen | changed))
        models = SklearnModels(REPOSITORY, TRUSTED)
        return evaluation.run(PolarsTables(self.root), Disk(self.root), models, draw, settings, "Europe/Paris")

    def table(self, path: Path) -> pl.DataFrame:
        """Return one of the tables."""
        return pl.read_parquet(self.root / path)

    def replace(self, path: Path, **columns: Any) -> None:
        """Write one of the tables again with other columns; None takes a column away."""
        table = self.table(path)
        kept = table.drop([name for name, values in columns.items() if values is None])
        changed = kept.with_columns(**{name: values for name, values in columns.items() if values is not None})
        changed.write_parquet(self.root / path)


def make(
    root: Path, kind: LabelKind, *, rows: int = 900, gates: Sequence[str | None] = ("A", "B", "C", None)
) -> SmallCase:
    """Write the tables and the description of a case whose label depends on all three features."""
    case = SmallCase(root)
    label = Label("lateness", kind)
    for seed, path in enumerate((layout.TRAIN, layout.HOLDOUT)):
        PolarsTables(root).write(path, _table(seed, kind, rows, gates))
    splits = (Split("2024-01", "2024-02", rows, 5, 1), Split("2024-03", "2024-04", rows, 7, 0))
    described = TrainingSet(label, FEATURES, "0123456789abcdef", *splits)
    (root / layout.REPORTS).mkdir(parents=True, exist_ok=True)
    (root / layout.TRAINING_SET).write_text(json.dumps(plain(described)), encoding="utf-8")
    (root / layout.LEARNING_SET).write_text(json.dumps(plain(described.learning)), encoding="utf-8")
    return case


def _table(seed: int, kind: LabelKind, rows: int, gates: Sequence[str | None]) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    gate, wind, night = draw.integers(0, len(gates), rows), draw.normal(size=rows), draw.random(rows) < 0.4
    pull = 0.8 * gate + wind + 1.2 * night + draw.normal(size=rows)
    labels = {
        "binary": (pull > 2.2).astype(np.int64),
        "multiclass": np.array(["early", "late", "on time"])[np.digitize(pull, [0.8, 2.4])].tolist(),
        "regression": 10 * pull,
    }
    start = datetime(2024, 1 + 2 * seed, 1, tzinfo=UTC)
    return {
        "as_of": pl.Series([start + timedelta(hours=1.5 * row) for row in range(rows)], dtype=pl.Datetime("us", "UTC")),
        "label": labels[kind],
        "wind": [None if speed > 2 else float(speed) for speed in wind],
        "gate": [gates[index] for index in gate],
        "night": [None if row % 50 == 0 else bool(night[row]) for row in range(rows)],
        "terminal": [f"T{row % 2}" for row in range(rows)],
    }


def logistic(features: Sequence[Feature], *, strength: float = 1.0) -> Any:
    """Return a logistic regression over the numbers."""
    return make_pipeline(FunctionTransformer(_numbers), SimpleImputer(), LogisticRegression(C=strength))


def forest(features: Sequence[Feature], *, trees: int) -> Any:
    """Return a random forest over the numbers."""
    return make_pipeline(FunctionTransformer(_numbers), RandomForestClassifier(trees, random_state=0))


def regressor(features: Sequence[Feature]) -> Any:
    """Return boosted trees for a number."""
    return make_pipeline(FunctionTransformer(_numbers), HistGradientBoostingRegressor(max_iter=5))


def _numbers(frame: Any) -> Any:
    return frame.select("wind", "night")


def by_lambda(features: Sequence[Feature]) -> Any:
    """Return an estimator that cannot be stored."""
    return make_pipeline(FunctionTransformer(lambda frame: frame.select("wind")), HistGradientBoostingClassifier())


def no_estimator(features: Sequence[Feature]) -> Any:
    """Return something that cannot learn."""
    return object()


class Own(LogisticRegression):  # type: ignore[misc]
    """A class of the case: it takes numbers without a gap."""


class Nan(LogisticRegression):  # type: ignore[misc]
    """Learns, and answers with what is no probability."""

    def fit(self, frame: Any, labels: Any) -> Nan:
        """Learn the classes only."""
        self.classes_ = np.unique(labels)
        return self

    def predict_proba(self, frame: Any) -> Any:
        """Return NaN for the first row."""
        answers = np.full((len(frame), len(self.classes_)), 1 / len(self.classes_))
        answers[0] = np.nan
        return answers


TRUSTED = (f"{HERE}._numbers", f"{HERE}.Nan", f"{HERE}.Own")
