"""Estimators of Spark as a case declares them, for the features of the small case, and one Spark for all tests."""

# ruff: noqa: PLC0415, ARG001 - nothing of Spark is imported before somebody looked for Java; features come first

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.sklearn import SklearnModels
from leverframe.application.train_spark import trained
from leverframe.case import Feature, Label
from leverframe.domain import layout
from leverframe.domain.model.table import model_inputs
from leverframe.domain.model.train import ModelDescription
from leverframe.settings.params import SparkTrainingSettings, TrainSettings
from tests.integration.small_case import FEATURES, REPOSITORY, TRUSTED, SmallCase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

HERE = "tests.integration.spark_case"
BOOSTING: dict[str, Any] = {"n_estimators": 8, "max_depth": 3, "learning_rate": 0.3, "max_bin": 64, "random_state": 0}

WITHOUT_SPARK = """
import sys
from pathlib import Path

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pyspark", "py4j") or name.startswith("xgboost.spark"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
from leverframe.serving.bundle import OpenBundle
opened = OpenBundle(Path(sys.argv[1]))
print(opened.manifest.engine, len(opened.golden))
"""
MEASURED = r"""
import json, re, sys
from pathlib import Path
from leverframe.application.train_spark import cluster, trained
from leverframe.settings.params import TrainSettings

settings = TrainSettings(
    engine="spark", spark={"master": "local[2]", "memory": "1g", "megabytes": 1}, estimator=sys.argv[2],
    params=json.loads(sys.argv[3]),
)
rows = trained(Path(sys.argv[1]), settings, cluster).rows
# not `ru_maxrss`, which begins with what the process had that started this one
print(rows, re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])
"""


@contextmanager
def opened(cores: int = 2) -> Iterator[SparkSession]:
    """Give a session that serves all tests of a module."""
    from leverframe.adapters.spark.session import session

    with session(f"local[{cores}]", "3g") as running:
        yield running


def train(root: Path, settings: TrainSettings, running: SparkSession) -> ModelDescription:
    """Run the stage on a session that runs already."""
    from leverframe.adapters.spark.training import SparkCluster

    def cluster(root: Path, settings: TrainSettings, build: Callable[[Any], Any]) -> SparkCluster:
        return SparkCluster(root, settings.spark, build, running=running)

    return trained(root, settings, cluster)


def settings_of(estimator: str, megabytes: int = 64, **params: Any) -> TrainSettings:
    """Return settings that train on Spark."""
    spark = SparkTrainingSettings(megabytes=megabytes)
    return TrainSettings(engine="spark", spark=spark, estimator=estimator, params=params)


def predictions(case: SmallCase) -> NDArray[np.float64]:
    """Return what the stored model of a case predicts for the hold-out, where there is no Spark."""
    models = SklearnModels(REPOSITORY, TRUSTED)
    model = models.load((case.root / layout.MODEL).read_bytes())
    inputs = model_inputs(PolarsTables(case.root).read(layout.HOLDOUT), FEATURES, file=layout.HOLDOUT)
    return models.probabilities(model, inputs) if hasattr(model, "classes_") else models.predictions(model, inputs)


def on_one_machine(features: Sequence[Feature], *, label: Label) -> Any:
    """Return the linear model that `LogisticRegression` or `LinearRegression` of Spark is, without a penalty."""
    linear = (
        LinearRegression() if label.kind == "regression" else LogisticRegression(C=np.inf, tol=1e-10, max_iter=2000)
    )
    columns = ColumnTransformer(
        [
            ("texts", OneHotEncoder(categories=[["A", "B", "C"]], handle_unknown="ignore"), ["gate"]),
            ("numbers", SimpleImputer(strategy="mean"), ["wind", "night"]),
        ]
    )
    return make_pipeline(columns, linear)


def linear(features: Sequence[Feature], *, label: Label, scaled: bool = True) -> Any:
    """Return a pipeline of one's own, of the steps that are known, each with its own way to name columns."""
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression as Classifier
    from pyspark.ml.feature import Imputer, OneHotEncoder, StandardScaler, StringIndexer, VectorAssembler
    from pyspark.ml.regression import LinearRegression as Regressor

    vector = "scaled" if scaled else "numbers"
    model = Regressor if label.kind == "regression" else Classifier
    return Pipeline(
        stages=[
            StringIndexer(inputCol="gate", outputCol="code", handleInvalid="keep", stringOrderType="alphabetAsc"),
            OneHotEncoder(inputCol="code", outputCol="hot"),
            Pipeline(stages=[Imputer(inputCols=["wind", "night"], outputCols=["w", "n"], strategy="mean")]),
            VectorAssembler(inputCols=["w", "n"], outputCol="numbers"),
            StandardScaler(inputCol="numbers", outputCol="scaled", withMean=True, withStd=True),
            VectorAssembler(inputCols=["hot", vector], outputCol="seen"),
            model(featuresCol="seen", tol=1e-9, maxIter=100),
        ]
    )


def boosted_on_one_machine(features: Sequence[Feature], *, label: Label) -> Any:
    """Return the boosted trees that those of `xgboost.spark` are."""
    import xgboost

    made = xgboost.XGBRegressor if label.kind == "regression" else xgboost.XGBClassifier
    codes = OrdinalEncoder(categories=[["A", "B", "C"]], handle_unknown="use_encoded_value", unknown_value=3)
    columns = ColumnTransformer([("codes", codes, ["gate"]), ("numbers", "passthrough", ["wind", "night"])])
    return make_pipeline(columns, made(**BOOSTING, tree_method="hist", n_jobs=1))


def strict(features: Sequence[Feature]) -> Any:
    """Return a pipeline that knows no value but those of training."""
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression as Classifier
    from pyspark.ml.feature import StringIndexer, VectorAssembler

    code = StringIndexer(inputCol="gate", outputCol="code", handleInvalid="skip")
    vector = VectorAssembler(inputCols=["code"], outputCol="features")
    return Pipeline(stages=[code, vector, Classifier(maxIter=1)])


def binned(features: Sequence[Feature]) -> Any:
    """Return a pipeline with a step that has no exported form."""
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression as Classifier
    from pyspark.ml.feature import Binarizer, Imputer, VectorAssembler

    filled = Imputer(inputCols=["wind"], outputCols=["w"])
    high = Binarizer(inputCol="w", outputCol="high", threshold=0.5)
    return Pipeline(
        stages=[filled, high, VectorAssembler(inputCols=["high"], outputCol="features"), Classifier(maxIter=1)]
    )


def tree(features: Sequence[Feature]) -> Any:
    """Return an estimator that has no exported form."""
    from pyspark.ml.classification import DecisionTreeClassifier

    return DecisionTreeClassifier(maxDepth=1)


def by_sets(features: Sequence[Feature]) -> Any:
    """Return trees that split by sets of places of a text, which no exported form has."""
    from pyspark.ml import Pipeline
    from pyspark.ml.feature import StringIndexer, VectorAssembler
    from pyspark.ml.regression import DecisionTreeRegressor

    code = StringIndexer(inputCol="gate", outputCol="code", handleInvalid="keep")
    vector = VectorAssembler(inputCols=["code"], outputCol="features")
    return Pipeline(stages=[code, vector, DecisionTreeRegressor(maxDepth=2)])


def lost(features: Sequence[Feature]) -> Any:
    """Return a pipeline that reads a column that is not there."""
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression as Classifier
    from pyspark.ml.feature import VectorAssembler

    return Pipeline(stages=[VectorAssembler(inputCols=["height"], outputCol="features"), Classifier()])
