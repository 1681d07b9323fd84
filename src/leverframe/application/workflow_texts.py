"""The workflows of a project, as its settings and its pipeline ask for them."""

from __future__ import annotations

import os
import sys

from leverframe.application.runner_jobs import jobs_of, judge_of
from leverframe.application.workspace import Workspace
from leverframe.domain.pipeline import init as setup
from leverframe.package import template


def workflow_texts(workspace: Workspace, actions: str) -> dict[str, tuple[str, str]]:
    """Return the workflow files, by their paths from the project: GitHub reads those at the top of the repository."""
    project, top = workspace.project, workspace.git.top()
    up = os.path.relpath(top, workspace.root.resolve())
    watched = "monitor" in workspace.levers.model_fields_set
    remote = any(environment.observe is None for environment in workspace.levers.infra.environments.values())
    around = setup.WorkflowContext(
        project,
        remote,
        "{}.{}".format(*sys.version_info),
        submodules=(top / ".gitmodules").is_file(),
        jobs=jobs_of(workspace),
        judge=judge_of(workspace),
    )
    names = ["workflow.yml", "workflow-review.yml", "workflow-judge.yml", "workflow-merge.yml"]
    names += ["workflow-monitor.yml"] if watched else []
    names += ["workflow-infra.yml"] if remote else []  # what is observed on one machine is planned there alone
    return {
        os.path.normpath(f"{up}/{setup.workflow_file(project, name)}"): (
            setup.workflow(template(name), actions, around), setup.WHY[name],
        )
        for name in names
    }  # fmt: skip
