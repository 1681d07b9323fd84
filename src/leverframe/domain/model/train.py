"""Training: which labels are valid, and the description written beside the model.

The estimator itself stays behind the ``Trainer`` port; this module never sees its library.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from leverframe.documents import plain
from leverframe.domain import layout
from leverframe.domain.features.training_set import LABEL, Feature, Label, LabelKind, LearningSet
from leverframe.domain.model.artefacts import Artefacts, read_as
from leverframe.domain.model.table import Column, Tables, column, model_inputs
from leverframe.errors import LabelError
from leverframe.settings.params import TrainSettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """Which estimator to build, with which arguments, for which features and label."""

    estimator: str
    params: Mapping[str, Any]
    features: tuple[Feature, ...]
    label: Label


@dataclass(frozen=True)
class StoredModel:
    """A fitted model as bytes.

    ``types`` are those that a reader must be told to trust, ``classes`` those of a classifier in
    the order of its probabilities (empty for regression).
    """

    data: bytes
    md5: str
    types: tuple[str, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class ModelDescription:
    """The description of a trained model; the content of ``models/model.json``."""

    label: Label
    features: tuple[Feature, ...]
    spec: str
    estimator: str
    params: Mapping[str, Any]
    rows: int
    first: str
    last: str
    classes: tuple[str, ...]
    types: tuple[str, ...]
    md5: str
    versions: Mapping[str, str]

    def lines(self) -> list[str]:
        """Return the description in a few lines for a terminal."""
        return [
            f"{layout.MODEL}  md5 {self.md5}",
            f"  `{self.label.name}` ({self.label.kind}) by {self.estimator}",
            f"  {self.rows:,} rows from {self.first} to {self.last}, {len(self.features)} features",
        ]


class Trainer(Protocol):
    """Builds, fits and stores estimators."""

    def build(self, recipe: Recipe) -> Any:
        """Return an unfitted estimator; raises ``DefinitionError`` or ``EstimatorError``."""

    def fit(self, estimator: Any, inputs: Any, labels: NDArray[Any]) -> Any:
        """Return the fitted estimator; raises ``EstimatorError`` when it cannot learn."""

    def store(self, model: Any, recipe: Recipe) -> StoredModel:
        """Return the model as bytes, the same for the same model; raises ``EstimatorError``."""

    def threads(self, count: int) -> AbstractContextManager[None]:
        """Give numeric libraries ``count`` threads inside the block, whatever the environment says."""

    def versions(self) -> dict[str, str]:
        """Return the versions of the libraries that made the model."""


def run(tables: Tables, artefacts: Artefacts, trainer: Trainer, settings: TrainSettings) -> ModelDescription:
    """Fit the estimator of ``settings`` to the training rows; write the model and its description.

    Raises ``LabelError`` for labels that cannot be learnt, ``SourceError`` for data that do not
    fit their description, ``DefinitionError`` and ``EstimatorError`` for the estimator. Nothing is
    written unless all of it succeeds.
    """
    training = read_as(LearningSet, layout.LEARNING_SET, artefacts)
    recipe = Recipe(settings.estimator, settings.params, training.features, training.label)
    estimator = trainer.build(recipe)
    table = tables.read(layout.TRAIN)
    inputs = model_inputs(table, training.features, file=layout.TRAIN)
    labels = checked_labels(column(table, LABEL, file=layout.TRAIN), training.label)
    refuse_single_class(labels, training.label)
    _log.info(
        f"train: fitting {settings.estimator} to `{training.label.name}`, "
        f"{len(labels):,} rows of {len(training.features)} features"
    )
    with trainer.threads(settings.threads):
        stored = trainer.store(trainer.fit(estimator, inputs, labels), recipe)
    description = described(training, recipe, stored, (len(labels), trainer.versions()))
    artefacts.write_bytes(layout.MODEL, stored.data)
    artefacts.write_json(layout.MODEL_DESCRIPTION, plain(description))
    _log.info(f"train: wrote {layout.MODEL}, {len(stored.data):,} bytes")
    return description


def described(
    training: LearningSet, recipe: Recipe, stored: StoredModel, made: tuple[int, dict[str, str]]
) -> ModelDescription:
    """Return the description of a stored model; ``made`` is its number of rows, and the versions that made it."""
    return ModelDescription(
        label=recipe.label,
        features=recipe.features,
        spec=training.spec,
        estimator=recipe.estimator,
        params=recipe.params,
        rows=made[0],
        first=training.train.first,
        last=training.train.last,
        classes=stored.classes,
        types=stored.types,
        md5=stored.md5,
        versions=made[1],
    )


def checked_labels(series: Column, label: Label) -> NDArray[Any]:
    """Return the labels as the estimator takes them, shape (rows,).

    Binary labels are integers 0 and 1, classes integers or text, those of a regression finite
    64-bit floats. Raises ``LabelError`` for no rows, nulls, or values of another kind.
    """
    if str(series.dtype).startswith("Decimal"):
        series = series.cast(float)
    values = series.to_numpy()
    if len(values) == 0:
        raise _label_error(label, "there are no rows", "the split keeps no row with a known label")
    if series.null_count():
        share = "every label is" if series.null_count() == len(values) else f"{series.null_count()} labels are"
        raise _label_error(label, f"{share} missing", "every row needs a label")
    return _OF_KIND[label.kind](values, label)


def refuse_single_class(labels: NDArray[Any], label: Label) -> None:
    """Raise ``LabelError`` if a classifier would see only one class."""
    if label.kind != "regression" and bool(np.all(labels == labels[0])):
        raise _label_error(
            label,
            f"all {len(labels)} training labels are {labels[0]}",
            "a classifier needs at least two classes",
        )


def _binary(values: NDArray[Any], label: Label) -> NDArray[Any]:
    if values.dtype.kind in "biuf" and bool(np.isin(values, (0, 1)).all()):
        return values.astype(np.int64)
    raise _label_error(label, "its values are not 0 and 1", f"a binary label is 0 or 1, found {_some(values)}")


def _classes(values: NDArray[Any], label: Label) -> NDArray[Any]:
    if values.dtype.kind in "biu" and int(values.max()) < 2**63:
        return values.astype(np.int64)
    if values.dtype.kind == "f" and bool(np.all(np.isfinite(values) & (values == np.floor(values)))):
        return values.astype(np.int64)
    if values.dtype.kind in "OU" and all(isinstance(value, str) for value in values.tolist()):
        return values.astype(np.str_)
    raise _label_error(label, "its values are not classes", f"a class is text or an integer, found {_some(values)}")


def _numbers(values: NDArray[Any], label: Label) -> NDArray[Any]:
    if values.dtype.kind in "biuf" and bool(np.isfinite(values).all()):
        return values.astype(np.float64)
    raise _label_error(label, "its values are not finite numbers", f"a regression needs them, found {_some(values)}")


_OF_KIND: Mapping[LabelKind, Callable[[NDArray[Any], Label], NDArray[Any]]] = {
    "binary": _binary,
    "multiclass": _classes,
    "regression": _numbers,
}


def _some(values: NDArray[Any]) -> str:
    # In order of appearance: hash order would differ from run to run.
    seen = list(dict.fromkeys(str(value)[:24] for value in values[:10_000].tolist()))
    return ", ".join(seen[:5]) + (" ..." if len(seen) > 5 else "")


def _label_error(label: Label, what: str, why: str) -> LabelError:
    return LabelError(
        f"label `{label.name}` ({label.kind}): {what}",
        why=why,
        next="check the label in star.yaml and its kind, and the partitions in `features` of params.yaml",
    )
