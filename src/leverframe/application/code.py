"""Write the digests of the code that the stages of each partition run."""

from __future__ import annotations

from pathlib import Path

from leverframe.application.stages import DVC_YAML, Files
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.pipeline.code import listed
from leverframe.files import md5, write_json


def code(workspace: Workspace, command: str) -> Path:
    """Write the MD5 of each file that ``dvc.yaml`` names for the code behind a command, and return where.

    Raises ``PipelineError`` where it names none, or one that is missing.
    """
    root, files = workspace.root, Files(workspace.root, workspace.git.top())
    paths = listed(files.text(DVC_YAML) or "", command, files)
    write_json(root / layout.code(command), {path: md5(root / path) for path in paths})
    return layout.code(command)
