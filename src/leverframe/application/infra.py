"""Infrastructure beside plan and apply: look for drift, destroy an environment, free the lock of a state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from leverframe.application.infra_apply import Applier, ApplyRecorder, carried_out, subject_of
from leverframe.application.infra_observe import observe
from leverframe.application.infra_place import Channels, InfraPlace, Role, forge_of
from leverframe.application.infra_reviewed import held_to
from leverframe.application.results import forget, kept
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.infrastructure.infra_apply import destroy_steps
from leverframe.domain.infrastructure.infra_apply_result import InfraApplied
from leverframe.domain.infrastructure.infra_executor import InfraServices
from leverframe.domain.infrastructure.infra_plan_result import InfraPlanned, plan_lines
from leverframe.domain.infrastructure.infra_planning import drift_of, drift_steps
from leverframe.domain.infrastructure.plan_review import ReviewedPlans
from leverframe.domain.infrastructure.state_lock import Unlocked, holder, wanted_lock

DRIFT, DESTROY = "infra-drift", "infra-destroy"


@dataclass(frozen=True)
class InfraOptions:
    """What the command line asks for."""

    environment: str | None = None
    reviewed: str | None = None
    role: str | None = None
    region: str | None = None


def drift(workspace: Workspace, asked: InfraOptions, words: Channels) -> tuple[InfraPlanned, str]:
    """Return what differs between an environment and the commit here, and the address of the issue that says so.

    Without a token of the forge it is the path of the result. Raises as ``infra_plan`` does.
    """
    forget(workspace.root, DRIFT)
    place, forge = InfraPlace.of(workspace, asked.environment), forge_of(workspace)
    subject, unsaved = place.subject(place.head), place.unsaved()
    with place.tool(Role.of(asked.role, asked.region), words) as tool:
        around = InfraServices(observe=place.observe)
        planned = drift_of(subject, tool, around, words.progress, edited=bool(unsaved))
    planned = kept(workspace.root, DRIFT, replace(planned, notes=(*planned.notes, *unsaved)))
    shown = forge.show_drift(planned, workspace.levers.infra.drift_label) if forge and planned.plan else ""
    return planned, shown or str(layout.lever(DRIFT))


def destroy(
    workspace: Workspace, asked: InfraOptions, words: Channels, agree: Callable[[Sequence[str], str], bool]
) -> tuple[InfraApplied, str]:
    """Destroy all of an environment where somebody agrees: at the terminal, or by the digest of the plan.

    Raises as ``infra_apply`` does.
    """
    forget(workspace.root, DESTROY)
    place, forge = InfraPlace.of(workspace, asked.environment), forge_of(workspace)
    held = held_to(place, forge, (asked.reviewed or "").strip())
    if not asked.reviewed:  # a plan that was reviewed for an apply is not one for this
        held = replace(held, reviewed=ReviewedPlans(source="the terminal"))
    subject = subject_of(place, held.before)
    how = Applier(Role.of(asked.role, asked.region), words, lambda plan: agree(plan_lines(plan), place.name))
    steps = destroy_steps(subject, asks=not asked.reviewed)
    applied = kept(workspace.root, DESTROY, carried_out(subject, steps, ApplyRecorder(place, held, forge), how))
    return applied, next(iter(applied.recorded), str(layout.lever(DESTROY)))


def steps(workspace: Workspace, asked: InfraOptions, *, destroys: bool) -> list[str]:
    """Return the steps of a destroy or a look for drift in words; nothing is run."""
    place = InfraPlace.of(workspace, asked.environment)
    if not destroys:
        return [str(step) for step in drift_steps(place.subject(place.head))]
    return [str(step) for step in destroy_steps(subject_of(place, ""), asks=not asked.reviewed)]


def unlock(
    workspace: Workspace, asked: InfraOptions, lock: tuple[str, str], words: Channels, *, dry_run: bool
) -> Unlocked:
    """Free the lock of a state, by its id and for a reason; a dry run only tells whose it is.

    Raises ``InfraError`` where none stands, or another one.
    """
    place = InfraPlace.of(workspace, asked.environment)
    with place.tool(Role.of(asked.role, asked.region), words) as tool:
        if place.settings.observe:
            place.observe()
        tool.initialise()
        identity, reason = lock
        now = datetime.now(UTC)
        there = wanted_lock(tool.lock(), identity, now)
        words.tell(f"the state of `{place.name}` is locked: {holder(there, now)}")
        if not dry_run:
            tool.unlock(identity)
    return Unlocked(place.name, there, reason, now.isoformat(timespec="seconds"), freed=not dry_run)


def observed(workspace: Workspace, environment: str | None) -> Path:
    """Write what runs on this machine of an environment, and return where."""
    return observe(workspace, InfraPlace.of(workspace, environment).name)
