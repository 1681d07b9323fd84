"""Make a repository ready: for data, for DVC, for the packages that CI installs, and for pull requests."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import leverframe
from leverframe import __version__
from leverframe.adapters.git import Git
from leverframe.application.owner_steps import former_steps, owner_steps
from leverframe.application.pipeline import PipelineRun
from leverframe.application.requirements_lock import requirement_steps
from leverframe.application.stages import DVC_YAML, definition
from leverframe.application.workflow_texts import workflow_texts
from leverframe.application.workspace import Workspace
from leverframe.domain.infrastructure.infra_changed import LOCAL_ROOT
from leverframe.domain.pipeline import init as setup
from leverframe.domain.pipeline.ignore_files import IGNORED, MACHINES
from leverframe.domain.pipeline.init import CopyFile, SetConfig, StartDvc, Step, WriteFile
from leverframe.errors import PipelineError, RepositoryError
from leverframe.files import replacing, write_text
from leverframe.package import built_from, local_environment
from leverframe.settings import LEVERS

_ACTIONS = "leverframe/leverframe/actions"


def actions_installed() -> str:
    """Return the actions that belong to what is installed here: pinned by its commit, where that is known.

    A tag can be moved to other code, which then has the tokens of the workflows; it stands where no commit is known.
    """
    commit = built_from()
    if not commit:
        checkout = Git(Path(leverframe.__file__).parent)
        with suppress(RepositoryError):  # installed, or without git
            commit = checkout.named("HEAD") if checkout.tracked_below(".") else ""
    return f"{_ACTIONS}@{commit} # v{__version__}" if commit else f"{_ACTIONS}@v{__version__}"


def planned(workspace: Workspace, actions: str | None, owner: str | None = None, renew: bool = False) -> list[Step]:
    """Return what has to be done to make this repository ready, and where asked to ``renew`` its workflows."""
    actions = actions or actions_installed()
    root, git = workspace.root, workspace.git
    git.check()
    case, environments = workspace.has_case, workspace.levers.infra.environments
    data = case or not (environments or (root / DVC_YAML).exists())  # of Leverframe, now or soon
    program = f"{shlex.quote(sys.executable)} -m leverframe"
    workflows = workflow_texts(workspace, actions)
    whole = {**_definition(workspace, case), **workflows, **_terraform(workspace)}
    whole |= {} if case or (root / LEVERS).exists() else _layout(workspace)
    ignored = _ignored(data, infra=bool(environments))
    files = {path: _text(root / path) for path in (".gitattributes", *ignored, *whole)}
    extras = [*(["serving"] if data else []), "github", *(["infrastructure"] if environments else [])]
    wanted = [
        *_dvc(root, git.top(), needed=data),
        *setup.steps(files, git.config("merge."), program, whole, ignored, workflows if renew else ()),
        *requirement_steps(root, extras),
    ]
    first = any(isinstance(step, WriteFile) and step.path.endswith("-judge.yml") for step in wanted)
    return [*wanted, *former_steps(workspace), *owner_steps(workspace, owner, first=first)]


def init(workspace: Workspace, steps: Sequence[Step]) -> None:
    """Do what was planned."""
    for step in steps:
        _take(workspace, step)


def _take(workspace: Workspace, step: Step) -> None:
    match step:
        case WriteFile(path, content, _):
            write_text(workspace.root / path, content)
        case CopyFile(path, source, _):
            with replacing(workspace.root / path) as temporary:
                shutil.copyfile(source, temporary)
        case SetConfig(key, value, _):
            workspace.git.set_config(key, value)
        case StartDvc(subfolder, _):
            run = PipelineRun.of(workspace, workspace.root, lambda _: None)
            if not run.data("init", "--quiet", *(["--subdir"] if subfolder else [])):
                raise PipelineError("`dvc init` failed", why="no folder .dvc here", next="run it by hand: it says why")


def _layout(workspace: Workspace) -> dict[str, tuple[str, str]]:
    """Return where a pipeline of one's own has what, as far as its outputs show it."""
    from leverframe.application.own_layout import drafted  # noqa: PLC0415 - loads what reads tables

    text = drafted(workspace)
    return {str(LEVERS): (text, setup.LAYOUT)} if text else {}


def _dvc(root: Path, top: Path, *, needed: bool) -> list[Step]:
    """Return the step that starts DVC, where no folder up to that of git has it."""
    here = root.resolve()
    places = [here, *(folder for folder in here.parents if folder.is_relative_to(top.resolve()))]
    if not needed or any((place / ".dvc").is_dir() for place in places):
        return []
    return [StartDvc(here != top.resolve(), "it keeps data, and git their digests")]


def _ignored(data: bool, *, infra: bool) -> dict[str, Sequence[str]]:
    """Return the lines that each ignore file has to have; of a pipeline of one's own we know no outputs."""
    lines = dict(IGNORED if data else {".gitignore": MACHINES[".gitignore"]})
    return lines | {".gitignore": (*lines[".gitignore"], *(setup.STATES if infra else ()))}


def _definition(workspace: Workspace, case: bool) -> dict[str, tuple[str, str]]:
    """Return the files that define the pipeline of a case, where it has none yet."""
    if not case or (workspace.root / DVC_YAML).exists():
        return {}
    why = {DVC_YAML: "the stages of the case"}
    texts = definition(workspace)
    return {path: (text, why.get(path, "the stages depend on this version")) for path, text in texts.items()}


def _terraform(workspace: Workspace) -> dict[str, tuple[str, str]]:
    """Return the files of the local environment, where the settings declare one and its root module is not there."""
    declared = workspace.levers.infra.environments
    wanted = any(settings.root_of(name) == LOCAL_ROOT for name, settings in declared.items())
    there = (workspace.root / LOCAL_ROOT).is_dir()
    texts: Mapping[str, str] = local_environment() if wanted and not there else {}
    return {path: (text, setup.TERRAFORM) for path, text in texts.items()}


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
