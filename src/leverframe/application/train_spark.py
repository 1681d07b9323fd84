"""Fit the estimator on a cluster of Spark; write the model, which needs none, and its description."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from leverframe.adapters.disk import Disk
from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.sklearn.building import called
from leverframe.adapters.sklearn.exported_models import ExportedModels
from leverframe.application.workspace import Workspace
from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.distributed import run
from leverframe.domain.model.exported import BoostedTrees
from leverframe.domain.model.train import ModelDescription, Recipe
from leverframe.imports import load
from leverframe.package import missing_package

if TYPE_CHECKING:
    from pathlib import Path

    from leverframe.adapters.spark.training import SparkCluster
    from leverframe.settings.params import TrainSettings


def train(workspace: Workspace) -> ModelDescription:
    """Return the description of the model that was fitted, exported and stored."""
    return trained(workspace.root, workspace.params.train, cluster)


def trained(
    root: Path, settings: TrainSettings, cluster: Callable[[Path, TrainSettings, Callable[[Recipe], Any]], SparkCluster]
) -> ModelDescription:
    """Return the description of the model that was fitted on what ``cluster`` makes."""
    tables = PolarsTables(root)
    builder = ExportedModels(root, settings.trusted_types, tables.frame, _trees)

    def build(recipe: Recipe) -> Any:
        return called(load(recipe.estimator, root, said_by="`train.estimator` in params.yaml"), recipe)

    return run(tables, Disk(root), cluster(root, settings, build), builder, settings)


def cluster(root: Path, settings: TrainSettings, build: Callable[[Recipe], Any]) -> SparkCluster:
    """Return the cluster of the settings; raises ``InstallationError`` where PySpark is not installed."""
    try:
        from leverframe.adapters.spark.training import SparkCluster  # noqa: PLC0415 - an optional package
    except ImportError as error:
        raise missing_package(error, ", or set `train.engine: sklearn`") or error from error
    return SparkCluster(root, settings.spark, build)


def _trees(trees: BoostedTrees, kind: LabelKind) -> Any:
    from leverframe.adapters.xgboost import estimator  # noqa: PLC0415 - an optional package

    return estimator(trees.data, kind)
