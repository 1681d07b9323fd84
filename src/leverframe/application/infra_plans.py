"""The plans of infrastructure that `infra-plan` left, as the card shows them; nothing where none is declared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from leverframe.application.infra_place import environments_at, module_texts
from leverframe.application.workspace import Workspace
from leverframe.documents import loaded, validated
from leverframe.domain import layout
from leverframe.domain.infrastructure.infra_changed import (
    Environments,
    has_pipeline,
    judged_by,
    removed,
    stays,
    with_missing,
)
from leverframe.domain.infrastructure.infra_plan_result import InfraPlanned
from leverframe.domain.infrastructure.protection import in_force
from leverframe.errors import LeverframeError, RepositoryError
from leverframe.settings import LEVERS
from leverframe.settings.infra import InfraEnvironmentSettings
from leverframe.settings.levers import Levers
from leverframe.yaml_files import parse

_LARGEST = 40_000_000  # bytes of one plan


def infra_plans(
    workspace: Workspace, commits: tuple[str, str], before: Mapping[str, bytes]
) -> tuple[InfraPlanned, ...]:
    """Return the plan of each declared environment at the head, and what says that one is missing.

    ``commits`` are base and head, ``before`` are files of the base by path, its settings among them.
    """
    declared = _declared(workspace)
    if not declared:
        return ()
    root, git = workspace.root, workspace.git
    left = [plan for name in declared if (plan := _left(root / layout.INFRA / name / "plan.json", name))]
    return with_missing(
        left, (_of_base(before), declared), commits, module_texts(workspace), git.changed_around(commits[0])
    )


def no_longer_declared(workspace: Workspace, base: str) -> tuple[str, ...]:
    """Return a note for each environment of the base that this change takes out of the settings, whatever it made."""
    before = _of_base({str(LEVERS): workspace.git.show(base, str(LEVERS)) or b""})
    try:
        declared = workspace.levers.infra.environments
    except LeverframeError:  # `check` says what is wrong with the settings
        return ()
    return tuple(stays(name, base) for name in removed((before, declared)))


def infrastructure_alone(workspace: Workspace, *commits: str) -> bool:
    """Tell whether infrastructure is all that there is to judge: here, and at each of the commits of the base.

    A pull request that removes a pipeline, or brings the first one, is judged as one with a pipeline; so is one whose
    settings are not valid, which `check` says.
    """
    try:
        declared = bool(workspace.levers.infra.environments)
        here = _sections(_text(workspace))
        before = [_sections((workspace.git.show(commit, str(LEVERS)) or b"").decode()) for commit in commits]
    except (LeverframeError, UnicodeDecodeError):
        return False
    trees = [workspace.git.files(), *(workspace.git.blobs(commit, ".") for commit in commits)]
    declared = declared or any("infra" in sections for sections in before)
    return declared and not any(map(has_pipeline, trees, [here, *before]))


def pipeline_here(workspace: Workspace) -> bool:
    """Tell whether the checkout, which is of the base branch where a card of another job is posted, has a pipeline."""
    try:
        return has_pipeline(workspace.git.files(), _sections(_text(workspace)))
    except (LeverframeError, UnicodeDecodeError):
        return True


def _text(workspace: Workspace) -> str:
    path = workspace.root / LEVERS
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _sections(text: str) -> list[str]:
    return list(parse(text, name=str(LEVERS), what="the settings")) if text.strip() else []


def judged_again(
    workspace: Workspace, plans: tuple[InfraPlanned, ...], base: str | None, labels: Callable[[], Collection[str]]
) -> tuple[InfraPlanned, ...]:
    """Return the plans with what the rules of the base say against them: a plan is made by code of the change."""
    if not plans:
        return ()
    git = workspace.git
    try:
        before = environments_at(workspace, git.base(base).tip)
    except RepositoryError:  # a clone of one commit, which is that of the base where another job made the card
        before = environments_at(workspace, git.named("HEAD"))
    unknown = InfraEnvironmentSettings(failed_checks="show")  # what a new one says itself, its own job held it to
    return tuple(
        judged_by(plan, in_force(plan.environment, before.get(plan.environment, unknown), before), labels)
        for plan in plans
    )


def _declared(workspace: Workspace) -> Environments:
    try:
        return workspace.levers.infra.environments
    except LeverframeError:  # `check` says what is wrong with the settings
        return {}


def _of_base(before: Mapping[str, bytes]) -> Environments:
    """Return the environments of the base; none where its settings are not those of this version."""
    text = before.get(str(LEVERS), b"").decode(errors="replace")
    try:
        content = parse(text, name=str(LEVERS), what="the settings") if text.strip() else {}
        return validated(Levers, content, name=str(LEVERS)).infra.environments
    except LeverframeError:
        return {}


def _left(path: Path, name: str) -> InfraPlanned | None:
    try:
        with path.open("rb") as handle:
            plan = loaded(InfraPlanned, handle.read(_LARGEST), name=str(path))
    except (OSError, LeverframeError):
        return None
    return plan if plan.environment == name else None
