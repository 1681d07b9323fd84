"""What retraining calls its branches, and the workflow that checks them: another project may have the same model."""

from __future__ import annotations

from pathlib import PurePosixPath

from leverframe.application.workspace import Workspace
from leverframe.domain.pipeline.init import workflow_file
from leverframe.domain.retraining.pulls.pull_state import branch_of
from leverframe.settings.retrain import RetrainSettings


def branch_in(workspace: Workspace, form: str, model: str) -> str:
    """Return a branch of a model of this project; ``form`` as in ``branch_of``."""
    return branch_of(form, f"{workspace.project.prefix}{model}")


def checking_workflow(workspace: Workspace, settings: RetrainSettings) -> str:
    """Return the workflow file that checks pull requests: as set, else the one that `init` writes for the project."""
    named = "workflow" in settings.model_fields_set
    return settings.workflow if named else PurePosixPath(workflow_file(workspace.project)).name
