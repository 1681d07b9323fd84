"""What stands before an estimator of Spark that is no pipeline: one vector of all features, texts as numbers in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.ml import Estimator, Pipeline
from pyspark.ml.feature import Imputer, OneHotEncoder, StringIndexer, VectorAssembler

from leverframe.domain.features.training_set import Feature

VECTOR = "features"  # the column that estimators of Spark read by default
TAKES_GAPS = ("SparkXGBClassifier", "SparkXGBRegressor")  # and texts as places


def prepared(estimator: Any, features: Sequence[Feature]) -> Any:
    """Return the estimator behind the preparation that its features call for; itself where it is a pipeline.

    Trees of XGBoost get the place of a text among the values of training, in alphabetical order, and missing numbers
    as they are. Others get one column a text, and numbers with the median in place of a missing one.
    """
    if isinstance(estimator, Pipeline) or not _reads_vector(estimator):
        return estimator
    stages: list[Estimator[Any] | Any] = []
    texts = [feature.name for feature in features if feature.kind == "categorical"]
    numbers = [feature.name for feature in features if feature.kind != "categorical"]
    codes, hot, filled = ([f"{name}__{part}" for name in names] for names, part in (
        (texts, "code"), (texts, "hot"), (numbers, "filled")))  # fmt: skip
    gaps = type(estimator).__name__ in TAKES_GAPS
    if texts:
        order, invalid = "alphabetAsc", "keep"
        stages.append(StringIndexer(inputCols=texts, outputCols=codes, stringOrderType=order, handleInvalid=invalid))
    if texts and not gaps:
        stages.append(OneHotEncoder(inputCols=codes, outputCols=hot))
    if numbers and not gaps:
        stages.append(Imputer(inputCols=numbers, outputCols=filled, strategy="median"))
    taken = [*codes, *numbers] if gaps else [*hot, *filled]
    vector = VectorAssembler(inputCols=taken, outputCol=VECTOR, handleInvalid="keep")
    return Pipeline(stages=[*stages, vector, estimator])


def _reads_vector(estimator: Any) -> bool:
    """Tell whether an estimator reads the vector of Spark's usual name, and not columns that it names itself."""
    if not estimator.hasParam("featuresCol") or estimator.getOrDefault("featuresCol") != VECTOR:
        return False
    several = estimator.hasParam("features_cols") and estimator.isDefined("features_cols")
    return not (several and estimator.getOrDefault("features_cols"))
