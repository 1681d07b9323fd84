"""Where a pipeline of one's own has what: looked for among its outputs, for a first ``leverframe.yaml``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from leverframe.application.own_revision import OwnRevision, own_revision
from leverframe.application.role_files import columns_in
from leverframe.application.workspace import Workspace
from leverframe.domain.pipeline.own_draft import Figure, SeenModel, SeenTable, draft
from leverframe.domain.pipeline.status.reasons import PipelineStatus
from leverframe.domain.review.gate.figures import direction_of, named
from leverframe.errors import LeverframeError
from leverframe.settings import LEVERS
from leverframe.settings.levers import levers_of
from leverframe.settings.pipeline import PipelineSettings

_TABLES = {".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".npz", ".npy"}
_MODELS = {".onnx": "onnx", ".skops": "skops", ".ubj": "xgboost", ".cbm": "catboost"}
_PICKLES = {".pkl", ".pickle", ".joblib", ".pt", ".pth"}
_BEGINNINGS = ((b"tree\n", "lightgbm"), (b'{"learner"', "xgboost"))
_MOST_FILES = 40  # that are looked into


def drafted(workspace: Workspace) -> str:
    """Return a first ``leverframe.yaml``; empty where there is no pipeline, or one that cannot be read."""
    here = own_revision(workspace, lambda _: None, PipelineSettings())
    try:
        status = here.status
    except LeverframeError:
        return ""
    files = list(_outputs(workspace.root, status))[:_MOST_FILES]
    text = draft(
        here.metric_files(), list(_tables(workspace.root, files)), list(_models(workspace.root, files)), _figures(here)
    )
    levers_of(text, name=str(LEVERS))  # never a file that the next command refuses
    return text


def _outputs(root: Path, status: PipelineStatus) -> Iterator[str]:
    """Yield the files that stages write and that are here, those of the last stages first."""
    for stage in reversed(status.stages):
        for output in stage.stage.outputs if not stage.stage.is_source else ():
            place = root / output.path
            if output.kind == "output":
                yield from _files(root, place)


def _files(root: Path, place: Path) -> Iterator[str]:
    if place.is_file() or (place / "MLmodel").is_file():
        yield place.relative_to(root).as_posix()
    elif place.is_dir():
        for inside in sorted(place.iterdir())[:_MOST_FILES]:
            yield from _files(root, inside)


def _tables(root: Path, files: list[str]) -> Iterator[SeenTable]:
    for path in files:
        if Path(path).suffix.lower() in _TABLES:
            with suppress(LeverframeError):  # what cannot be read is no table of predictions
                yield SeenTable(path, columns_in(root, path))


def _models(root: Path, files: list[str]) -> Iterator[SeenModel]:
    for path in files:
        form = _form(root / path)
        if form:
            yield SeenModel(path, form)


def _form(place: Path) -> str:
    if place.is_dir():
        return "mlflow"
    ending = place.suffix.lower()
    if ending in _MODELS or ending in _PICKLES:
        return _MODELS.get(ending, "pickle")
    with place.open("rb") as handle:
        beginning = handle.read(64)
    return next((form for start, form in _BEGINNINGS if beginning.startswith(start)), "")


def _figures(here: OwnRevision) -> list[Figure]:
    try:
        metrics = named(here.metrics())
    except LeverframeError:
        return []
    return [Figure(name, value, direction_of(name)) for name, value in metrics.items()]
