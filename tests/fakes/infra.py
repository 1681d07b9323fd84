"""Terraform in memory: what is declared, what is there, locks, stale plans; a kill or a failure at any step."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from leverframe.domain.infrastructure.infra_apply_result import InfraApplied
from leverframe.domain.infrastructure.infra_forge import LastApply, ReviewedPull
from leverframe.domain.infrastructure.infra_plan import (
    ChangeKind,
    CheckOutcome,
    InfraPlan,
    ResourceChange,
    ToolVersion,
)
from leverframe.domain.infrastructure.infra_plan_result import InfraPlanned
from leverframe.domain.infrastructure.infra_ports import Planning, SavedPlan, StateLock
from leverframe.errors import InfraError, InfraLockedError

ENVIRONMENT = "production"
TOOL = ToolVersion("terraform", "1.11.4")


class KilledError(BaseException):
    """The process ends here."""


def change(address: str, kind: ChangeKind, before: str = "", after: str = "", moved: str = "") -> ResourceChange:
    """Return a change whose digest is of all that it does."""
    digest = hashlib.sha256(repr((address, kind, before, after, moved)).encode()).hexdigest()
    lines = (*([f'- value = "{before}"'] if before else []), *([f'+ value = "{after}"'] if after else []))
    return ResourceChange(address, kind, digest, lines, moved)


def plan(*changes: ResourceChange, checks: tuple[CheckOutcome, ...] = ()) -> InfraPlan:
    """Return a plan of these changes; those with an address ``output.NAME`` are of outputs."""
    digest = hashlib.sha256(repr(sorted((c.address, c.digest) for c in changes)).encode()).hexdigest()
    outputs = tuple(c for c in changes if c.address.startswith("output."))
    return InfraPlan(digest, TOOL, tuple(c for c in changes if c not in outputs), outputs, checks=checks)


@dataclass
class MemoryTerraform:
    """The ``InfraTool`` port over plain data: a value by address, declared and there.

    ``killed_at`` counts the calls and single changes after which the process ends, ``fails_at`` names an address whose
    change fails. ``held`` is somebody else's lock.
    """

    declared: dict[str, str] = field(default_factory=dict)
    there: dict[str, str] = field(default_factory=dict)
    checks: tuple[CheckOutcome, ...] = ()
    held: StateLock | None = None
    killed_at: int = -1
    fails_at: str = ""
    serial: int = 0
    calls: list[str] = field(default_factory=list)
    saved: set[str] = field(default_factory=set)

    def version(self) -> ToolVersion:
        return TOOL

    def initialise(self) -> None:
        self.step("initialise")

    def planned(self, how: Planning) -> SavedPlan:
        self.step("plan")
        if how.lock:
            self._refuse_where_held()
        wanted = {} if how.destroy else self.declared
        changes = [
            *(change(a, ChangeKind.DELETE, self.there[a]) for a in self.there if a not in wanted),
            *(change(a, ChangeKind.CREATE, "", wanted[a]) for a in wanted if a not in self.there),
            *(change(a, ChangeKind.UPDATE, self.there[a], wanted[a]) for a in wanted
              if a in self.there and self.there[a] != wanted[a]),
        ]  # fmt: skip
        handle = f"{len(self.calls)} {self.serial} {how.destroy}"
        self.saved.add(handle)
        return SavedPlan(plan(*changes, checks=() if how.destroy else self.checks), handle)

    def applied(self, saved: SavedPlan) -> None:
        self.step("apply")
        self._refuse_where_held()
        if saved.handle not in self.saved or int(saved.handle.split()[1]) != self.serial:
            raise InfraError("Terraform refused the plan", why="Saved plan is stale", next="plan again")
        for changed in saved.plan.changes:
            if changed.address == self.fails_at:
                raise InfraError("Terraform failed", why=f"{changed.address}: no such machine", next="run it again")
            self.serial += 1
            if changed.kind is ChangeKind.DELETE:
                del self.there[changed.address]
            else:
                self.there[changed.address] = self.declared[changed.address]
            self.step(changed.address)

    def forget(self, saved: SavedPlan) -> None:
        self.saved.discard(saved.handle)

    def outputs(self) -> dict[str, object]:
        return {"count": len(self.there)}

    def lock(self) -> StateLock | None:
        return self.held

    def unlock(self, lock: str) -> None:
        assert self.held is not None
        assert self.held.id == lock
        self.held = None

    def step(self, name: str) -> None:
        """Note a call; the process ends after ``killed_at`` of them."""
        self.calls.append(name)
        if self.killed_at == 0:
            raise KilledError(name)
        self.killed_at -= 1

    def _refuse_where_held(self) -> None:
        if self.held:
            raise InfraLockedError("the state is locked", why=f"{self.held.who} holds it", next="wait")


@dataclass
class Book:
    """What an apply records: that it began, and how it ended."""

    step: Callable[[str], None]
    begun: int = 0
    ended: list[InfraApplied] = field(default_factory=list)

    def begin(self) -> None:
        self.begun += 1
        self.step("begin")

    def end(self, applied: InfraApplied) -> tuple[str, ...]:
        self.step("end")
        self.ended.append(applied)
        return ("recorded in memory",)


def planned_at(made: InfraPlan, head: str = "h" * 40, base: str = "b" * 40) -> InfraPlanned:
    """Return what `infra-plan` leaves of a plan."""
    return InfraPlanned(ENVIRONMENT, head, base, "terraform/environments/production", "default", made)


@dataclass
class MemoryForge:
    """The ``InfraForge`` port over plain data: pull requests by the commit that merged them."""

    pulls: dict[str, ReviewedPull] = field(default_factory=dict)
    applied: LastApply = field(default_factory=LastApply)
    documents: list[InfraPlanned] = field(default_factory=list)
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def pulls_of(self, environment: str, commits: Sequence[str]) -> list[ReviewedPull]:
        assert environment == ENVIRONMENT
        self.asked.append(tuple(commits))
        return [self.pulls[commit] for commit in commits if commit in self.pulls]

    def kept(self, environment: str, digest: str) -> InfraPlanned | None:
        known = [document for document in self.documents if document.environment == environment and document.plan]
        return next((document for document in known if document.plan and document.plan.digest == digest), None)

    def labels(self, number: int) -> tuple[str, ...]:
        return next(pull.labels for pull in self.pulls.values() if pull.number == number)

    def last(self, environment: str) -> LastApply:
        assert environment == ENVIRONMENT
        return self.applied

    def begin(self, environment: str, commit: str) -> None:
        assert environment == ENVIRONMENT
        self.applied = LastApply(self.applied.applied, commit)

    def record(self, applied: InfraApplied) -> tuple[str, ...]:
        self.applied = LastApply(applied.head) if applied.applied else self.applied
        return tuple(f"#{number}" for number in applied.pulls)

    def show_drift(self, planned: InfraPlanned, label: str) -> str:
        return f"an issue labelled {label}" if planned.violations else ""
