"""Whether a change concerns the project at all, where the repository has others beside it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from leverframe.adapters.git.base import Base
from leverframe.adapters.working_tree import WorkingTree
from leverframe.application.infra_place import module_texts
from leverframe.application.workspace import Workspace
from leverframe.domain.infrastructure.infra_changed import folders_of
from leverframe.domain.pipeline.status import staleness
from leverframe.domain.pipeline.status.elsewhere import recorders
from leverframe.errors import LeverframeError


def untouched(workspace: Workspace, base: Base) -> str:
    """Return that the change since its base touches nothing which the project reads; empty where it may.

    A project that is the whole repository is always touched. One in a folder reads that, and what its stages depend
    on elsewhere: files, folders and submodules.
    """
    if workspace.project.whole or base.partial:
        return ""
    git = workspace.git
    changed = git.changed_around(base.commit)
    if not changed or any(not path.startswith("../") for path in changed):
        return ""
    with suppress(LeverframeError):  # `check` says what is wrong
        if not _meet(changed, _read_outside(workspace)):
            return f"the change touches nothing that `{workspace.project.folder}` reads"
    return ""


def _read_outside(workspace: Workspace) -> list[str]:
    """Return what is read outside of the folder, relative to it: by stages, by infrastructure, and settings of DVC."""
    tree = WorkingTree.around(workspace.root)
    status = staleness.run(workspace.git, tree)
    read = [artefact.path for stage in status.stages for artefact in stage.stage.dependencies]
    read += [file.path for stage in status.stages for file in stage.stage.parameters]
    texts = module_texts(workspace)
    for name, environment in workspace.levers.infra.environments.items():
        read += folders_of(environment.root_of(name), texts)
    up = Path(os.path.relpath(tree.home, workspace.root.resolve())).as_posix()
    read += [file for path in read if path.startswith("../") for file in recorders(path)]  # git has no data
    return [path for path in (*read, *_linked(workspace.root, read), f"{up}/.dvc/config", f"{up}/.dvcignore")
            if path.startswith("../")]  # fmt: skip


def _linked(root: Path, paths: Iterable[str]) -> list[str]:
    """Return where paths lead whose files or folders are links."""
    here = root.resolve()
    return [Path(os.path.relpath((here / path).resolve(), here)).as_posix() for path in paths]


def _meet(changed: Iterable[str], read: Iterable[str]) -> bool:
    """Tell whether a path of one is a path of the other, or in it: a submodule changes as one, a folder is read so."""
    ours, theirs = ([f"{path}/" for path in paths] for paths in (read, changed))
    return any(one.startswith(other) or other.startswith(one) for one in ours for other in theirs)
