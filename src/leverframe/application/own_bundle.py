"""Pack a model that was trained elsewhere: schema and golden rows come from a sample of the rows that it predicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from leverframe.application.bundles import model_name
from leverframe.application.role_files import read_rows
from leverframe.application.runtime_bundle import Runtime, by_runtime
from leverframe.application.workspace import Workspace
from leverframe.documents import validated
from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.table import Table
from leverframe.domain.own_model.opened import NativeFormat, itself
from leverframe.domain.own_model.own_packing import DeclaredModel, OwnBundle, Sample, Served, packed, seen
from leverframe.errors import BundleError, SourceError
from leverframe.files import write_folder
from leverframe.package import check_extras
from leverframe.serving.formats import model_in
from leverframe.serving.model_process import ModelTask, OpenedModel
from leverframe.serving.own_bundle import OwnBundle as OpenOwnBundle
from leverframe.settings import LEVERS
from leverframe.settings.params import BundleSettings
from leverframe.settings.pipeline import ModelFormat

_LIBRARIES: dict[NativeFormat, tuple[str, ...]] = {
    "onnx": ("onnxruntime",), "skops": ("scikit-learn", "skops"), "xgboost": ("xgboost-cpu", "xgboost"),
    "lightgbm": ("lightgbm",), "catboost": ("catboost",),
}  # fmt: skip
_TREES = ("xgboost", "lightgbm", "catboost")  # which may be served as ONNX


@dataclass(frozen=True)
class OwnBundleOptions:
    """The model in a file or a folder of MLflow, rows that it predicts, and what a person says of it.

    ``name`` is that under which it is served, by default as the settings say; ``out`` is the folder of the bundle.
    ``runtime`` opens the model and gets ``columns``, and ``output`` is which of its outputs has the predictions.
    """

    model: Path
    sample: Path
    out: Path
    format: ModelFormat | None = None
    kind: LabelKind | None = None
    label: str | None = None
    name: str | None = None
    runtime: str | None = None
    output: str | None = None
    columns: tuple[str, ...] = ()
    dry_run: bool = False


def own_bundle(workspace: Workspace, asked: OwnBundleOptions, tell: Callable[[str], None]) -> OwnBundle:
    """Pack a model, open the bundle as a server does, and write its folder unless it is only tried.

    Raises ``EstimatorError`` for a model that cannot be opened, ``SourceError`` for rows that cannot be read,
    ``BundleError`` for what no server could serve.
    """
    check_extras(("serving",), "a bundle")
    table = read_rows(Path(), str(asked.sample))
    if not table.height:
        raise SourceError(f"{asked.sample} has no row", why="the schema is inferred from rows", next="name other rows")
    named = {"model": asked.name or model_name(workspace)}
    settings = validated(BundleSettings, named, name="the name of the model")
    wanted = DeclaredModel(settings.model, asked.kind, asked.label, settings.golden_rows, settings.tolerance)
    if asked.runtime is None:
        made = packed(*_by_library(asked, table, wanted, tell), wanted)
    else:
        how = Runtime(asked.runtime, asked.output, asked.columns)
        made = packed(*by_runtime(how, asked.model, table, wanted, tell), wanted)
        if asked.runtime not in workspace.levers.serve.runtimes:
            tell(f"no server loads it until `serve.runtimes` in {LEVERS} names `{asked.runtime}`")
    if not asked.dry_run:
        write_folder(asked.out, made.files, *([_refuse_unservable] if asked.runtime is None else []))
    return made


def _by_library(
    asked: OwnBundleOptions, table: Table, wanted: DeclaredModel, tell: Callable[[str], None]
) -> tuple[Sample, Served]:
    """Return rows that the library of a model predicts, and the file that serves: that of the model, or its ONNX."""
    source, data = model_in(asked.model, asked.format)
    tell(f"predicting {table.height:,} rows of {asked.sample} with {asked.model} ({source})")
    model, columns = OpenedModel(ModelTask("", source), data), seen(table, asked.label)
    sample = Sample(table, *model.asked(table, columns))
    onnx, why = _converted(source, model, sample, wanted)
    engine: NativeFormat = source if onnx is None else "onnx"
    versions = {name: number for form in {source, engine} for name, number in _versions(form).items()}
    return sample, Served(engine, data if onnx is None else onnx, source, why, versions)


def _converted(
    source: NativeFormat, model: OpenedModel, sample: Sample, wanted: DeclaredModel
) -> tuple[bytes | None, str]:
    """Return trees in ONNX, None where these do not predict alike, and in words why, or how close they are."""
    categories = [feature.name for feature in sample.features(wanted.label) if feature.kind == "categorical"]
    if source not in _TREES:
        return None, itself(source)
    if categories:
        return None, itself(source, f"`{categories[0]}` is a category, which trees of ONNX do not know")
    return model.converted(sample.table, seen(sample.table, wanted.label), wanted.tolerance)


def _refuse_unservable(folder: Path) -> None:
    try:
        OpenOwnBundle(folder, tried=True)
    except BundleError as error:
        raise BundleError(
            "no server could serve the packed model",
            why=error.why,
            next="let the model predict alike each time, from the columns of the sample alone",
        ) from error


def _versions(source: NativeFormat) -> dict[str, str]:
    versions = {}
    for library in _LIBRARIES[source]:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:  # XGBoost has two packages
            continue
    return versions
