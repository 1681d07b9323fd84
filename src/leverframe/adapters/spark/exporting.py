"""How a fitted pipeline of Spark is taken apart into the plain values of ``domain/model/exported.py``.

What is not known here is refused with its name: a step that was left out would give another model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from leverframe.adapters.spark.tree_text import TREES, summed_trees
from leverframe.domain.features.training_set import Feature, LabelKind
from leverframe.domain.model.exported import (
    BoostedTrees,
    Code,
    ExportedModel,
    Floats,
    Indicators,
    Linear,
    Number,
    Step,
    SummedTrees,
    not_exported,
    scaled,
)
from leverframe.errors import EstimatorError

_BOOSTERS = ("SparkXGBClassifierModel", "SparkXGBRegressorModel")
_KNOWN = (
    "LogisticRegression, LinearRegression, GBTClassifier, GBTRegressor, RandomForestRegressor, DecisionTreeRegressor, "
    "SparkXGBClassifier and SparkXGBRegressor"
)
_STEPS = "StringIndexer, OneHotEncoder, Imputer, VectorAssembler and StandardScaler"
_KEEP = "set `handleInvalid='keep'`: a server meets values that training did not hold"


@dataclass(frozen=True)
class _Values:
    """What a column of the frame holds: steps, and by what their values are moved and multiplied afterwards."""

    steps: tuple[Step, ...]
    shift: Floats
    factor: Floats

    @classmethod
    def of(cls, *steps: Step) -> _Values:
        width = sum(step.width for step in steps)
        return cls(steps, np.zeros(width), np.ones(width))

    @property
    def moved(self) -> bool:
        return bool(self.shift.any() or (self.factor != 1).any())


Columns = dict[str, _Values]


def exported(fitted: Any, features: Sequence[Feature], kind: LabelKind, classes: tuple[Any, ...]) -> ExportedModel:
    """Return a fitted pipeline as plain values; raises ``EstimatorError`` for a part that has no such form."""
    *steps, last = _stages(fitted)
    columns: Columns = {feature.name: _Values.of(Number(feature.name)) for feature in features
                        if feature.kind != "categorical"}  # fmt: skip
    texts = {feature.name for feature in features if feature.kind == "categorical"}
    for step in steps:
        known = _OF_STEP.get(type(step).__name__)
        if known is None:
            raise not_exported(f"`{type(step).__name__}`", f"the steps that are known are {_STEPS}",
                               "leave it out, or compute it in star.yaml or sources.py")  # fmt: skip
        known(step, columns, texts)
    vector = _joined(_of(columns, name, texts, last) for name in _inputs(last))
    name = type(last).__name__
    if name in ("LogisticRegressionModel", "LinearRegressionModel"):
        model: Linear | BoostedTrees | SummedTrees = scaled(_linear(last), vector.shift, vector.factor)
    elif name in TREES or name in _BOOSTERS:
        if vector.moved:
            raise not_exported(f"`{name}` behind a scaler", "trees do not depend on the scale", "leave the scaler out")
        if name in TREES:
            model = summed_trees(last, vector.steps)
        else:
            model = BoostedTrees("xgboost", bytes(last.get_booster().save_raw("ubj")))
    else:
        raise not_exported(f"`{name}`", f"the estimators that are known are {_KNOWN}",
                           "choose one of them, or set `train.engine: sklearn`")  # fmt: skip
    return ExportedModel(kind, classes, vector.steps, model)


def last_stage(fitted: Any) -> Any:
    """Return what predicts in a fitted pipeline."""
    return _stages(fitted)[-1]


def _stages(fitted: Any) -> list[Any]:
    """Return the fitted stages, pipelines within pipelines and the best of a search resolved."""
    if hasattr(fitted, "bestModel"):
        return _stages(fitted.bestModel)
    inner = getattr(fitted, "stages", None)
    return [leaf for stage in inner for leaf in _stages(stage)] if isinstance(inner, list) else [fitted]


def _inputs(model: Any) -> list[str]:
    several = model.hasParam("features_cols") and model.isDefined("features_cols")
    return list((several and model.getOrDefault("features_cols")) or [model.getOrDefault("featuresCol")])


def _of(columns: Columns, name: str, texts: Iterable[str], step: Any) -> _Values:
    if name not in columns:
        why = "it is a text" if name in texts else "no step that is known makes it"
        raise not_exported(f"`{name}` as input of `{type(step).__name__}`", why,
                           f"build it of the features by {_STEPS}")  # fmt: skip
    return columns[name]


def _joined(parts: Iterable[_Values]) -> _Values:
    every = list(parts)
    steps = tuple(step for part in every for step in part.steps)
    return _Values(steps, np.concatenate([part.shift for part in every]), np.concatenate([p.factor for p in every]))


def _pairs(step: Any) -> list[tuple[str, str]]:
    """Return the columns that a step reads and writes, whether it was given one or several."""
    if step.isSet("inputCols"):
        return list(zip(step.getInputCols(), step.getOutputCols(), strict=True))
    return [(step.getInputCol(), step.getOutputCol())]


def _index(step: Any, columns: Columns, texts: set[str]) -> None:
    if step.getHandleInvalid() != "keep":
        raise not_exported("`StringIndexer`", f"it has `handleInvalid='{step.getHandleInvalid()}'`", _KEEP)
    for (name, out), labels in zip(_pairs(step), step.labelsArray, strict=True):
        if name not in texts:
            raise not_exported(f"`StringIndexer` of `{name}`", "it is no text among the features",
                               "index features of kind categorical alone")  # fmt: skip
        if not labels:
            raise not_exported(f"the feature `{name}`", "it has no value in the training set",
                               "leave it out of `features.select`")  # fmt: skip
        columns[out] = _Values.of(Code(name, tuple(labels)))


def _one_hot(step: Any, columns: Columns, texts: set[str]) -> None:
    if not step.getDropLast() or step.getHandleInvalid() != "error":
        raise not_exported("`OneHotEncoder`", "it keeps a column for the values that training did not hold",
                           "leave `dropLast` and `handleInvalid` as they are by default")  # fmt: skip
    for name, out in _pairs(step):
        (code,) = _of(columns, name, texts, step).steps
        if not isinstance(code, Code):
            raise not_exported(f"`OneHotEncoder` of `{name}`", "it is not made by `StringIndexer`",
                               "encode categorical features alone")  # fmt: skip
        columns[out] = _Values.of(Indicators(code.feature, code.values))


def _fill(step: Any, columns: Columns, texts: set[str]) -> None:
    if not np.isnan(step.getMissingValue()):
        raise not_exported("`Imputer`", f"it takes {step.getMissingValue()} for missing", "leave `missingValue` as NaN")
    surrogates = step.surrogateDF.collect()[0].asDict()
    for name, out in _pairs(step):
        values = _of(columns, name, texts, step)
        (number,) = values.steps
        if not isinstance(number, Number) or values.moved:
            raise not_exported(f"`Imputer` of `{name}`", "it is no number as it was read", "fill numbers first")
        fill = number.fill if number.fill is not None else float(surrogates[name])
        columns[out] = _Values.of(replace(number, fill=fill))


def _assemble(step: Any, columns: Columns, texts: set[str]) -> None:
    if step.getHandleInvalid() == "skip":
        raise not_exported("`VectorAssembler`", "it leaves rows with missing values out", _KEEP)
    columns[step.getOutputCol()] = _joined(_of(columns, name, texts, step) for name in step.getInputCols())


def _scale(step: Any, columns: Columns, texts: set[str]) -> None:
    values = _of(columns, step.getInputCol(), texts, step)
    shift = step.mean.toArray() if step.getWithMean() else np.zeros(len(values.shift))
    spread = step.std.toArray() if step.getWithStd() else np.ones(len(values.shift))
    factor = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread != 0)  # as Spark does
    # ((value - a) * f - b) * g is (value - (a + b / f)) * (f * g)
    inner = np.divide(shift, values.factor, out=np.zeros_like(shift), where=values.factor != 0)
    columns[step.getOutputCol()] = _Values(values.steps, values.shift + inner, values.factor * factor)


_OF_STEP: Mapping[str, Callable[[Any, Columns, set[str]], None]] = {
    "StringIndexerModel": _index,
    "OneHotEncoderModel": _one_hot,
    "ImputerModel": _fill,
    "VectorAssembler": _assemble,
    "StandardScalerModel": _scale,
}


def _linear(model: Any) -> Linear:
    if type(model).__name__ == "LinearRegressionModel":
        return Linear(model.coefficients.toArray().reshape(1, -1), np.array([model.intercept]))
    weights, intercepts = model.coefficientMatrix.toArray(), model.interceptVector.toArray()
    if len(weights) == 2:  # of two classes by the multinomial family: their odds are all that counts
        weights, intercepts = weights[1:] - weights[:1], intercepts[1:] - intercepts[:1]
    return Linear(np.asarray(weights, np.float64), np.asarray(intercepts, np.float64))


def refuse_other(estimator: Any, name: str) -> None:
    """Raise ``EstimatorError`` for what is no estimator of Spark."""
    from pyspark.ml import Estimator  # noqa: PLC0415 - late, as in the rest of this module nothing needs it

    if not isinstance(estimator, Estimator):
        raise EstimatorError(
            f"`{name}` gives {type(estimator).__name__}, which is no estimator of Spark",
            why="`train.engine: spark` trains estimators of `pyspark.ml` and `xgboost.spark`",
            next=f"return one, such as {_KNOWN}, or set `train.engine: sklearn`",
        )
