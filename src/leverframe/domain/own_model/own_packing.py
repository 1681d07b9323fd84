"""How a model that was trained elsewhere becomes a bundle: its schema is inferred from rows that it predicts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.documents import plain
from leverframe.domain.features.training_set import Feature, Label, LabelKind
from leverframe.domain.model.bundle import bundle_manifest as names
from leverframe.domain.model.bundle.bundle_manifest import Engine, Manifest, sha256
from leverframe.domain.model.bundle.conversion import spread
from leverframe.domain.model.bundle.golden_rows import by_columns, refuse_unservable
from leverframe.domain.model.bundle.metadata import model_settings
from leverframe.domain.model.bundle.schema import Accepted, Field, Schema, narrowed
from leverframe.domain.model.table import Table, texts
from leverframe.domain.own_model.opened import TEXTS, ModelInfo, as_inputs, matched
from leverframe.domain.own_model.runtime_form import RuntimeForm
from leverframe.errors import BundleError, SourceError, nearest


@dataclass(frozen=True)
class OwnDescription:
    """The content of ``model.json``: the features in the order of the model, and the ``source`` format of its file.

    ``runtime`` is how the runtime is asked that opens the file, None where Leverframe does.
    """

    source: Engine
    features: tuple[Feature, ...]
    runtime: RuntimeForm | None = None


@dataclass(frozen=True)
class DeclaredModel:
    """What a person says of the model: its name, the kind and the column of its label, None where nothing is said."""

    model: str
    kind: LabelKind | None
    label: str | None
    golden_rows: int
    tolerance: float


@dataclass(frozen=True)
class Sample:
    """Rows of a table with what the model predicted: (rows,), or (rows, classes) of a multiclass label."""

    table: Table
    about: ModelInfo
    predictions: NDArray[np.float64]

    def features(self, label: str | None) -> tuple[Feature, ...]:
        """Return the features in the order of the model."""
        return features_of(self.table, matched(self.about, seen(self.table, label)))


@dataclass(frozen=True)
class Served:
    """The file that serves: ``conversion`` says what became of ONNX, ``versions`` are those of libraries."""

    engine: Engine
    data: bytes
    source: Engine
    conversion: str
    versions: Mapping[str, str]
    runtime: RuntimeForm | None = None


@dataclass(frozen=True)
class OwnBundle:
    """A bundle in memory: its manifest, its files by name, its schema, and what became of the conversion to ONNX."""

    manifest: Manifest
    files: Mapping[str, bytes]
    schema: Schema
    conversion: str
    golden: int

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "model": self.manifest.model,
            "engine": self.manifest.engine,
            "digest": self.manifest.digest,
            "golden_rows": self.golden,
            "bytes": sum(map(len, self.files.values())),
            "conversion": self.conversion,
            "schema": plain(self.schema, without_none=True),
        }

    def lines(self) -> list[str]:
        """Return it in a few lines for a terminal."""
        size, schema = sum(map(len, self.files.values())) / 1e6, self.schema
        needed, label = [field.name for field in schema.columns if not field.nullable], schema.label
        return [
            f"bundle {self.manifest.digest[:12]}  {len(self.files)} files, {size:.1f} MB",
            f"  `{self.manifest.model}` predicts `{label.name}` ({label.kind}) with "
            f"{self.manifest.runtime or self.manifest.engine}",
            f"  {self.conversion}",
            f"  {len(schema.columns)} columns"
            + (f", of which {', '.join(f'`{name}`' for name in needed[:8])} may not be missing" if needed else ""),
            f"  {self.golden} golden rows that every server must reproduce",
        ]


def seen(table: Table, label: str | None) -> list[str]:
    """Return the columns that a model may see: all but that of the label; raises ``SourceError`` where it is none."""
    if label is not None and label not in table.columns:
        raise SourceError(
            f"the sample has no column `{label}`", why="`--label` names it", next=nearest(label, table.columns)
        )
    return [name for name in table.columns if name != label]


def features_of(table: Table, inputs: Sequence[str]) -> tuple[Feature, ...]:
    """Return columns as features, of which the type of the column tells the kind."""
    return tuple(Feature(name, _kind(str(table.get_column(name).dtype))) for name in inputs)


def fields_of(features: Sequence[Feature], accepts: Mapping[str, Accepted]) -> tuple[Field, ...]:
    """Return the fields of a request: what the model takes of them and no more, without limits of the sample."""
    return tuple(narrowed(_field(feature), accepts.get(feature.name)) for feature in features)


def _kind(dtype: str) -> Any:
    return "categorical" if dtype.partition("(")[0] in TEXTS else "boolean" if dtype == "Boolean" else "numeric"


def by_class(predictions: NDArray[np.float64], kind: LabelKind) -> NDArray[np.float64]:
    """Return predictions as servers hold them: probabilities (rows, classes), of a regression numbers (rows,)."""
    if kind == "regression" or predictions.ndim == 2:
        return predictions
    return np.column_stack([1.0 - predictions, predictions])


def packed(sample: Sample, served: Served, wanted: DeclaredModel) -> OwnBundle:
    """Return the bundle of a model; raises ``BundleError`` for what no server could serve."""
    label, classes = labelled(sample, wanted)
    features = sample.features(wanted.label)
    schema = Schema(wanted.model, label, classes, fields_of(features, sample.about.accepts), ())
    golden = _golden(schema, sample, [feature.name for feature in features], wanted.golden_rows)
    refuse_unservable(schema, golden)
    files = {
        names.SCHEMA: _json(plain(schema, without_none=True)),
        names.DESCRIPTION: _json(plain(OwnDescription(served.source, features, served.runtime), without_none=True)),
        names.GOLDEN: "".join(json.dumps(row, allow_nan=False) + "\n" for row in golden).encode(),
        names.SETTINGS: _json(model_settings(schema, wanted.model, served.engine, dict(served.versions))),
    }
    engine = served.engine
    scale = spread(_numbers(sample, wanted.label)) if label.kind == "regression" else None
    path = served.runtime.path if served.runtime else None
    unnamed = Manifest(
        wanted.model, label.name, engine, wanted.tolerance, "", served.versions, {}, scale=scale, runtime=path
    )
    files[unnamed.model_file] = served.data
    manifest = replace(unnamed, files={name: sha256(data) for name, data in sorted(files.items())})
    written = {**files, names.MANIFEST: manifest.to_bytes()}
    return OwnBundle(manifest, written, schema, served.conversion, len(golden))


def labelled(sample: Sample, wanted: DeclaredModel) -> tuple[Label, tuple[str, ...]]:
    """Return the label and its classes; raises ``BundleError`` where neither the file nor a person tells the kind."""
    about, width = sample.about, sample.predictions.shape[1:]
    kind = wanted.kind or ("multiclass" if width else about.kind)
    name = wanted.label or "label"
    if kind is None:
        raise BundleError(
            "it is not known what the model predicts",
            why="its file does not tell whether a value is a probability or a number",
            next="say so: `--kind binary`, or `--kind regression`",
        )
    shares = bool(((sample.predictions >= 0) & (sample.predictions <= 1)).all())
    if (kind == "multiclass") != bool(width) or (kind == "binary" and not shares):
        values = f"{width[0]} values" if width else "one value"
        raise BundleError(
            f"the model does not predict a {kind} label",
            why=f"it gives {values} a row{'' if shares else ', and not every one is a probability'}",
            next="leave `--kind` out, or name the kind that it was trained for",
        )
    if kind != "multiclass":
        return Label(name, kind), ("0", "1") if kind == "binary" else ()
    return Label(name, kind), _classes(sample, wanted.label, width[0])


def _classes(sample: Sample, label: str | None, count: int) -> tuple[str, ...]:
    """Return the classes of the file; where it has numbers alone, those of texts in the label, which are sorted."""
    known = sample.about.classes or tuple(map(str, range(count)))
    if label is not None and known == tuple(map(str, range(count))):
        column = sample.table.get_column(label)
        if str(column.dtype).partition("(")[0] in TEXTS:
            classes = tuple(sorted({str(text) for text in texts(column).tolist()}))
            return classes if len(classes) == count else known
    return known


def _field(feature: Feature) -> Field:
    kinds: Mapping[str, Any] = {"categorical": "text", "boolean": "boolean"}
    return Field(feature.name, kinds.get(feature.kind, "number"))


def _golden(schema: Schema, sample: Sample, inputs: Sequence[str], count: int) -> list[dict[str, Any]]:
    rows = sample.table.height
    chosen = np.unique(np.linspace(0, rows - 1, min(rows, count)).astype(np.int64))
    columns = {name: values[chosen] for name, values in as_inputs(sample.table, inputs).items()}
    predictions = by_class(sample.predictions[chosen], schema.label.kind)
    return by_columns(schema, lambda _: predictions, columns, len(chosen))


def _numbers(sample: Sample, label: str | None) -> NDArray[np.float64]:
    """Return the labels of a regression, without them its predictions: what tells how far apart numbers lie."""
    column = sample.table.get_column(label) if label is not None else None
    if column is None or not column.dtype.is_numeric():
        return sample.predictions
    return np.asarray(column.cast(float).to_numpy(), np.float64)


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
