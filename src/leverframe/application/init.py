"""Make a repository ready for pull requests."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from leverframe import __version__
from leverframe.application.workspace import Workspace
from leverframe.domain.pipeline.init import MONITOR, WORKFLOW, SetConfig, Step, WriteFile, steps, workflow
from leverframe.files import write_text
from leverframe.package import template

ACTIONS = f"leverframe/leverframe/actions@v{__version__}"


def init(workspace: Workspace, actions: str, *, dry_run: bool) -> list[Step]:
    """Return what had to be done to make this repository ready, done unless ``dry_run``."""
    root, git = workspace.root, workspace.git
    git.named("HEAD")
    templates = {WORKFLOW: "workflow.yml"}
    if "monitor" in workspace.levers.model_fields_set:
        templates[MONITOR] = "workflow-monitor.yml"
    files = {path: _text(root / path) for path in (".gitattributes", *templates)}
    program = f"{shlex.quote(sys.executable)} -m leverframe"
    workflows = {path: workflow(template(name), actions) for path, name in templates.items()}
    wanted = steps(files, git.config("merge."), program, workflows)
    for step in [] if dry_run else wanted:
        if isinstance(step, WriteFile):
            write_text(root / step.path, step.content)
        elif isinstance(step, SetConfig):
            git.set_config(step.key, step.value)
    return wanted


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
