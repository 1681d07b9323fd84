"""Make a repository ready for pull requests."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from leverframe import __version__
from leverframe.application.workspace import Workspace
from leverframe.domain.infrastructure.infra_changed import LOCAL_ROOT
from leverframe.domain.pipeline.init import INFRA, MONITOR, WORKFLOW, SetConfig, Step, WriteFile, steps, workflow
from leverframe.files import write_text
from leverframe.package import local_environment, template

ACTIONS = f"leverframe/leverframe/actions@v{__version__}"


def init(workspace: Workspace, actions: str, *, dry_run: bool) -> list[Step]:
    """Return what had to be done to make this repository ready, done unless ``dry_run``."""
    root, git = workspace.root, workspace.git
    git.named("HEAD")
    templates = {WORKFLOW: "workflow.yml"}
    if "monitor" in workspace.levers.model_fields_set:
        templates[MONITOR] = "workflow-monitor.yml"
    remote = any(environment.observe is None for environment in workspace.levers.infra.environments.values())
    if remote:  # what is observed on one machine is planned there alone
        templates[INFRA] = "workflow-infra.yml"
    program = f"{shlex.quote(sys.executable)} -m leverframe"
    workflows = {path: workflow(template(name), actions, infra=remote) for path, name in templates.items()}
    whole = workflows | _terraform(workspace)
    ignored = [".gitignore"] if workspace.levers.infra.environments else []
    files = {path: _text(root / path) for path in (".gitattributes", *ignored, *whole)}
    wanted = steps(files, git.config("merge."), program, whole)
    for step in [] if dry_run else wanted:
        if isinstance(step, WriteFile):
            write_text(root / step.path, step.content)
        elif isinstance(step, SetConfig):
            git.set_config(step.key, step.value)
    return wanted


def _terraform(workspace: Workspace) -> dict[str, str]:
    """Return the files of the local environment, where the settings declare one and its root module is not there."""
    declared = workspace.levers.infra.environments
    wanted = any(settings.root_of(name) == LOCAL_ROOT for name, settings in declared.items())
    return local_environment() if wanted and not (workspace.root / LOCAL_ROOT).is_dir() else {}


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
