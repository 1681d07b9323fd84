"""The steps of an evaluation: read, predict, measure, write."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from leverframe.domain import layout
from leverframe.domain.features.reserved import MONTH, PROBABILITY
from leverframe.domain.features.training_set import AS_OF, LABEL, TrainingSet
from leverframe.domain.model.artefacts import Artefacts, read_as
from leverframe.domain.model.charts import Draw
from leverframe.domain.model.evaluate import evaluation_charts, plots
from leverframe.domain.model.evaluate import model_card as card
from leverframe.domain.model.evaluate.evaluation_summary import summary_lines
from leverframe.domain.model.evaluate.holdout import (
    Holdout,
    checked_predictions,
    days_of,
    numbered,
    positive_column,
    sliced,
    with_classes,
)
from leverframe.domain.model.evaluate.ranking import Floats
from leverframe.domain.model.evaluate.scores import Scores, scored
from leverframe.domain.model.table import Table, Tables, column, model_inputs
from leverframe.domain.model.train import ModelDescription, checked_labels
from leverframe.errors import EstimatorError
from leverframe.settings.params import EvaluateSettings

_THREADS = 1  # of sums: how they are split among threads changes their last digits

_log = logging.getLogger(__name__)


class Predictor(Protocol):
    """Opens a stored model and predicts with it."""

    def load(self, data: bytes) -> Any:
        """Return the model; raises ``EstimatorError`` for a damaged file or types that are not trusted."""

    def probabilities(self, model: Any, inputs: Any) -> Floats:
        """Return the probability of each class, shape (rows, classes)."""

    def predictions(self, model: Any, inputs: Any) -> Floats:
        """Return the predicted numbers, shape (rows,)."""

    def threads(self, count: int) -> AbstractContextManager[None]:
        """Give numeric libraries ``count`` threads inside the block."""


@dataclass(frozen=True)
class Evaluation:
    """The result; ``metrics`` is the content of ``reports/metrics.json``."""

    metrics: dict[str, Any]
    holdout: Holdout
    scores: Scores

    def lines(self) -> list[str]:
        """Return the metrics in a few lines for a terminal."""
        return [*summary_lines(self.metrics), f"more in {layout.MODEL_CARD}"]


def run(
    tables: Tables, artefacts: Artefacts, predictor: Predictor, draw: Draw, settings: EvaluateSettings, timezone: str
) -> Evaluation:
    """Evaluate the stored model on the hold-out; write metrics, plots, pictures, predictions and the card.

    Days and months begin in ``timezone``. Raises ``SourceError``, ``LabelError``,
    ``DefinitionError`` or ``EstimatorError``; nothing is written before every metric is known.
    """
    training = read_as(TrainingSet, layout.TRAINING_SET, artefacts)
    model = read_as(ModelDescription, layout.MODEL_DESCRIPTION, artefacts)
    _check_same_definition(training, model)
    table = tables.read(layout.HOLDOUT)
    with predictor.threads(_THREADS):
        predictions = predicted(predictor, model, table, artefacts.read_bytes(layout.MODEL))
        holdout = assembled(model, table, predictions, (settings, timezone))
        _log.info(f"evaluate: {len(holdout.labels):,} rows of {holdout.number_of_days} days")
        scores = scored(holdout, settings)
    subject = card.Subject(model, training, settings, timezone)
    charts = evaluation_charts.charts(model.label.name, holdout, scores)
    pictures = {name: draw(chart) for name, chart in charts.items()}
    texts = {layout.MODEL_CARD: card.card(subject, holdout, scores, pictures)}
    texts |= _below(layout.PLOTS, "csv", plots.plots(holdout, scores))
    texts |= _below(layout.PICTURES, "svg", pictures)
    tables.write(layout.PREDICTIONS, prediction_columns(holdout, table, model))
    for path, text in texts.items():
        artefacts.write_text(path, text)
    for path in sorted(_POSSIBLE - set(texts)):  # an evaluation of another kind of label may have left one
        artefacts.remove(path)
    artefacts.write_json(layout.METRICS, scores.figures)
    return Evaluation(scores.figures, holdout, scores)


def _check_same_definition(training: TrainingSet, model: ModelDescription) -> None:
    if (model.spec, model.features, model.label) != (training.spec, training.features, training.label):
        raise EstimatorError(
            "the model was trained on another training set",
            why=f"its label is `{model.label.name}`, its definition {model.spec}; "
            f"the data have `{training.label.name}` and {training.spec}",
            next="`dvc repro train` trains it again",
        )


def predicted(predictor: Predictor, model: ModelDescription, table: Table, data: bytes) -> Floats:
    """Return the predictions of the model in ``data`` for the rows of ``table``.

    A score or number per row, shape (rows,), or the probability of each class, shape (rows, classes).
    Raises ``EstimatorError`` where the bytes are not the model that is described.
    """
    opened = predictor.load(data)
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != model.md5:
        raise EstimatorError(
            f"{layout.MODEL} is not the model that {layout.MODEL_DESCRIPTION} describes",
            why=f"its md5 is not {model.md5}",
            next="`dvc checkout` or `dvc repro train` brings them together again",
        )
    inputs = model_inputs(table, model.features, file=layout.HOLDOUT)
    if model.label.kind == "regression":
        return checked_predictions(predictor.predictions(opened, inputs), (table.height,), model.label)
    shape = (table.height, len(model.classes))
    probabilities = checked_predictions(predictor.probabilities(opened, inputs), shape, model.label)
    return probabilities if model.label.kind == "multiclass" else _positive(probabilities, model)


def _positive(probabilities: Floats, model: ModelDescription) -> Floats:
    scores: Floats = probabilities[:, positive_column(model.classes, model.label)]
    return scores


def assembled(
    model: ModelDescription, table: Table, predictions: Floats, settings: tuple[EvaluateSettings, str]
) -> Holdout:
    """Return the rows of ``table`` with the predictions of the model, in the same order."""
    labels = checked_labels(column(table, LABEL, file=layout.HOLDOUT), model.label)
    days = days_of(table, settings[1])
    slices = sliced(table, settings[0].slices, days)
    classes: tuple[str, ...] = model.classes
    numbers = labels if model.label.kind == "multiclass" else labels.astype(np.float64)
    if model.label.kind == "multiclass":
        classes, numbers, predictions = with_classes(labels, predictions, classes)
    return Holdout(model.label.kind, classes, numbers, predictions, numbered(days), slices)


def prediction_columns(holdout: Holdout, table: Table, model: ModelDescription) -> dict[str, Any]:
    """Return the columns of the predictions file: ``as_of``, label, predictions and slices, rows as in ``table``."""
    columns: dict[str, Any] = {AS_OF: table.get_column(AS_OF), LABEL: table.get_column(LABEL)}
    if holdout.kind == "binary":
        columns["score"] = holdout.predictions
    elif holdout.kind == "regression":
        columns["prediction"] = holdout.predictions
    else:
        names = np.array(holdout.classes)
        columns["prediction"] = names[holdout.predictions.argmax(axis=1)].tolist()
        for number, name in enumerate(model.classes):
            columns[f"{PROBABILITY}{name}"] = holdout.predictions[:, number]
    for name, values in holdout.slices.items():
        columns[name] = values.tolist() if name == MONTH else table.get_column(name)
    return columns


def _below(folder: Path, ending: str, texts: Mapping[str, str]) -> dict[Path, str]:
    return {folder / f"{name}.{ending}": text for name, text in texts.items()}


_POSSIBLE = {
    *_below(layout.PLOTS, "csv", dict.fromkeys(plots.NAMES, "")),
    *_below(layout.PICTURES, "svg", dict.fromkeys(evaluation_charts.NAMES, "")),
}
