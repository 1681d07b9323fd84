"""The reference that live traffic is compared with: read from earlier results, or made of the rows of the hold-out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leverframe.adapters.pandera.fields import fields
from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.sklearn import SklearnModels
from leverframe.application.as_locked import note
from leverframe.application.pipeline import PipelineRun
from leverframe.application.role_files import read_rows
from leverframe.application.workspace import Workspace
from leverframe.documents import loaded, parsed
from leverframe.domain import layout
from leverframe.domain.features.reserved import PROBABILITY
from leverframe.domain.features.training_set import AS_OF, LABEL, Label
from leverframe.domain.model.bundle.schema import Field
from leverframe.domain.model.evaluate.holdout import positive_column
from leverframe.domain.model.table import Table, model_inputs
from leverframe.domain.model.train import ModelDescription
from leverframe.domain.monitoring.batch import Floats, LabelledRows
from leverframe.domain.monitoring.engine import Engine
from leverframe.domain.monitoring.importance import importances
from leverframe.domain.monitoring.reference import VERSION, Reference, made
from leverframe.domain.monitoring.reference_rows import ReferenceTable, labelled, reference_batch
from leverframe.domain.monitoring.subject import Subject, as_text_where_all_differ, features_of, monitored_columns
from leverframe.domain.monitoring.weekly import Weeks
from leverframe.errors import LeverframeError, SourceError
from leverframe.files import md5
from leverframe.settings.pipeline import PredictionsRole

Tell = Callable[[str], None]
_OF_CASE = (layout.MODEL_DESCRIPTION, layout.METRICS, layout.TRAINING_SET)


@dataclass(frozen=True)
class _Rows:
    subject: Subject
    table: ReferenceTable
    importances: Callable[[Table, Floats], dict[str, float]]


def reference(workspace: Workspace, engine: Engine, earlier: str, tell: Tell) -> Reference:
    """Return the reference; ``earlier`` is the text of one that a run left, used if it is of the same model and rows.

    Rows that are not here are pulled. Raises ``SourceError`` where that fails.
    """
    wanted = made_of(workspace)
    try:
        known = parsed(Reference, earlier)
    except ValueError:
        known = None
    if known is not None and known.version == VERSION and known.made_of == wanted and known.consistent:
        return known
    tell("the reference is made of the rows that the model did not learn from")
    rows = _rows(workspace, tell)
    batch = reference_batch(rows.table, rows.subject.columns, rows.subject.label)
    labels = labelled(rows.table, batch.at, rows.subject.label)
    subject = rows.subject
    if labels is not None:
        subject = subject.rated(_importances(rows, labels, tell))
    return made(subject, batch, labels, workspace.levers.monitor, engine, wanted)


def reference_weeks(workspace: Workspace, known: Reference, tell: Tell) -> Weeks:
    """Return rows of the reference by week, read again: none is stored."""
    rows, weeks = _rows(workspace, tell), Weeks.of(known, workspace.levers.monitor)
    weeks.add(reference_batch(rows.table, known.columns, known.label))
    return weeks


def _rows(workspace: Workspace, tell: Tell) -> _Rows:
    role = workspace.levers.pipeline.predictions
    return _of_case(workspace, tell) if role is None else _of_role(workspace, role)


def made_of(workspace: Workspace) -> str:
    """Return the digest of everything that the reference is made of, without reading its rows where DVC has them."""
    settings, role = workspace.levers.monitor, workspace.levers.pipeline.predictions
    chosen = settings.model_dump(
        mode="json", include={"reference", "window", "match", "minimum_rows", "features", "performance"}
    )
    chosen["deny"] = workspace.levers.serve.log.deny
    digest = hashlib.sha256(json.dumps([VERSION, chosen], sort_keys=True).encode())
    if role is None:
        paths = [workspace.root / path for path in _OF_CASE]
    else:
        paths = sorted(workspace.root.glob(role.path))
        digest.update(role.model_dump_json().encode())
    for path in paths:
        digest.update(md5(path).encode() if path.is_file() else b"")
    return digest.hexdigest()


def _of_case(workspace: Workspace, tell: Tell) -> _Rows:
    root = workspace.root
    path = root / layout.MODEL_DESCRIPTION
    if not path.is_file():
        raise SourceError(
            f"there is no {path}",
            why="the monitor compares traffic with what the model was evaluated on, and none was trained here",
            next="`dvc repro` trains it; a repository with a pipeline of its own names its rows as "
            "`pipeline.predictions` in leverframe.yaml",
        )
    model = loaded(ModelDescription, path.read_bytes(), name=str(path))
    _pull(workspace, (layout.HOLDOUT, layout.PREDICTIONS, layout.MODEL), tell)
    layout.require(
        (layout.HOLDOUT, layout.PREDICTIONS),
        lambda wanted: (root / wanted).exists(),
        why="the monitor compares with it",
    )
    if other := note(root, layout.HOLDOUT, layout.PREDICTIONS, layout.MODEL):
        tell(other)
    table = _beside(PolarsTables(root).read(layout.HOLDOUT), PolarsTables(root).read(layout.PREDICTIONS))
    columns = monitored_columns(model.features, _constraints(workspace), workspace.levers.monitor.features)
    columns = as_text_where_all_differ(columns, table, workspace.levers.monitor.features)
    denied = workspace.levers.serve.log.deny  # what no log holds would look as if it had vanished
    columns = tuple(column for column in columns if column.name not in denied)
    subject = Subject(
        workspace.params.bundle.model, model.label, model.classes, columns, workspace.params.data.timezone
    )
    prediction = {"binary": "score", "multiclass": PROBABILITY}.get(model.label.kind, "prediction")
    rows = ReferenceTable(table, AS_OF, prediction, LABEL, model.classes, str(layout.HOLDOUT))
    return _Rows(subject, rows, lambda rows, labels: _rated(workspace, model, rows, labels))


def _beside(table: Table, predictions: Table) -> Table:
    """Return the rows with their predictions; both files have the same rows in the same order."""
    new = [predictions.get_column(name) for name in predictions.columns if name not in table.columns]
    frame: Any = table
    joined: Table = frame.with_columns(new)
    return joined


def rows_of_role(root: Path, role: PredictionsRole) -> ReferenceTable:
    """Return the rows that a pipeline of one's own predicted in a folder."""
    table = read_rows(root, role.path)
    classes = tuple(role.classes) or (("0", "1") if role.kind == "binary" else ())
    return ReferenceTable(table, role.time, role.score, role.label or "", classes, role.path)


def label_of_role(role: PredictionsRole) -> Label:
    """Return the label of a pipeline of one's own."""
    return Label(role.label or "label", role.kind)


def _of_role(workspace: Workspace, role: PredictionsRole) -> _Rows:
    if not any(workspace.root.glob(role.path)):
        raise SourceError(
            f"there is no {role.path}",
            why="`pipeline.predictions.path` in leverframe.yaml names what live traffic is compared with",
            next="`dvc pull` or `dvc repro` brings an output of DVC; else correct the path",
        )
    rows = rows_of_role(workspace.root, role)
    table, label, classes = rows.table, label_of_role(role), rows.classes
    columns = monitored_columns(features_of(table, role, role.path), {}, workspace.levers.monitor.features)
    columns = as_text_where_all_differ(columns, table, workspace.levers.monitor.features)
    return _Rows(Subject(role.model, label, classes, columns, role.timezone), rows, lambda *_: {})


def _constraints(workspace: Workspace) -> dict[str, Field]:
    contract = workspace.declared("contracts", "CONTRACTS").get(workspace.plan.spine)
    return fields(contract.schema) if contract else {}


def _pull(workspace: Workspace, paths: tuple[Path, ...], tell: Tell) -> None:
    lacking = [path.as_posix() for path in paths if not (workspace.root / path).exists()]
    if lacking:
        tell(f"pulling {', '.join(lacking)}")
        PipelineRun.of(workspace, workspace.root, tell).data("pull", *lacking)


def _importances(rows: _Rows, labels: LabelledRows, tell: Tell) -> dict[str, float]:
    try:
        return rows.importances(rows.table.table, labels.labels)
    except LeverframeError as error:  # a model that cannot be opened here is no reason to look away
        tell(f"the importance of columns is not known: {error.what}")
        return {}


def _rated(workspace: Workspace, model: ModelDescription, table: Table, labels: Floats) -> dict[str, float]:
    """Return the importance of each feature of the model of a case."""
    models, path = SklearnModels(workspace.root, workspace.params.train.trusted_types), workspace.root / layout.MODEL
    if not path.is_file() or len(labels) != table.height:
        return {}
    opened = models.load(path.read_bytes())

    def predict(rows: Table) -> Floats:
        inputs = model_inputs(rows, model.features, file=layout.HOLDOUT)
        if model.label.kind == "regression":
            return models.predictions(opened, inputs)
        scores = models.probabilities(opened, inputs)
        return scores if model.label.kind == "multiclass" else scores[:, positive_column(model.classes, model.label)]

    with models.threads(1):
        return importances(model.label.kind, table, labels, predict, [feature.name for feature in model.features])
