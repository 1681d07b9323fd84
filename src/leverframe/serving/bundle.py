"""A bundle that is open for requests: verified file by file, and proven on its golden rows before the first one."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from leverframe.adapters.snapshot_file import SnapshotFile
from leverframe.bounded import bounded_yaml, json_of
from leverframe.documents import parse, parsed, validated
from leverframe.domain.features.online import EPOCH, microseconds_of
from leverframe.domain.features.plan import compile_star
from leverframe.domain.features.request import Requests, timestamp
from leverframe.domain.features.snapshot.store import About, Found, Keys, Store
from leverframe.domain.features.star import Star
from leverframe.domain.features.training_set import Feature
from leverframe.domain.features.vector import as_inputs, vectors
from leverframe.domain.model.bundle import bundle_manifest as names
from leverframe.domain.model.bundle.bundle_manifest import Manifest, sha256, unusable
from leverframe.domain.model.bundle.conversion import limits
from leverframe.domain.model.bundle.golden_rows import golden_row, tensors
from leverframe.domain.model.bundle.input_check import FEW, Checked, arrays, checked, strict_features, unaccepted
from leverframe.domain.model.bundle.metadata import probability_classes
from leverframe.domain.model.bundle.schema import AS_OF, Schema
from leverframe.errors import EstimatorError, LeverframeError, RequestError, nearest
from leverframe.serving.bundle_folder import file_in, manifest_in
from leverframe.serving.feature_source import FeatureSource
from leverframe.serving.row import RowByRow

Predictions = NDArray[np.float64]
_RFC_3339 = re.compile(
    r"([0-9]{4})-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_WRITE = "write it as 2014-01-01T13:00Z"


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


class OpenBundle:
    """The bundle in ``folder``; with ``digest``, only the one of that name. ``trusted`` are own types of its model.

    Raises ``BundleError`` for a file that is missing, damaged or of another bundle, for a
    definition that this version compiles to other features, and for golden rows that are predicted
    otherwise than in training.
    """

    def __init__(self, folder: Path, digest: str | None = None, trusted: Collection[str] = ()) -> None:
        self.manifest = _manifest(folder, digest)
        files = {name: _verified(folder, name, sha) for name, sha in self.manifest.files.items()}
        try:
            self.schema: Schema = parsed(Schema, files[names.SCHEMA])
            description = json_of(files[names.DESCRIPTION])
            self.features = tuple(Feature(**each) for each in description["features"])
            golden = [golden_row(line) for line in files[names.GOLDEN].splitlines()]
            text = bounded_yaml(files[names.STAR].decode())
        except (ValueError, KeyError, TypeError) as error:
            raise unusable(str(folder), f"a file in it is invalid: {error!r}"[:300]) from error
        self.digest = self.manifest.digest
        self.schema_digest = self.manifest.files[names.SCHEMA]
        star = validated(Star, parse(text, name=names.STAR, what="star schema"), name=names.STAR)
        self.plan = compile_star(star)
        if self.plan.spec != self.manifest.spec:
            raise unusable(str(folder), f"this version compiles its {names.STAR} to {self.plan.spec[:16]}, "
                                        f"the model was trained on {self.manifest.spec[:16]}")  # fmt: skip
        store = SnapshotFile(folder / names.SNAPSHOT, spec=self.plan.spec)
        self.spec = self.plan.spec
        self.source = FeatureSource(store, RowByRow(self.plan, store))
        self._model = _model(self.manifest, files, trusted)
        self._classes = probability_classes(self.schema)
        self._strict = strict_features(self.schema)  # features of which the model does not take every value
        self._prove(str(folder), golden)

    def predict(self, request: Checked, now: datetime, source: FeatureSource | None = None) -> Predicted:
        """Return what the model says to each row; a request by keys without a timestamp asks for ``now``.

        Features are looked up in ``source``, by default in the bundle's own snapshot.

        Raises ``RequestError``.
        """
        if request.form == "columns":
            return Predicted(self._predicted(request.columns, request.rows))
        source = source or self.source
        if request.rows <= FEW:
            found = self._row_by_row(request, now, source)
            if found is not None:
                self._refuse_unaccepted(found[0])
                return Predicted(self._predicted(found[0], request.rows), *found)
        if request.rows <= FEW:
            request = replace(request, columns=arrays(self.schema, request))
        fields = dict(request.columns)
        timestamps = _timestamps(fields.pop(AS_OF, None), request.rows, now, source.since)
        store = _Watching(source.store, request.rows)
        made = as_inputs(vectors(self.plan, store, Requests(fields, timestamps)), self.features)
        self._refuse_unaccepted(made)
        return Predicted(self._predicted(made, request.rows), made, store.missed)

    def _refuse_unaccepted(self, columns: Mapping[str, Any]) -> None:
        """Raise ``RequestError`` for what was looked up and the model does not take."""
        for _, error in unaccepted(self._strict, columns):
            raise error

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

    def timestamps(self, request: Checked, now: datetime) -> NDArray[np.int64]:
        """Return the timestamp of each row of a request by keys; raises ``RequestError``."""
        return _timestamps(request.columns.get(AS_OF), request.rows, now)

    def _row_by_row(
        self, request: Checked, now: datetime, source: FeatureSource
    ) -> tuple[dict[str, Any], dict[str, list[int]]] | None:
        """Return the model's inputs of a few rows, None where only the batch path can predict."""
        if source.rows is None:
            return None
        fields = dict(request.columns)
        timestamps = _timestamps(fields.pop(AS_OF, None), request.rows, now, source.since).tolist()
        missed: dict[str, list[int]] = {}
        found = []
        for row, timestamp_of_row in enumerate(timestamps):
            lacking: list[str] = []
            vector = source.rows.vector({name: fields[name][row] for name in fields}, timestamp_of_row, lacking)
            if vector is None:
                return None
            found.append(vector)
            for table in lacking:
                missed.setdefault(table, []).append(row)
        return {
            feature.name: _input(feature, [vector[feature.name] for vector in found]) for feature in self.features
        }, missed

    def outputs(self, predictions: Predictions, wanted: Set[str] = frozenset()) -> list[dict[str, Any]]:
        """Return predictions as tensors, values row by row; of ``wanted`` names only, where there are any.

        Raises ``RequestError`` for a name that no output has.
        """
        found = self._outputs(predictions)
        unknown = wanted - {each["name"] for each in found}
        if unknown:
            name = min(unknown)[:60]
            raise RequestError(
                f"`{name}` is not an output of this model",
                why="the request asks for it",
                next=nearest(name, [each["name"] for each in found]),
            )
        return [each for each in found if not wanted or each["name"] in wanted]

    def _outputs(self, predictions: Predictions) -> list[dict[str, Any]]:
        rows, label = len(predictions), self.schema.label
        if label.kind == "regression":
            return [_tensor("prediction", "FP64", [rows, 1], predictions.tolist())]
        best = predictions.argmax(axis=1).tolist()
        classes = self.schema.classes
        if label.kind == "binary":
            whole = [int(class_) for class_ in classes]
            chosen = _tensor("label", "INT64", [rows, 1], [whole[each] for each in best])
            shown = _tensor("probability", "FP64", [rows, 1], predictions[:, classes.index("1")].tolist())
        else:
            chosen = _tensor("label", "BYTES", [rows, 1], [classes[each] for each in best])
            shown = _tensor("probability", "FP64", [rows, len(classes)], predictions.ravel().tolist())
        return [chosen, {**shown, "parameters": {"classes": self._classes}}]

    def _prove(self, folder: str, golden: Sequence[dict[str, Any]]) -> None:
        """Raise ``BundleError`` unless golden rows of both forms are predicted as in training.

        Those by keys are asked in both ways of looking features up, whatever their number.
        """
        for form in ("columns", "keys"):
            rows = [each for each in golden if each["form"] == form]
            if not rows:
                raise unusable(folder, f"it has no golden rows by {form}")
            self._prove_rows(folder, form, rows)
            if form == "keys":
                self._prove_rows(folder, form, rows[:FEW] if len(rows) > FEW else rows * (FEW // len(rows) + 1))

    def _prove_rows(self, folder: str, form: str, rows: Sequence[dict[str, Any]]) -> None:
        try:
            asked = checked(self.schema, tensors(self.schema, rows))
            found = self.predict(asked, datetime.now().astimezone()).predictions
        except LeverframeError as error:
            raise unusable(folder, f"a golden row by {form} is refused: {error.what}") from error
        except Exception as error:  # what a model raises of itself has no common class
            why = (str(error).splitlines() or [""])[0][:200]
            raise unusable(folder, f"the model fails with the golden rows by {form}: {why}") from error
        expected = np.array([each["prediction"] for each in rows], np.float64)
        if found.shape != expected.shape:
            raise unusable(folder, f"predictions for golden rows by {form} have another shape")
        apart = np.abs(found - expected).reshape(len(rows), -1).max(axis=1)
        within = apart <= limits(expected, self.manifest.tolerance, self.manifest.scale)
        if not bool(within.all()):
            row = int(np.argmax(~within))
            raise unusable(
                folder, f"the prediction for golden row {row} by {form} is {found[row].tolist()} instead of "
                f"{expected[row].tolist()}"
            )  # fmt: skip


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


def _input(feature: Feature, values: list[Any]) -> NDArray[Any]:
    """Return the values of a feature as a model takes them: texts with None, or doubles with NaN."""
    return np.array(values, object if feature.kind == "categorical" else np.float64)


def _tensor(name: str, datatype: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


class _Watching:
    """A store that remembers which of the asked rows have a key that it did not have."""

    def __init__(self, store: Store, rows: int) -> None:
        self._store, self._every = store, list(range(rows))
        self.missed: dict[str, list[int]] = {}

    def about(self) -> About:
        return self._store.about()

    def find(self, table: str, keys: Keys) -> Found:
        found = self._store.find(table, keys)
        lacking = np.flatnonzero(found.start == found.stop).tolist()
        if lacking:  # one key may stand for all rows
            self.missed[table] = lacking if len(found.start) == len(self._every) else self._every
        return found

    def close(self) -> None:
        self._store.close()


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


def _model(manifest: Manifest, files: dict[str, bytes], trusted: Collection[str]) -> ServedModel:
    if manifest.engine == "onnx":
        from leverframe.adapters.onnx.session import OnnxModel  # noqa: PLC0415 - a bundle needs one of the two

        return OnnxModel(files[names.ONNX])
    from leverframe.adapters.polars import PolarsTables  # noqa: PLC0415 - as above
    from leverframe.adapters.sklearn import TrainedModel  # noqa: PLC0415 - as above

    return TrainedModel(files[names.SKOPS], trusted, PolarsTables(Path()).frame)


def _timestamps(texts: Any, rows: int, now: datetime, since: int | None = None) -> NDArray[np.int64]:
    """Return the timestamp of each row; raises ``RequestError`` for none, and for one before ``since``."""
    if texts is None:
        return np.full(rows, microseconds_of(now), np.int64)
    found = []
    for row, text in enumerate(np.ma.asarray(texts).tolist()):
        try:
            found.append(microseconds_of(now) if text is None else _microseconds(text))
        except RequestError as error:
            raise wrong_timestamp(row, text, str(error.why), f"{_WRITE}; without the column it is now") from error
        if since is not None and found[-1] < since:
            why = f"the features keep what timestamps from {_written(since)} on can see"
            raise wrong_timestamp(row, text, why, "ask for a later one; without the column it is now")
    return np.array(found, np.int64)


@lru_cache(maxsize=1 << 14)  # a request is asked for its timestamps twice, and its rows often have the same
def _microseconds(text: str) -> int:
    """Return a timestamp written as RFC 3339 says, whose seconds may be left out; raises ``RequestError`` otherwise.

    Digits beyond microseconds are cut off. In the first year and the last one, another zone would have no date for it.
    """
    form = _RFC_3339.fullmatch(text)
    if form is None:
        raise RequestError("no timestamp", why="it is no timestamp of RFC 3339 with a time zone", next=_WRITE)
    if form[1] in ("0000", "0001", "9999"):
        raise RequestError("no timestamp", why="a timestamp is in the years 2 to 9998", next=_WRITE)
    return microseconds_of(timestamp(text.upper()))


def wrong_timestamp(row: int, text: object, why: str, next: str) -> RequestError:
    """Return the error for the timestamp of a row."""
    return RequestError(f"`{AS_OF}` in row {row} is {str(text)[:60]!r}", why=why, next=next)


def _written(timestamp: int) -> str:
    return (EPOCH + timedelta(microseconds=timestamp)).isoformat()
