"""The steps of packing a bundle: convert, compare, choose the engine, add everything else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from leverframe.documents import plain
from leverframe.domain import layout
from leverframe.domain.features.plan import Plan
from leverframe.domain.features.request import required
from leverframe.domain.features.snapshot.store import Store
from leverframe.domain.features.training_set import LABEL, Feature
from leverframe.domain.model.artefacts import Artefacts, read_as
from leverframe.domain.model.bundle import bundle_manifest as names
from leverframe.domain.model.bundle.acceptance import accepted, room
from leverframe.domain.model.bundle.bundle_manifest import Manifest, sha256
from leverframe.domain.model.bundle.conversion import Conversion, compared, hard_rows, spread
from leverframe.domain.model.bundle.golden_rows import by_columns, by_keys, refuse_unservable
from leverframe.domain.model.bundle.metadata import model_settings
from leverframe.domain.model.bundle.schema import AS_OF, Field, FieldKind, Schema, derived
from leverframe.domain.model.evaluate.evaluation import Predictor
from leverframe.domain.model.table import Table, Tables, column, model_inputs
from leverframe.domain.model.train import ModelDescription
from leverframe.errors import BundleError
from leverframe.settings.params import BundleSettings

_KINDS: Mapping[str, FieldKind] = {"text": "text", "boolean": "boolean", "date": "text"}


class Converter(Protocol):
    """Converts a fitted model to ONNX, and predicts with the result."""

    def convert(
        self, model: bytes, features: Sequence[Feature], columns: Mapping[str, NDArray[Any]]
    ) -> tuple[bytes, NDArray[np.float64]]:
        """Return the model of a skops file in ONNX, and its (rows, classes) probabilities or (rows,) numbers.

        Raises ``BundleError`` where it cannot be converted, or not within the limits of time and memory.
        """

    def versions(self) -> dict[str, str]:
        """Return the versions of the converter and of the runtime."""


class Frames(Tables, Protocol):
    """Makes tables of columns, and gives columns as arrays."""

    def masked(self, path: Path, columns: Sequence[str]) -> dict[str, Any]:
        """Return columns of a file as arrays, nulls masked."""

    def frame(self, columns: Mapping[str, Any]) -> Table:
        """Return a table of columns of equal length."""


@dataclass(frozen=True)
class Packed:
    """What the case declares and the pipeline made, apart from the model.

    ``store`` is the snapshot, ``star`` the bytes of star.yaml, ``profile`` the statistics of the
    training rows, ``constraints`` what the contract of the spine says of its columns.
    """

    plan: Plan
    store: Store
    star: bytes
    constraints: Mapping[str, Field]
    profile: Mapping[str, Any]


@dataclass(frozen=True)
class Bundle:
    """A bundle in memory: its manifest, its files by name, and the result of the conversion."""

    manifest: Manifest
    files: Mapping[str, bytes]
    conversion: Conversion
    golden: int

    def to_json(self) -> dict[str, Any]:
        """Return the summary for git; the lock has the digests."""
        return {
            "model": self.manifest.model,
            "engine": self.manifest.engine,
            "golden_rows": self.golden,
            "bytes": sum(map(len, self.files.values())),
            "conversion": plain(self.conversion, without_none=True),
        }

    def lines(self) -> list[str]:
        """Return it in a few lines for a terminal."""
        size = sum(map(len, self.files.values())) / 1e6
        return [
            f"{layout.BUNDLE}  {self.manifest.digest[:12]}  {len(self.files)} files, {size:.1f} MB",
            f"  `{self.manifest.model}` predicts `{self.manifest.label}` with {self.manifest.engine}",
            f"  {self.conversion.line()}",
            f"  {self.golden} golden rows that every server must reproduce",
        ]


def run(
    tables: Frames, artefacts: Artefacts, predictor: Predictor, converter: Converter, packed: Packed,
    settings: BundleSettings,
) -> Bundle:  # fmt: skip
    """Return the bundle of the trained model.

    Raises ``BundleError`` for a snapshot of another definition than the model's, and what reading
    and predicting raise.
    """
    store = packed.store
    model = read_as(ModelDescription, layout.MODEL_DESCRIPTION, artefacts)
    _refuse_apart(model.spec, store.about().spec, packed.plan.spec)
    data = artefacts.read_bytes(layout.MODEL)
    trained = _Trained(predictor, predictor.load(data), model, tables)
    columns = trained.inputs(layout.HOLDOUT)
    fields = tables.masked(layout.HOLDOUT, [*required(packed.plan), AS_OF])
    kinds = store.about().attributes.get("fields", {})
    keys = [_key(name, kinds.get(name, "text"), values) for name, values in fields.items() if name != AS_OF]
    with predictor.threads(1):
        takes = accepted(trained.predict, columns, model.features, trained.learnt)
        learnt = (model.label, model.classes)
        schema = derived(settings.model, learnt, model.features, packed.constraints, keys, takes)
        golden = by_columns(schema, trained.predict, columns, settings.golden_rows)
        looked_in = (packed.plan, store, model.features)
        golden += by_keys(schema, trained.predict, fields, looked_in, max(1, settings.golden_rows // 4))
        refuse_unservable(schema, golden)
        onnx, conversion = _converted(trained, converter, (data, columns, schema), settings.tolerance)
    versions = {**model.versions, **converter.versions()}
    files = {
        names.SCHEMA: _json(plain(schema, without_none=True)),
        names.SKOPS: data,
        names.DESCRIPTION: artefacts.read_bytes(layout.MODEL_DESCRIPTION),
        names.STAR: packed.star,
        names.SNAPSHOT: artefacts.read_bytes(layout.SNAPSHOT),
        names.GOLDEN: "".join(json.dumps(record, allow_nan=False) + "\n" for record in golden).encode(),
        names.PROFILE: _json(packed.profile),
        names.CARD: artefacts.read_bytes(layout.MODEL_CARD),
        names.SETTINGS: _json(model_settings(schema, settings.model, conversion.engine, versions)),
        **({names.ONNX: onnx} if onnx is not None else {}),
    }
    digests = {name: sha256(file) for name, file in sorted(files.items())}
    manifest = Manifest(
        settings.model, model.label.name, conversion.engine, settings.tolerance, model.spec, versions, digests,
        scale=conversion.scale,
    )  # fmt: skip
    return Bundle(manifest, {**files, names.MANIFEST: manifest.to_bytes()}, conversion, len(golden))


def _refuse_apart(model: str, snapshot: str, star: str) -> None:
    """Raise ``BundleError`` unless all three are of one definition of features, by its hash."""
    if not model == snapshot == star:
        raise BundleError(
            "model, snapshot and star.yaml do not match",
            why=f"the model was trained on {model[:16]}, the snapshot is of {snapshot[:16]}, star.yaml is {star[:16]}",
            next="`dvc repro bundle` makes what is behind again",
        )


@dataclass(frozen=True)
class _Trained:
    """The trained model, which every other form of it must match."""

    predictor: Predictor
    model: Any
    description: ModelDescription
    tables: Frames

    def inputs(self, path: Path) -> dict[str, NDArray[Any]]:
        """Return the features in a file as the model takes them."""
        features = self.description.features
        table = model_inputs(self.tables.read(path), features, file=path)
        return {feature.name: table.get_column(feature.name).to_numpy() for feature in features}

    def learnt(self) -> dict[str, NDArray[Any]]:
        """Return the features of the training rows."""
        return self.inputs(layout.TRAIN)

    def scale(self) -> float | None:
        """Return how far the labels of a regression lie apart in the hold-out; None for probabilities."""
        if self.description.label.kind != "regression":
            return None
        labels = column(self.tables.read(layout.HOLDOUT), LABEL, file=layout.HOLDOUT)
        return spread(labels.cast(float).to_numpy())

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return probabilities or numbers; raises ``EstimatorError`` for what the model does not take."""
        features = self.description.features
        inputs = model_inputs(self.tables.frame(columns), features, file=Path("request"))
        if self.description.label.kind == "regression":
            return self.predictor.predictions(self.model, inputs)
        return self.predictor.probabilities(self.model, inputs)


def _converted(
    trained: _Trained, converter: Converter, of: tuple[bytes, Mapping[str, NDArray[Any]], Schema], tolerance: float
) -> tuple[bytes | None, Conversion]:
    """Return the model in ONNX, None where it may not be used, and why; asked are only rows that the schema allows."""
    features, kind = trained.description.features, trained.description.label.kind
    data, columns, schema = of
    scale = trained.scale()
    hard = hard_rows(columns, schema.columns)
    asked = {name: np.concatenate([columns[name], hard[name]]) for name in hard}
    rows = len(next(iter(asked.values()))) if asked else 0
    try:
        onnx, predictions = converter.convert(data, features, asked)
        comparison = compared(kind, trained.predict(asked), predictions, tolerance, scale or 1.0)
    except BundleError as error:
        flips = None if kind == "regression" else 0
        return None, Conversion("skops", rows, None, flips, tolerance, f"{error.what}: {error.why}", scale)
    return (onnx if comparison.engine == "onnx" else None), comparison


def _key(name: str, kind: str, values: Any) -> Field:
    """Return the field of a key: whole numbers of 64 bits are no doubles, and long texts have room."""
    if kind in _KINDS:
        return Field(name, _KINDS[kind], longest=room(values) if _KINDS[kind] == "text" else None)
    exact = {"i": "INT64", "u": "UINT64"}.get(np.ma.getdata(values).dtype.kind)
    return Field(name, "number", datatype=exact)


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
