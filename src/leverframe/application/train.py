"""Fit the estimator to the training rows; write the model and its description."""

from __future__ import annotations

import importlib

from leverframe.adapters.disk import Disk
from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.sklearn import SklearnModels
from leverframe.application.engines import TRAINERS
from leverframe.application.workspace import Workspace
from leverframe.domain.model.train import ModelDescription, run


def train(workspace: Workspace) -> ModelDescription:
    """Return the description of the model that was fitted and stored."""
    root, settings = workspace.root, workspace.params.train
    if settings.engine in TRAINERS:
        made: ModelDescription = importlib.import_module(TRAINERS[settings.engine]).train(workspace)
        return made
    return run(PolarsTables(root), Disk(root), SklearnModels(root, settings.trusted_types), settings)
