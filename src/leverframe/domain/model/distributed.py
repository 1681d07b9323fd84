"""Training on a cluster: the rows stay there; what comes back is a few figures of the label, and the model."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from leverframe.documents import plain
from leverframe.domain import layout
from leverframe.domain.features.training_set import LABEL, Feature, Label, LearningSet
from leverframe.domain.model.artefacts import Artefacts, read_as
from leverframe.domain.model.bundle.packing import Frames
from leverframe.domain.model.exported import ExportedModel, Floats, refuse_mismatch
from leverframe.domain.model.table import column, model_inputs
from leverframe.domain.model.train import (
    ModelDescription,
    Recipe,
    Trainer,
    checked_labels,
    described,
    refuse_single_class,
)
from leverframe.errors import DefinitionError, LabelError
from leverframe.settings.params import TrainSettings

CLASSES = 1000  # that a label may have: more of them are numbers
SAMPLE = 2000  # rows about, on which the exported model is compared with the cluster
RESERVED = ("features", "label", "prediction", "probability", "rawPrediction")  # columns that estimators of Spark add

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelValues:
    """What the cluster says of the labels: the number of rows, of missing labels, and some values.

    Of classes ``values`` holds each, at most one more than ``CLASSES``; of numbers the smallest and the largest, and
    NaN where there is one.
    """

    rows: int
    missing: int
    values: NDArray[Any]


@dataclass(frozen=True)
class ClusterFit:
    """A fitted model: exported, and what the cluster predicts with it for ``inputs``, a sample of the rows.

    ``predictions`` have shape (rows, classes), or (rows,) for numbers.
    """

    model: ExportedModel
    inputs: Mapping[str, NDArray[Any]]
    predictions: Floats


class Cluster(Protocol):
    """Trains on the rows of a Parquet file, which never come to this process."""

    def label(self, path: Path, features: tuple[Feature, ...], label: Label) -> LabelValues:
        """Return what the labels are; raises ``SourceError`` for a file that is missing, damaged or of others."""

    def fit(self, recipe: Recipe, path: Path, classes: tuple[Any, ...]) -> ClusterFit:
        """Return the fitted model; raises ``DefinitionError`` or ``EstimatorError``."""

    def versions(self) -> dict[str, str]:
        """Return the versions of what trained the model."""


class Builder(Trainer, Protocol):
    """Builds the exported model where there is no cluster, stores it, and predicts with it."""

    def exported(self, model: ExportedModel, recipe: Recipe) -> Any:
        """Return the model, ready to predict."""

    def probabilities(self, model: Any, inputs: Any) -> Floats:
        """Return the probability of each class, shape (rows, classes)."""

    def predictions(self, model: Any, inputs: Any) -> Floats:
        """Return the predicted numbers, shape (rows,)."""


def run(
    frames: Frames, artefacts: Artefacts, cluster: AbstractContextManager[Cluster], builder: Builder,
    settings: TrainSettings,
) -> ModelDescription:  # fmt: skip
    """Fit the estimator of ``settings`` on the cluster; write the model, which needs none, and its description.

    Errors are those of ``train.run``; also ``EstimatorError`` for a model that cannot be exported, or that predicts
    otherwise where it is built again. Nothing is written unless all of it succeeds.
    """
    training = read_as(LearningSet, layout.LEARNING_SET, artefacts)
    _refuse_reserved(training.features)
    recipe = Recipe(settings.estimator, settings.params, training.features, training.label)
    with cluster as opened:
        known = opened.label(layout.TRAIN, recipe.features, recipe.label)
        classes = _classes(frames, known, recipe.label)
        _log.info(
            f"train: fitting {settings.estimator} to `{recipe.label.name}` on Spark, "
            f"{known.rows:,} rows of {len(recipe.features)} features"
        )
        fit = opened.fit(recipe, layout.TRAIN, classes)
        versions = opened.versions()
    with builder.threads(settings.threads):
        model = builder.exported(fit.model, recipe)
        inputs = model_inputs(frames.frame(fit.inputs), recipe.features, file=layout.TRAIN)
        regression = recipe.label.kind == "regression"
        predictions = builder.predictions(model, inputs) if regression else builder.probabilities(model, inputs)
        apart = refuse_mismatch(fit.predictions, predictions, recipe.label.kind)
        stored = replace(builder.store(model, recipe), classes=tuple(map(str, classes)))
    _log.info(f"train: the exported model predicts {inputs.height:,} rows as Spark does, within {apart:.2g}")
    description = described(training, recipe, stored, (known.rows, builder.versions() | versions))
    artefacts.write_bytes(layout.MODEL, stored.data)
    artefacts.write_json(layout.MODEL_DESCRIPTION, plain(description))
    _log.info(f"train: wrote {layout.MODEL}, {len(stored.data):,} bytes")
    return description


def _classes(frames: Frames, known: LabelValues, label: Label) -> tuple[Any, ...]:
    """Return the classes in order, none of a regression; raises ``LabelError`` for what cannot be learnt."""
    if known.missing:
        raise LabelError(
            f"label `{label.name}` ({label.kind}): {known.missing:,} of {known.rows:,} labels are missing",
            why="every row needs a label",
            next="run `dvc repro`, which cuts the training set again",
        )
    if label.kind != "regression" and len(known.values) > CLASSES:
        raise LabelError(
            f"label `{label.name}` ({label.kind}): it has more than {CLASSES:,} values",
            why="so many values are no classes",
            next="declare the label as `regression` in star.yaml, or group its values in sources.py",
        )
    values = checked_labels(column(frames.frame({LABEL: known.values}), LABEL, file=layout.TRAIN), label)
    if label.kind == "regression":
        return ()
    refuse_single_class(values, label)
    return tuple(np.unique(values).tolist())


def _refuse_reserved(features: tuple[Feature, ...]) -> None:
    for feature in features:
        if feature.name in RESERVED or {"`", "."} & set(feature.name):
            raise DefinitionError(
                f"estimators of Spark cannot read a feature called `{feature.name}`",
                why=f"they add columns called {', '.join(f'`{name}`' for name in RESERVED)}, and take a dot in a name "
                "for a field within a column",
                next="give the feature another name in star.yaml, or set `train.engine: sklearn`",
            )
