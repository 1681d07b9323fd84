"""Apply the infrastructure of the commit that is checked out, where the plan is the one that was reviewed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from leverframe.application.environments import WallClock
from leverframe.application.infra_place import Channels, InfraPlace, Role, forge_of
from leverframe.application.infra_results import APPLIED, PLAN, keep
from leverframe.application.infra_reviewed import ReviewedApply, held_to
from leverframe.application.results import forget, kept
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.infrastructure.infra_apply import allowed_by, apply, apply_steps
from leverframe.domain.infrastructure.infra_apply_result import InfraApplied
from leverframe.domain.infrastructure.infra_executor import InfraServices
from leverframe.domain.infrastructure.infra_forge import InfraForge
from leverframe.domain.infrastructure.infra_plan import InfraPlan
from leverframe.domain.infrastructure.infra_planning import InfraSubject
from leverframe.domain.infrastructure.infra_steps import InfraAction
from leverframe.domain.plan_engine import Plan
from leverframe.errors import RepositoryError

LEVER = "infra-apply"


@dataclass(frozen=True)
class ApplyOptions:
    """What the command line asks for: ``reviewed`` is the digest of the plan that somebody read."""

    environment: str | None = None
    reviewed: str | None = None
    role: str | None = None
    region: str | None = None


def infra_apply(workspace: Workspace, asked: ApplyOptions, words: Channels) -> tuple[InfraApplied, str]:
    """Return what was applied, and the address of its record, else the path of the file that keeps it.

    Raises as ``infra_plan`` does, and ``PublishError`` where the forge does not say what was reviewed or does not take
    the record; run it again then.
    """
    forget(workspace.root, LEVER)
    place, forge = InfraPlace.of(workspace, asked.environment), forge_of(workspace)
    recorder = ApplyRecorder(place, held_to(place, forge, (asked.reviewed or "").strip()), forge)
    subject = subject_of(place, recorder.held.before)
    how = Applier(Role.of(asked.role, asked.region), words)
    applied = kept(workspace.root, LEVER, carried_out(subject, apply_steps(subject), recorder, how))
    return applied, next(iter(applied.recorded), str(layout.lever(LEVER)))


def steps(workspace: Workspace, asked: ApplyOptions) -> list[str]:
    """Return the steps of an apply in words; nothing is run and nobody is asked."""
    place = InfraPlace.of(workspace, asked.environment)
    return [str(step) for step in apply_steps(subject_of(place, ""))]


def subject_of(place: InfraPlace, before: str) -> InfraSubject:
    """Return the environment under the rules of its commit and of those that it is merged after.

    These are what was applied ``before``, where that is known, the commit before it, and the main branch.
    """
    git, commits = place.workspace.git, []
    for revision in (*([before] if before else []), "HEAD~1", None):
        with suppress(RepositoryError):  # the first commit has none before it, and a clone may be shallow
            commits.append(git.named(revision) if revision else git.tip())
    return place.subject(before, *commits)


@dataclass(frozen=True)
class ApplyRecorder:
    """Records an apply here and on the forge; what began stays recorded until an apply of it succeeds."""

    place: InfraPlace
    held: ReviewedApply
    forge: InfraForge | None

    @property
    def path(self) -> Path:
        """The file of the last apply that changed something, or had nothing to change."""
        return self.place.folder / APPLIED

    def begin(self) -> None:
        """Record that Terraform is let at the resources now."""
        place, reviewed = self.place, self.held.reviewed
        now = InfraApplied(
            place.name, place.head, self.held.before, place.root, place.settings.workspace, WallClock().now(),
            reviewed=reviewed.digests, source=reviewed.source, begun=True,
        )  # fmt: skip
        keep(self.path, now)
        if self.forge is not None:
            self.forge.begin(place.name, place.head)

    def end(self, applied: InfraApplied) -> tuple[str, ...]:
        """Record how it ended; a refusal is told to every pull request, a success to those that changed something."""
        self.keep(applied)
        if applied.applied:
            (self.place.folder / PLAN).unlink(missing_ok=True)  # it was reviewed once, for one apply
        if self.forge is None:
            return ()
        changing = [pull for pull in self.held.pulls if pull.planned and pull.planned.plan]
        changing = [pull for pull in changing if pull.planned and pull.planned.plan and not pull.planned.plan.empty]
        concerned = self.held.pulls if applied.violations else changing
        if applied.destroy:
            concerned = []  # no pull request asked for that
        return self.forge.record(replace(applied, pulls=tuple(pull.number for pull in concerned)))

    def keep(self, applied: InfraApplied) -> None:
        """Write the result here, unless nothing was done."""
        if applied.begun or applied.applied:
            keep(self.path, applied)


@dataclass(frozen=True)
class Applier:
    """Who applies: the role, where lines go, and who agrees at a terminal."""

    role: Role
    words: Channels
    agree: Callable[[InfraPlan], bool] = lambda _: False


def _unlabelled(before: str) -> str:
    """Return how somebody lets a protected resource go where no pull request has a label."""
    last = f": the rules of {before[:12]}, which was applied last, are in force as well" if before else ""
    return f"keep it; where it may go, apply a commit first that only takes it out of `protected`{last}"


def carried_out(subject: InfraSubject, steps: Plan[InfraAction], recorder: ApplyRecorder, how: Applier) -> InfraApplied:
    """Execute the steps of an apply or a destroy, and record how it ended."""
    place, held = recorder.place, recorder.held
    allowed = allowed_by(list(held.pulls), subject.rules)
    labelless = "" if recorder.forge is not None else _unlabelled(held.before)
    around = InfraServices(
        observe=place.observe, allowed=lambda _: allowed, how=labelless, reviewed=held.reviewed, agree=how.agree,
        begin=recorder.begin, end=recorder.end,
    )  # fmt: skip
    with place.tool(how.role, how.words) as tool:
        numbers = tuple(pull.number for pull in held.pulls)
        applied = apply(steps, (subject, tool, around), numbers, WallClock().now, how.words.progress)
    applied = replace(applied, notes=(*applied.notes, *place.unsaved(), *place.exposed()))
    recorder.keep(applied)
    return applied
