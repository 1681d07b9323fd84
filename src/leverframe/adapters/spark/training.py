"""Training on Spark: an estimator of `pyspark.ml` or `xgboost.spark` learns from a Parquet file, row groups apart."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.ml.functions import vector_to_array
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name that every reader of Spark knows

from leverframe.adapters.spark import parquet
from leverframe.adapters.spark.exporting import exported, last_stage, refuse_other
from leverframe.adapters.spark.prepared_estimator import prepared
from leverframe.adapters.spark.session import SparkChoice, session
from leverframe.adapters.spark.tables import ROW
from leverframe.adapters.spark.training_rows import TrainingRows, columns_of
from leverframe.domain.features.training_set import Feature, Label
from leverframe.domain.model.distributed import SAMPLE, ClusterFit, LabelValues
from leverframe.domain.model.train import Recipe
from leverframe.errors import EstimatorError
from leverframe.settings.params import SparkTrainingSettings
from leverframe.words import kind_and_line

CHOSEN = SparkChoice("train", "set `train.engine: sklearn`")


class SparkCluster:
    """The ``Cluster`` port, open within a ``with`` block; ``build`` makes the unfitted estimator of a recipe.

    Each training starts a session and stops it, unless it is given one that is ``running``.
    """

    def __init__(
        self, root: Path, settings: SparkTrainingSettings, build: Callable[[Recipe], Any], *,
        running: SparkSession | None = None,
    ) -> None:  # fmt: skip
        self._root, self._settings, self._build = root, settings, build
        self._running, self._libraries = running, {"pyspark"}

    def __enter__(self) -> SparkCluster:
        given = self._running
        self._opened = _given(given) if given else session(self._settings.master, self._settings.memory, CHOSEN)
        self._spark = self._opened.__enter__()
        for key, value in {
            "spark.sql.files.maxPartitionBytes": f"{self._settings.megabytes}m",
            "spark.sql.files.minPartitionNum": "1",  # by the size alone: the number of cores must not change a model
        }.items():
            self._spark.conf.set(key, value)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)

    def label(self, path: Path, features: tuple[Feature, ...], label: Label) -> LabelValues:
        """Return what the labels are; raises ``SourceError`` for a file that is missing, damaged or of others."""
        rows = self._rows(path, features)
        with _damage_told(rows.file):
            return rows.labels(label)

    def fit(self, recipe: Recipe, path: Path, classes: tuple[Any, ...]) -> ClusterFit:
        """Return the fitted model; raises ``DefinitionError`` or ``EstimatorError``."""
        estimator = self._build(recipe)
        refuse_other(estimator, recipe.estimator)
        _quiet(estimator)
        rows = self._rows(path, recipe.features)
        with _damage_told(rows.file), _learning(estimator):
            fitted = prepared(estimator, recipe.features).fit(rows.frame(recipe.label, classes))
        _refuse_unsure(fitted, recipe)
        self._libraries.add(type(last_stage(fitted)).__module__.partition(".")[0])
        model = exported(fitted, recipe.features, recipe.label.kind, classes)
        with _damage_told(rows.file):
            return ClusterFit(model, *self._sample(fitted, rows, recipe, classes))

    def versions(self) -> dict[str, str]:
        """Return the versions of Spark, and of the library of the estimator that was fitted."""
        return {name: str(sys.modules[name].__version__) for name in sorted(self._libraries)}

    def _rows(self, path: Path, features: tuple[Feature, ...]) -> TrainingRows:
        return TrainingRows(self._spark, self._root / path, path, features)

    def _sample(self, fitted: Any, rows: TrainingRows, recipe: Recipe, classes: tuple[Any, ...]) -> tuple[Any, Any]:
        """Return every n-th row, about ``SAMPLE`` of them, and what Spark predicts for these."""
        every = max(1, parquet.rows_of([rows.file]) // SAMPLE)
        frame = rows.frame(recipe.label, classes, numbered=True).where(F.col(ROW) % every == 0)
        last = last_stage(fitted)
        if recipe.label.kind == "regression":
            prediction = F.col(last.getOrDefault("predictionCol"))
        else:
            prediction = vector_to_array(F.col(last.getOrDefault("probabilityCol")))
        names = [feature.name for feature in recipe.features]
        table = fitted.transform(frame).select(*names, prediction.alias("__told")).toArrow()
        types = {
            feature.name: pa.string() if feature.kind == "categorical" else pa.float64() for feature in recipe.features
        }
        return columns_of(table, types), np.array(table.column("__told").to_pylist(), np.float64)


def _refuse_unsure(fitted: Any, recipe: Recipe) -> None:
    """Raise ``EstimatorError`` where the label has classes, and the model no probability of them."""
    if recipe.label.kind != "regression" and not last_stage(fitted).hasParam("probabilityCol"):
        raise EstimatorError(
            f"`{recipe.estimator}` is no estimator for the label `{recipe.label.name}`",
            why=f"a {recipe.label.kind} label is judged by probabilities, and {type(last_stage(fitted)).__name__} "
            "has none",
            next="name one that has `probabilityCol`, such as `pyspark.ml.classification:LogisticRegression`, in "
            "`train.estimator` of params.yaml",
        )


@contextmanager
def _given(running: SparkSession) -> Iterator[SparkSession]:
    yield running


@contextmanager
def _damage_told(file: Path) -> Iterator[None]:
    """Name the file where it is one that cannot be read to its end which made Spark fail."""
    try:
        yield
    except (PySparkException, Py4JError, EstimatorError) as error:
        raise (parquet.damage([file]) or error) from error


@contextmanager
def _learning(estimator: Any) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # estimators raise what they like
        name = type(estimator).__name__
        raise EstimatorError(
            f"{name} cannot learn from these data on Spark",
            why=kind_and_line(error, str(getattr(error, "java_exception", None) or "")),
            next="fix `train.params`, or the function of `train.estimator`: its pipeline has a column a feature, by "
            "its name, and `label`",
        ) from error


def _quiet(estimator: Any) -> None:
    """Let XGBoost not print a line a round, unless somebody asked for it."""
    logging.getLogger("XGBoost-PySpark").setLevel(logging.WARNING)
    for stage in estimator.getStages() if hasattr(estimator, "getStages") else [estimator]:
        if stage.hasParam("verbose") and not stage.isSet("verbose"):
            stage.set(stage.getParam("verbose"), False)
