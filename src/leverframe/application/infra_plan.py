"""Plan the infrastructure of a change, judge the plan, and leave it for the card and for whoever applies it here."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace

from leverframe.adapters import runner
from leverframe.adapters.git.base import Base
from leverframe.application.infra_place import Channels, InfraPlace, Role, forge_of
from leverframe.application.infra_plans import no_longer_declared
from leverframe.application.infra_results import PLAN, applied_here, keep
from leverframe.application.results import forget, kept
from leverframe.application.workspace import Workspace
from leverframe.domain.infrastructure.infra_executor import InfraServices
from leverframe.domain.infrastructure.infra_plan import InfraPlan
from leverframe.domain.infrastructure.infra_plan_result import InfraPlanned
from leverframe.domain.infrastructure.infra_planning import InfraSubject, plan_of, plan_steps
from leverframe.domain.infrastructure.infra_ports import Planning
from leverframe.domain.review.report.pull_of_run import RunPull
from leverframe.errors import LeverframeError, PublishError, RepositoryError

LEVER = "infra-plan"


@dataclass(frozen=True)
class PlanOptions:
    """What the command line asks for; ``role`` and ``region`` are empty where a person's own keys count."""

    environment: str | None = None
    base: str | None = None
    destroy: bool = False
    role: str | None = None
    region: str | None = None


def infra_plan(workspace: Workspace, asked: PlanOptions, words: Channels) -> tuple[InfraPlanned, str]:
    """Return the plan of an environment and what is against it, and the path of the file that keeps both.

    Raises ``SettingsError``, ``InstallationError``, ``InfraLockedError``, and ``InfraError`` without the identity that
    a role needs; what Terraform refuses is a violation.
    """
    forget(workspace.root, LEVER)
    place = InfraPlace.of(workspace, asked.environment)
    path = place.folder / PLAN
    last = _applied(place)
    since = workspace.git.base(asked.base)
    subject = _subject(place, since, last)
    labels, notes = _labels(workspace)

    def allowed(plan: InfraPlan) -> Collection[str]:
        touched = subject.rules.needing_label(plan) if subject.rules.label in labels else ()
        return [change.address for change in touched]

    around = InfraServices(observe=place.observe, allowed=allowed)
    with place.tool(Role.of(asked.role, asked.region), words) as tool:
        path.unlink(missing_ok=True)  # so that a crash is not taken for the same plan again
        planned = plan_of(subject, tool, around, words.progress, Planning(destroy=asked.destroy))
    planned = replace(
        planned,
        applied=last,
        notes=(*since.notes, *planned.notes, *notes, *place.unsaved(), *no_longer_declared(workspace, subject.base)),
    )
    keep(path, planned)
    return kept(workspace.root, LEVER, planned), str(path)


def steps(workspace: Workspace, asked: PlanOptions) -> list[str]:
    """Return the steps of a plan in words; nothing is run."""
    place = InfraPlace.of(workspace, asked.environment)
    subject = _subject(place, workspace.git.base(asked.base), "")
    return [str(step) for step in plan_steps(subject, Planning(destroy=asked.destroy))]


def _subject(place: InfraPlace, since: Base, applied: str) -> InfraSubject:
    """Return the environment under all rules that its apply will be under as well, as far as they are known by now."""
    git = place.workspace.git
    known = []
    with suppress(RepositoryError):  # a clone may be shallow
        known = [git.named(applied)] if applied else []
    return place.subject(since.commit, since.tip, *known)


def _labels(workspace: Workspace) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the labels of the pull request of this run, and why they may be older than they are now."""
    run, known = runner.event(), runner.labels()
    forge = forge_of(workspace)
    if not isinstance(run, RunPull) or run.number is None or forge is None:
        return known, ()
    try:
        return forge.labels(run.number), ()
    except PublishError as error:
        return known, (f"labels are those of when the run began: {error.what}",)


def _applied(place: InfraPlace) -> str:
    """Return the commit that was applied last, empty where this machine and the forge tell of none."""
    here = applied_here(place.folder)
    with suppress(LeverframeError):
        forge = forge_of(place.workspace)
        if forge is not None:
            return forge.last(place.name).applied
    return here.head if here and here.applied else ""
