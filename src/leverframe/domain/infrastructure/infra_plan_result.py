"""What `infra-plan` leaves: a section of the card, and what `infra-apply` holds a later plan to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leverframe.domain.infrastructure.infra_plan import InfraPlan
from leverframe.domain.infrastructure.infra_ports import StateLock
from leverframe.domain.verdict import Verdict, Violation, judged

VERSION = 1


@dataclass(frozen=True)
class InfraPlanned:
    """The plan of an environment at the commit ``head``, and what is against it.

    ``plan`` is None where none could be made. ``lock`` is the lock that stood when the plan was made, ``applied`` the
    commit that was applied last, as far as this machine or the forge knows; ``seconds`` is how long the plan took.
    """

    environment: str
    head: str
    base: str
    root: str
    workspace: str
    plan: InfraPlan | None = None
    violations: tuple[Violation, ...] = ()
    lock: StateLock | None = None
    applied: str = ""
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    version: int = VERSION

    @property
    def verdict(self) -> Verdict:
        """Failed for the reasons of the violations, else passed."""
        return judged(self.violations)

    def lines(self) -> Sequence[str]:
        """Return it for a terminal: counts, the changes in the order of their kind, and what is against them."""
        violations = [violation.what for violation in self.violations]
        if self.plan is None:
            return [f"{self.environment}: no plan", *violations]
        counts = ", ".join(f"{count} to {kind.value}" for kind, count in self.plan.counts.items()) or "nothing changes"
        changes = [f"  {change.kind.value:<8} {change.address}" for change in self.plan.changes]
        return [f"{self.environment}: {counts}", *changes, *violations]
