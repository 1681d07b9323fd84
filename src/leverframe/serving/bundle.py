"""A bundle of a case that is open for requests: it looks features up, and is proven before the first one."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.adapters.snapshot_file import SnapshotFile
from leverframe.bounded import bounded_yaml, json_of
from leverframe.documents import parse, validated
from leverframe.domain.features.online import EPOCH, microseconds_of
from leverframe.domain.features.plan import compile_star
from leverframe.domain.features.request import Requests, timestamp
from leverframe.domain.features.snapshot.store import Keys, Matches, SnapshotInfo, Store
from leverframe.domain.features.star import Star
from leverframe.domain.features.training_set import Feature
from leverframe.domain.features.vector import as_inputs, vectors
from leverframe.domain.model.bundle import bundle_manifest as names
from leverframe.domain.model.bundle.bundle_manifest import Manifest, unusable
from leverframe.domain.model.bundle.input_check import FEW, Checked, arrays, strict_features, unaccepted
from leverframe.domain.model.bundle.schema import AS_OF
from leverframe.errors import RequestError
from leverframe.serving.feature_source import FeatureSource
from leverframe.serving.row import RowByRow
from leverframe.serving.served import Predicted, ServedBundle, ServedModel, invalid, verified

_RFC_3339 = re.compile(
    r"([0-9]{4})-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_WRITE = "write it as 2014-01-01T13:00Z"


class OpenBundle(ServedBundle):
    """The bundle in ``folder``; with ``digest``, only the one of that name. ``trusted`` are own types of its model.

    Raises ``BundleError`` for a file that is missing, damaged or of another bundle, for a
    definition that this version compiles to other features, and for golden rows that are predicted
    otherwise than in training.
    """

    def __init__(self, folder: Path, digest: str | None = None, trusted: Collection[str] = ()) -> None:
        manifest, files = verified(folder, digest)
        super().__init__(folder, manifest, files)
        try:
            description = json_of(files[names.DESCRIPTION])
            self.features = tuple(Feature(**feature) for feature in description["features"])
            text = bounded_yaml(files[names.STAR].decode())
        except (ValueError, KeyError, TypeError) as error:
            raise invalid(folder, error) from error
        star = validated(Star, parse(text, name=names.STAR, what="star schema"), name=names.STAR)
        self.plan = compile_star(star)
        if self.plan.spec != self.manifest.spec:
            raise unusable(str(folder), f"this version compiles its {names.STAR} to {self.plan.spec[:16]}, "
                                        f"the model was trained on {self.manifest.spec[:16]}")  # fmt: skip
        store = SnapshotFile(folder / names.SNAPSHOT, spec=self.plan.spec)
        self.spec = self.plan.spec
        self.source = FeatureSource(store, RowByRow(self.plan, store))
        self._model = _model(self.manifest, files, trusted)
        self._strict = strict_features(self.schema)  # features of which the model does not take every value
        self._prove("columns")
        rows = self._prove("keys")  # in both ways of looking features up, whatever their number
        self._prove_rows("keys", rows[:FEW] if len(rows) > FEW else rows * (FEW // len(rows) + 1))

    def predict(self, request: Checked, now: datetime, source: FeatureSource | None = None) -> Predicted:
        """Return what the model says to each row; a request by keys without a timestamp asks for ``now``.

        Features are looked up in ``source``, by default in the bundle's own snapshot.

        Raises ``RequestError``.
        """
        if request.form == "columns":
            return Predicted(self._predicted(request.columns, request.rows))
        source = source or self.source
        if request.rows <= FEW:
            lookup = self._row_by_row(request, now, source)
            if lookup is not None:
                self._refuse_unaccepted(lookup[0])
                return Predicted(self._predicted(lookup[0], request.rows), *lookup)
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
        vectors = []
        for row, timestamp_of_row in enumerate(timestamps):
            lacking: list[str] = []
            vector = source.rows.vector({name: fields[name][row] for name in fields}, timestamp_of_row, lacking)
            if vector is None:
                return None
            vectors.append(vector)
            for table in lacking:
                missed.setdefault(table, []).append(row)
        return {
            feature.name: _input(feature, [vector[feature.name] for vector in vectors]) for feature in self.features
        }, missed


def _input(feature: Feature, values: list[Any]) -> NDArray[Any]:
    """Return the values of a feature as a model takes them: texts with None, or doubles with NaN."""
    return np.array(values, object if feature.kind == "categorical" else np.float64)


class _Watching:
    """A store that remembers which of the asked rows have a key that it did not have."""

    def __init__(self, store: Store, rows: int) -> None:
        self._store, self._every = store, list(range(rows))
        self.missed: dict[str, list[int]] = {}

    def about(self) -> SnapshotInfo:
        return self._store.about()

    def find(self, table: str, keys: Keys) -> Matches:
        positions = self._store.find(table, keys)
        lacking = np.flatnonzero(positions.start == positions.stop).tolist()
        if lacking:  # one key may stand for all rows
            self.missed[table] = lacking if len(positions.start) == len(self._every) else self._every
        return positions

    def close(self) -> None:
        self._store.close()


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
    timestamps = []
    for row, text in enumerate(np.ma.asarray(texts).tolist()):
        try:
            timestamps.append(microseconds_of(now) if text is None else _microseconds(text))
        except RequestError as error:
            raise wrong_timestamp(row, text, str(error.why), f"{_WRITE}; without the column it is now") from error
        if since is not None and timestamps[-1] < since:
            why = f"the features keep what timestamps from {_written(since)} on can see"
            raise wrong_timestamp(row, text, why, "ask for a later one; without the column it is now")
    return np.array(timestamps, np.int64)


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
