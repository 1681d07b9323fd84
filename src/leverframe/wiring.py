"""The composition root: how a command gets its workspace, and how a stage is run and recorded."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from leverframe import __version__
from leverframe.adapters.git import Git
from leverframe.adapters.working_tree.dvc_config import home_of
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.errors import SettingsError
from leverframe.settings import LEVERS, PARAMS

_DVC = Path(".dvc", "config")

if TYPE_CHECKING:
    from leverframe.adapters.stage_log import Recording
    from leverframe.domain.features.plan import Plan
    from leverframe.settings.levers import Levers
    from leverframe.settings.params import Params


def workspace(*, anywhere: bool = False) -> Workspace:
    """Return the repository around the current folder: the nearest above with a file of settings.

    Raises ``RepositoryError`` where there is neither such a file nor a working tree of git, unless ``anywhere``.
    """
    root = _root()
    git = Git(root, _default_branch, _target_branch)
    if not anywhere and not _has_settings(root):
        git.check()  # what is wrong is the folder, whatever file of it a command would miss first
    return _workspace_of(root, git)


def _workspace_of(root: Path, git: Git | None = None) -> Workspace:
    return Workspace(root, git or Git(root), lambda: _params(root), lambda: _levers(root), _plan)


@contextmanager
def stage(name: str, partition: str = "") -> Iterator[tuple[Workspace, Recording]]:
    """Yield the workspace and the record of a stage; it ends with the process that started it.

    Raises ``InstallationError`` where any stage of the pipeline lacks something, so that the first says it.
    """
    from leverframe.adapters.process import end_with_parent
    from leverframe.adapters.stage_log import recording
    from leverframe.domain.pipeline import installation
    from leverframe.package import check_extras

    end_with_parent()
    place = workspace()
    check_extras(installation.needed_extras(place.params))
    named = place.root / installation.FILE
    if named.is_file():
        installation.refuse_other(named.read_text(encoding="utf-8"), __version__)
    with recording(name, partition, folder=place.root / layout.STAGE_LOGS) as record:
        if "DVC_STAGE" not in os.environ:
            from leverframe.application.as_locked import inputs_note

            if others := inputs_note(place.root, name, partition):
                record.note(others)
        yield place, record


def projects_elsewhere() -> list[str]:
    """Return the folders of the projects of this repository, from here; none where one is around the current folder.

    Parameters of stages are no project of their own where the same `.dvc` as here looks after them.
    """
    if _has_settings(_root()):
        return []
    top, home = Git(Path()).top().resolve(), home_of(Path.cwd().resolve())
    names = Git(top).files(*(f"{folder}{name}" for name in (LEVERS, PARAMS, _DVC) for folder in ("", "*/")))
    folders = {
        top / name.removesuffix(str(_DVC)) if name.endswith(str(_DVC)) else (top / name).parent: name.endswith(
            str(LEVERS)
        )
        for name in names
    }
    projects = [folder for folder, levers in folders.items() if levers or home is None or home_of(folder) != home]
    return [os.path.relpath(folder) for folder in projects]


def refuse_above_projects() -> None:
    """Raise ``SettingsError`` where the current folder is no project, and has projects below it."""
    below = [folder for folder in projects_elsewhere() if not folder.startswith(os.pardir)]
    if below:
        raise SettingsError(
            "this folder is no project",
            why=f"it has neither {PARAMS} nor {LEVERS}, and projects are below it: {', '.join(below[:4])}",
            next=f"`leverframe -C {shlex.quote(below[0])} ...`; a project here begins with its own {PARAMS}",
        )


def _root() -> Path:
    """Return the path from here to the root: relative, so that messages name files as a person would.

    It is the nearest folder with settings of levers or a case; else the one that holds `.dvc`, in which any folder may
    have a definition with parameters of its own; else the nearest with parameters.
    """
    here = Path.cwd()
    folders = {folder: Path(*[".."] * depth) for depth, folder in enumerate((here, *here.parents))}
    for folder, way in folders.items():
        if (folder / LEVERS).is_file() or _workspace_of(folder).has_case or (folder / ".dvc").is_dir():
            return way
    return next((way for folder, way in folders.items() if (folder / PARAMS).is_file()), Path())


def _has_settings(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (PARAMS, LEVERS))


def _default_branch() -> str:
    from leverframe.adapters import runner

    return runner.default_branch()


def _target_branch() -> str:
    from leverframe.adapters import runner

    return runner.target_branch()


def _params(root: Path) -> Params:
    from leverframe.settings.params import read_params

    return read_params(root / PARAMS)


def _levers(root: Path) -> Levers:
    from leverframe.settings.levers import read_levers

    return read_levers(root / LEVERS)


def _plan(star: Path) -> Plan:
    from leverframe.domain.features.plan import compile_star
    from leverframe.domain.features.star import read_star

    return compile_star(read_star(star))
