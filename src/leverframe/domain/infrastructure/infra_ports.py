"""The port to Terraform or OpenTofu; ``adapters/terraform`` is the only one behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from leverframe.domain.infrastructure.infra_plan import InfraPlan, ToolVersion


@dataclass(frozen=True)
class StateLock:
    """The lock of a state: its id, who holds it, for what, and since when (ISO 8601, as the tool writes it)."""

    id: str
    who: str = ""
    operation: str = ""
    created: str = ""


@dataclass(frozen=True)
class Planning:
    """Which plan is made: ``destroy`` of everything, ``lock`` while it is made (an apply locks in any case)."""

    destroy: bool = False
    lock: bool = False


@dataclass(frozen=True)
class SavedPlan:
    """A plan, and what the tool knows its saved form by, which holds secrets and never leaves this machine.

    ``notes`` are what a reader has to know of it beside. ``first`` returns the plan with the digests that it would have
    before the first apply, to compare with a review of that time and with nothing else; None where it has these itself.
    """

    plan: InfraPlan
    handle: str
    notes: tuple[str, ...] = ()
    first: Callable[[], InfraPlan] | None = field(default=None, repr=False, compare=False)


class InfraTool(Protocol):
    """One environment of Terraform; every line that it prints goes to the progress, secrets hidden.

    Raises ``InfraError`` for what Terraform refuses, ``InfraLockedError`` where somebody else holds the lock,
    ``InstallationError`` where there is no such program or it is too old.
    """

    def version(self) -> ToolVersion:
        """Return the program and its version."""

    def initialise(self) -> None:
        """Prepare the root module: backend, workspace, modules, and providers exactly as the lock file names them."""

    def planned(self, how: Planning) -> SavedPlan:
        """Make a plan and save it in a folder that only this user reads."""

    def applied(self, saved: SavedPlan) -> None:
        """Apply the saved plan, and nothing else; raises ``InfraError`` where it is stale or fails half-way."""

    def forget(self, saved: SavedPlan) -> None:
        """Remove the saved form of a plan; nothing happens where it is gone."""

    def outputs(self) -> dict[str, object]:
        """Return the outputs of the state, those that are sensitive left out."""

    def lock(self) -> StateLock | None:
        """Return the lock of the state that somebody holds, None where nobody does; it takes as long as a plan."""

    def unlock(self, lock: str) -> None:
        """Free the lock with that id, whoever holds it."""
