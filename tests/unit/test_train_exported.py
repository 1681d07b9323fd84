"""A model that a cluster trained, as plain values: what is folded into it, and when it is another model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import yaml

from leverframe.domain.features.plan import compile_star
from leverframe.domain.features.star import Star
from leverframe.domain.model.exported import (
    TOLERANCE,
    Code,
    ExportedModel,
    Indicators,
    Linear,
    Number,
    refuse_mismatch,
    scaled,
)
from leverframe.domain.pipeline import installation
from leverframe.domain.pipeline.installation import StageCode
from leverframe.domain.pipeline.stages import pipeline, render
from leverframe.errors import EstimatorError
from leverframe.settings.params import Params
from tests.integration.shop import PARAMS, STAR
from tests.unit.test_stages import SOURCES, code_of

CODE = StageCode(code_of, {"duckdb": "an.engine"}, installed=False, trainers={"spark": "a.trainer"})


def test_a_scaler_is_folded_into_the_weights() -> None:
    """What it moves and multiplies comes out the same, also for a value that it makes nothing of."""
    values, linear = np.array([3.0, -1.0, 7.0]), Linear(np.array([[2.0, 0.5, 1.0]]), np.array([0.25]))
    shift, factor = np.array([1.0, 2.0, 0.0]), np.array([0.5, 4.0, 0.0])
    folded = scaled(linear, shift, factor)
    wanted = linear.weights @ ((values - shift) * factor) + linear.intercepts
    assert folded.weights @ values + folded.intercepts == pytest.approx(wanted)


TEXT = """DecisionTreeRegressionModel: uid=dtr_1, depth=2, numNodes=5, numFeatures=3
  If (feature 0 <= 0.25)
   If (feature 1 in {1.0})
    Predict: 1.5
   Else (feature 1 not in {1.0})
    Predict: -2.0E-5
  Else (feature 0 > 0.25)
   Predict: 7.0
"""


@dataclass
class DecisionTreeRegressionModel:
    """A model as PySpark shows it."""

    toDebugString: str = TEXT  # noqa: N815 - its name there


def test_trees_are_read_from_their_text() -> None:
    """A set of one of two values is a threshold between them, sides exchanged where it is the larger one."""
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    from leverframe.adapters.spark.tree_text import summed_trees  # noqa: PLC0415 - an optional package

    steps = (Number("a"), Indicators("b", ("x", "y")))
    (tree,) = summed_trees(DecisionTreeRegressionModel(), steps).trees
    assert (tree.feature.tolist(), tree.threshold.tolist()) == ([0, 1, 0, 0, 0], [0.25, 0.5, 0, 0, 0])
    assert (tree.left.tolist(), tree.right.tolist()) == ([1, 3, 0, 0, 0], [4, 2, 0, 0, 0])
    assert tree.value.tolist() == [0, 0, 1.5, -2e-5, 7]
    for other in (TEXT[:90], TEXT.replace("Else", "Or"), TEXT.replace("If", "When")):
        with pytest.raises(EstimatorError, match="cannot be exported") as caught:
            summed_trees(DecisionTreeRegressionModel(other), steps)
        assert "describes trees otherwise" in caught.value.why
    with pytest.raises(EstimatorError, match="splits by a set of texts"):
        summed_trees(DecisionTreeRegressionModel(), (Number("a"), Code("b", ("x", "y"))))


def test_the_width_is_that_of_all_steps() -> None:
    """A text may be several values."""
    steps = (Number("a"), Code("b", ("x", "y")), Indicators("b", ("x", "y")))
    assert ExportedModel("binary", (0, 1), steps, Linear(np.zeros((1, 4)), np.zeros(1))).width == 4


def test_predictions_must_be_those_of_the_cluster() -> None:
    """Probabilities as they are, numbers by the largest; another shape or a missing value is never the same."""
    probabilities = np.array([[0.25, 0.75], [0.5, 0.5]])
    assert refuse_mismatch(probabilities, probabilities + TOLERANCE / 2, "binary") == pytest.approx(TOLERANCE / 2)
    numbers = np.array([1e9, 1.0], np.float64)
    assert refuse_mismatch(numbers, numbers + 100.0, "regression") == pytest.approx(1e-7)
    for other in (probabilities + 2 * TOLERANCE, probabilities[:, 0], np.full_like(probabilities, np.nan)):
        with pytest.raises(EstimatorError, match="predicts other values than the cluster"):
            refuse_mismatch(probabilities, other, "binary")
    with pytest.raises(EstimatorError, match="by up to 1e-05"):
        refuse_mismatch(numbers, numbers + np.array([1e4, 0]), "regression")


@pytest.mark.parametrize("installed", [False, True])
def test_the_stage_depends_on_its_trainer_and_not_on_where_it_trains(installed: bool) -> None:
    """The address of a cluster changes no model; what a task reads may, also where it is left out of the settings."""
    content = yaml.safe_load(PARAMS)
    content["train"] |= {"engine": "spark", "spark": {"master": "spark://far:7077"}, "threads": 1}
    params, plan = Params.model_validate(content), compile_star(Star.model_validate(yaml.safe_load(STAR)))
    code = StageCode(CODE.of, CODE.engines, installed=installed, trainers=CODE.trainers)
    made = pipeline(params, SOURCES, plan, code)
    stage = yaml.safe_load(render(made))["stages"]["train"]
    assert "a/trainer.py" in stage["deps"]
    *listed, left_out = stage["params"]
    assert set(listed) == {"train.engine", "train.estimator", "train.params", "train.threads"} & set(listed)
    assert "train.spark" not in listed
    assert {"defaults.train.spark.megabytes", "defaults.train.trusted_types"} <= {*left_out[installation.FILE]}
    file = yaml.safe_load(installation.described("1.0.0", params, made.defaults, installed=installed))
    assert file["defaults"]["train"]["spark"] == {"megabytes": 64}
    if installed:
        assert file["leverframe"]["extras"] == ["serving", "spark"]
        assert {"leverframe.version", "leverframe.extras"} <= {*left_out[installation.FILE]}
