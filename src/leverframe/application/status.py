"""Tell of each stage of the pipeline whether it is stale, and why."""

from __future__ import annotations

from pathlib import Path

from leverframe.adapters.git import Git
from leverframe.adapters.working_tree import WorkingTree
from leverframe.domain.pipeline.status.reasons import PipelineStatus
from leverframe.domain.pipeline.status.staleness import run
from leverframe.errors import RepositoryError


def status(start: Path) -> PipelineStatus:
    """Return the status of the pipeline in the repository around ``start``."""
    tree = tree_around(start)
    return run(Git(tree.root), tree)


def tree_around(start: Path) -> WorkingTree:
    """Return the working tree around ``start``; raises ``RepositoryError`` outside of one of git, or of DVC."""
    try:
        return WorkingTree.around(start)
    except RepositoryError:
        Git(start).check()  # that there is no repository of git says more
        raise
