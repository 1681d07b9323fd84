"""What every bundle of a server has: files that are verified, a schema, a model, and golden rows that prove it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from leverframe.documents import parsed
from leverframe.domain.model.bundle import bundle_manifest as names
from leverframe.domain.model.bundle.bundle_manifest import Manifest, sha256, unusable
from leverframe.domain.model.bundle.conversion import limits
from leverframe.domain.model.bundle.golden_rows import golden_row, tensors
from leverframe.domain.model.bundle.input_check import Checked, checked
from leverframe.domain.model.bundle.metadata import probability_classes
from leverframe.domain.model.bundle.schema import Schema
from leverframe.errors import EstimatorError, LeverframeError, RequestError, nearest
from leverframe.serving.bundle_folder import file_in, manifest_in
from leverframe.serving.feature_source import FeatureSource
from leverframe.words import first_line

Predictions = NDArray[np.float64]


class ServedModel(Protocol):
    """A model that predicts rows of its features."""

    def predict(self, columns: Any) -> Predictions:
        """Return (n, classes) probabilities, or (n,) numbers of a regression."""


@dataclass(frozen=True)
class Predicted:
    """What the model says to each row; of a request by keys also the inputs that were looked up for it.

    ``missed`` names the rows whose key a table of the snapshot did not have, by table.
    """

    predictions: Predictions
    features: Mapping[str, Any] = field(default_factory=dict)
    missed: Mapping[str, list[int]] = field(default_factory=dict)


class ServedBundle:
    """A bundle whose files are verified; who inherits says which model it has, and proves it.

    Raises ``BundleError`` for a file that is missing, damaged or of another bundle.
    """

    _model: ServedModel
    apart = False  # whether code that is not ours predicts

    def __init__(self, folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> None:
        self._folder, self.manifest = str(folder), manifest
        try:
            self.schema: Schema = parsed(Schema, files[names.SCHEMA])
            self.golden = [golden_row(line) for line in files[names.GOLDEN].splitlines()]
        except (ValueError, KeyError, TypeError) as error:
            raise invalid(folder, error) from error
        self.digest = manifest.digest
        self.schema_digest = manifest.files[names.SCHEMA]
        self._classes = probability_classes(self.schema)

    def predict(self, request: Checked, now: datetime, source: FeatureSource | None = None) -> Predicted:  # noqa: ARG002
        """Return what the model says to each row of a request that brings the columns; raises ``RequestError``."""
        return Predicted(self._predicted(request.columns, request.rows))

    def _predicted(self, columns: Mapping[str, Any], rows: int) -> Predictions:
        """Return the predictions; raises ``RequestError`` for a row that the model does not take."""
        try:
            return self._model.predict(columns)
        except EstimatorError as error:
            if not isinstance(error.__cause__, ValueError):  # how scikit-learn says that a value is none for it
                raise
            row = _first_failing(self._model, columns, rows)
            raise RequestError(
                f"row {row} cannot be predicted",
                why=f"the model does not take it: {error.why}",
                next="send values as training had them; the metadata of the model name what it takes",
            ) from error

    def outputs(self, predictions: Predictions, wanted: Set[str] = frozenset()) -> list[dict[str, Any]]:
        """Return predictions as tensors, values row by row; of ``wanted`` names only, where there are any.

        Raises ``RequestError`` for a name that no output has.
        """
        outputs = self._outputs(predictions)
        unknown = wanted - {output["name"] for output in outputs}
        if unknown:
            name = min(unknown)[:60]
            raise RequestError(
                f"`{name}` is not an output of this model",
                why="the request asks for it",
                next=nearest(name, [output["name"] for output in outputs]),
            )
        return [output for output in outputs if not wanted or output["name"] in wanted]

    def _outputs(self, predictions: Predictions) -> list[dict[str, Any]]:
        rows, label = len(predictions), self.schema.label
        if label.kind == "regression":
            return [_tensor("prediction", "FP64", [rows, 1], predictions.tolist())]
        best = predictions.argmax(axis=1).tolist()
        classes = self.schema.classes
        if label.kind == "binary":
            whole = [int(class_) for class_ in classes]
            chosen = _tensor("label", "INT64", [rows, 1], [whole[index] for index in best])
            shown = _tensor("probability", "FP64", [rows, 1], predictions[:, classes.index("1")].tolist())
        else:
            chosen = _tensor("label", "BYTES", [rows, 1], [classes[index] for index in best])
            shown = _tensor("probability", "FP64", [rows, len(classes)], predictions.ravel().tolist())
        return [chosen, {**shown, "parameters": {"classes": self._classes}}]

    def _prove(self, form: str) -> list[dict[str, Any]]:
        """Return the golden rows of a form; raises ``BundleError`` unless they are predicted as in training."""
        rows = [row for row in self.golden if row["form"] == form]
        if not rows:
            raise unusable(self._folder, f"it has no golden rows by {form}")
        self._prove_rows(form, rows)
        return rows

    def _prove_rows(self, form: str, rows: Sequence[dict[str, Any]]) -> None:
        try:
            asked = checked(self.schema, tensors(self.schema, rows))
            predicted = self.predict(asked, datetime.now().astimezone()).predictions
        except LeverframeError as error:
            raise unusable(self._folder, f"a golden row by {form} is refused: {error.what}") from error
        except Exception as error:  # what a model raises of itself has no common class
            why = first_line(error)[:200]
            raise unusable(self._folder, f"the model fails with the golden rows by {form}: {why}") from error
        expected = np.array([golden["prediction"] for golden in rows], np.float64)
        if predicted.shape != expected.shape:
            raise unusable(self._folder, f"predictions for golden rows by {form} have another shape")
        apart = np.abs(predicted - expected).reshape(len(rows), -1).max(axis=1)
        within = apart <= limits(expected, self.manifest.tolerance, self.manifest.scale)
        if not bool(within.all()):
            row = int(np.argmax(~within))
            raise unusable(
                self._folder, f"the prediction for golden row {row} by {form} is {predicted[row].tolist()} instead of "
                f"{expected[row].tolist()}"
            )  # fmt: skip


def verified(folder: Path, digest: str | None) -> tuple[Manifest, dict[str, bytes]]:
    """Return the manifest and the files of a bundle; with ``digest``, only of the one of that name."""
    manifest = _manifest(folder, digest)
    return manifest, {name: _verified(folder, name, sha) for name, sha in manifest.files.items()}


def invalid(folder: Path, error: Exception) -> LeverframeError:
    """Return the error for a file of a bundle that is none of its kind."""
    return unusable(str(folder), f"a file in it is invalid: {error!r}"[:300])


def _first_failing(model: ServedModel, columns: Mapping[str, Any], rows: int) -> int:
    """Return the first of the rows that together make the model fail, by halves."""
    low, high = 0, rows
    while high - low > 1:
        middle = (low + high) // 2
        try:
            model.predict({name: values[low:middle] for name, values in columns.items()})
            low = middle
        except EstimatorError:
            high = middle
    return low


def _tensor(name: str, datatype: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def _manifest(folder: Path, digest: str | None) -> Manifest:
    manifest = manifest_in(folder)
    if digest is not None and manifest.digest != digest:
        raise unusable(str(folder), f"it is {manifest.digest[:16]}, not the expected {digest[:16]}")
    return manifest


def _verified(folder: Path, name: str, digest: str) -> bytes:
    data = file_in(folder, name)
    if sha256(data) != digest:
        raise unusable(str(folder), f"{name} is not the file that {names.MANIFEST} names: it has another SHA-256")
    return data
