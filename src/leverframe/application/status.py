"""Tell of each stage of the pipeline whether it is stale, and why."""

from __future__ import annotations

from pathlib import Path

from leverframe.adapters.git import Git
from leverframe.adapters.working_tree import WorkingTree
from leverframe.domain.pipeline.status.reasons import PipelineStatus
from leverframe.domain.pipeline.status.staleness import run
from leverframe.errors import RepositoryError


def status(root: Path) -> PipelineStatus:
    """Return the status of the pipeline of the project in ``root``."""
    tree = tree_around(root)
    return run(Git(tree.root), tree)


def tree_around(root: Path) -> WorkingTree:
    """Return the working tree of the project in ``root``; raises ``RepositoryError`` outside of git, or of DVC."""
    try:
        return WorkingTree.around(root)
    except RepositoryError:
        Git(root).check()  # that there is no repository of git says more
        raise
