"""Cut the training set and the hold-out out of the built partitions."""

from __future__ import annotations

from leverframe.adapters.disk import Disk
from leverframe.adapters.duckdb.splits import DuckDBSplitter
from leverframe.application.workspace import Workspace
from leverframe.documents import plain
from leverframe.domain import layout
from leverframe.domain.features.split import run
from leverframe.domain.features.training_set import TrainingSet
from leverframe.files import write_json


def training_set(workspace: Workspace) -> TrainingSet:
    """Write both sides of the training set, and its description."""
    root, features = workspace.root, workspace.params.features
    written = run(workspace.plan, features, workspace.partitions, DuckDBSplitter(), Disk(root).exists, root)
    write_json(root / layout.TRAINING_SET, plain(written, without_none=True))
    write_json(root / layout.LEARNING_SET, plain(written.learning, without_none=True))
    return written
