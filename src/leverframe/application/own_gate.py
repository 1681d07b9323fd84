"""Judge a change of a pipeline of one's own, by the best evidence that its files allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from leverframe.adapters.git.base import Base
from leverframe.application.as_locked import refuse_others
from leverframe.application.gate_rules import rules_at, section
from leverframe.application.own_revision import OwnRevision, own_revision, revision_of
from leverframe.application.workspace import Workspace
from leverframe.documents import validated
from leverframe.domain.review.gate.gate_result import Gated
from leverframe.domain.review.gate.own_decision import run
from leverframe.settings import LEVERS
from leverframe.settings.pipeline import PipelineSettings
from leverframe.yaml_files import load


def own_gate(workspace: Workspace, since: Base, tell: Callable[[str], None]) -> Gated:
    """Return whether the change may be merged, by the rules of the base branch's tip."""
    root, git, settings = workspace.root, workspace.git, workspace.levers.pipeline
    commits = since.commit, git.named("HEAD")
    ours = load(root / LEVERS, what="settings file") if (root / LEVERS).is_file() else {}
    rules = rules_at(git, since.tip, section(git.show(since.tip, str(LEVERS)), f"{LEVERS} of the base"), ours)
    candidate = own_revision(workspace, tell, settings)
    refuse_others(root, *_read(candidate))
    before = _roles_at(workspace, since.commit) or settings
    with revision_of(workspace, since.commit, before, tell) as champion:
        result = run(commits, (candidate, champion), rules, candidate.megabytes())
    return replace(result, notes=(*since.notes, *result.notes))


def _read(revision: OwnRevision) -> list[Path]:
    """Return the paths that are compared, as far as they are no patterns."""
    settings = revision.settings
    roles = [role.path for role in (settings.predictions, settings.holdout, settings.model) if role and role.path]
    return [Path(path) for path in (*revision.metric_files(), *roles)]


def _roles_at(workspace: Workspace, commit: str) -> PipelineSettings | None:
    """Return where a commit says that its files are; None where it does not say."""
    declared = section(workspace.git.show(commit, str(LEVERS)), f"{LEVERS} of the base").get("pipeline")
    if not isinstance(declared, dict):
        return None
    return validated(PipelineSettings, declared, name=f"`pipeline` of {LEVERS} on the base branch")
