"""Tell of each stage of the pipeline whether it is stale, and why."""

from __future__ import annotations

from pathlib import Path

from leverframe.adapters.git import Git
from leverframe.adapters.working_tree import WorkingTree
from leverframe.domain.pipeline.status.reasons import PipelineStatus
from leverframe.domain.pipeline.status.staleness import run


def status(start: Path) -> PipelineStatus:
    """Return the status of the pipeline in the repository around ``start``."""
    tree = WorkingTree.around(start)
    return run(Git(tree.root), tree)
