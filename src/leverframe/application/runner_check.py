"""Whether the workflows that `init` wrote have the phases that settings and pipeline ask for now."""

from __future__ import annotations

import os
from pathlib import Path

from leverframe.application.workflow_texts import workflow_texts
from leverframe.application.workspace import Workspace
from leverframe.domain.pipeline.init import workflow_file
from leverframe.domain.pipeline.runners.workflow_phases import differing
from leverframe.domain.review.check import refused
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import LeverframeError
from leverframe.settings import LEVERS

_WITH_PHASES = ("workflow.yml", "workflow-merge.yml", "workflow-judge.yml")
_PHASE = "phase:"  # what every workflow with phases has
_ASKED = "runs_on"  # what every setting of a runner has: others need not be read for this
_ACTIONS = "leverframe/leverframe/actions@v0"  # which ones is not compared


def runner_violations(workspace: Workspace) -> tuple[Violation, ...]:
    """Return how workflows differ from `reproduce.runners`; nothing where neither has phases, or nobody wrote one."""
    settings = workspace.root / LEVERS
    asked = settings.is_file() and _ASKED in settings.read_text(encoding="utf-8", errors="replace")
    try:
        up = Path(os.path.relpath(workspace.git.top(), workspace.root.resolve()))
        names = (workflow_file(workspace.project, name) for name in _WITH_PHASES)
        files = {os.path.normpath(up / name): workspace.root / up / name for name in names}
        texts = {path: file.read_text(encoding="utf-8", errors="replace")
                 for path, file in files.items() if file.is_file()}  # fmt: skip
        if not texts or not (asked or any(_PHASE in text for text in texts.values())):
            return ()
        wanted = workflow_texts(workspace, _ACTIONS)
        differences = {path: differing(text, wanted[path][0], path) for path, text in texts.items()}
    except LeverframeError as error:
        return (refused(error),)
    return tuple(
        Violation(
            Reason.SETTINGS_INVALID,
            f"{path} does not fit the runners of {LEVERS}: {how}",
            "run `leverframe init --renew`, and commit what it writes",
        )
        for path, how in differences.items()
        if how
    )
