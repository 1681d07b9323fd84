"""Evaluate the stored model on the hold-out; write metrics, plots, pictures, predictions and the model card."""

from __future__ import annotations

from leverframe.adapters.disk import Disk
from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.pygal import draw
from leverframe.adapters.sklearn import SklearnModels
from leverframe.application.workspace import Workspace
from leverframe.domain.model.evaluate.evaluation import Evaluation, run


def evaluate(workspace: Workspace) -> Evaluation:
    """Return every figure of the stored model on the hold-out, written down."""
    root, settings = workspace.root, workspace.params
    tables, models = PolarsTables(root), SklearnModels(root, workspace.params.train.trusted_types)
    return run(tables, Disk(root), models, draw, settings.evaluate, settings.data.timezone)
