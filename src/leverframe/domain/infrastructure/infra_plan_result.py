"""What `infra-plan` leaves: a section of the card, and what `infra-apply` holds a later plan to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leverframe.domain.infrastructure.infra_plan import InfraPlan
from leverframe.domain.infrastructure.infra_ports import StateLock
from leverframe.domain.infrastructure.state_lock import holder
from leverframe.domain.verdict import Verdict, Violation, judged, word

VERSION = 1
CREATE_FIRST = "the new one is created first"
_SCREEN = 40  # lines


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
        violations = [f"{item.reason}: {item.what}\n  next: {item.next}" for item in self.violations]
        violations += [f"the state is locked: {holder(self.lock)}"] if self.lock else []
        if self.plan is None:
            return [f"{word(self.verdict)}: `{self.environment}` has no plan", *violations, *self.notes]
        shown = plan_lines(self.plan)
        digest = [] if self.plan.empty else [f"digest {self.plan.digest}"]
        digest = [*([shown[0]] if len(shown) > _SCREEN else []), *digest]  # the first line has left the screen
        return [
            f"{word(self.verdict)}: `{self.environment}`, {shown[0]}",
            *shown[1:],
            *digest,
            *violations,
            *self.notes,
        ]


def drift_lines(planned: InfraPlanned) -> Sequence[str]:
    """Return a look for drift for a terminal: drift is what was looked for, so that it is there is no failure."""
    first, *rest = planned.lines()
    verdict = "drift found" if planned.violations else "no drift"
    return [first if planned.plan is None else f"{verdict}: {first.partition(': ')[2]}", *rest]


def plan_lines(plan: InfraPlan) -> list[str]:
    """Return a plan for a terminal: its counts, then every change with its attributes, and the checks that fail."""
    counts = ", ".join(f"{count} to {kind.value}" for kind, count in plan.counts.items())
    outputs = f"{len(plan.outputs)} {'output' if len(plan.outputs) == 1 else 'outputs'}" if plan.outputs else ""
    lines = [", ".join(filter(None, (counts, outputs))) or "nothing changes"]
    for change in (*plan.changes, *plan.outputs):
        came = f", until now {change.before}" if change.before else ""
        why = change.because.replace("these attributes", ", ".join(change.forced_by) or "these attributes")
        why = "; ".join(filter(None, (why, CREATE_FIRST if change.create_first else "")))
        lines.append(f"  {change.kind.value:<8} {change.address}{came}{f' ({why})' if why else ''}")
        lines += [f"      {line}" for line in change.lines]
    lines += [f"  changed outside of Terraform: {change.address}" for change in plan.outside]
    return lines + [f"  check {check.address}: {check.status}" for check in plan.checks if check.failed]
