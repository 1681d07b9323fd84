"""What `infra-apply` and `infra destroy` leave: what was applied, held to which review, and what was against it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from leverframe.domain.infrastructure.infra_plan import CheckOutcome, InfraPlan
from leverframe.domain.infrastructure.plan_review import PlanDifference
from leverframe.domain.plan_engine import StepResult
from leverframe.domain.verdict import Verdict, Violation, judged, word

VERSION = 1
_LONGEST = 200  # characters of an output


@dataclass(frozen=True)
class InfraApplied:
    """The result of an apply of the commit ``head`` to an environment.

    ``before`` is the commit that was applied before it, as far as it is known. ``plan`` is the fresh plan, without any
    secret. ``reviewed`` are the digests of the plans that it was held to, ``source`` where they came from, ``pulls``
    the numbers of the pull requests whose plans they are. ``begun`` tells that Terraform was let at the resources,
    ``applied`` that all of the plan was done. ``checks`` are those of the plan after it, ``left`` how many changes that
    one still has. ``outputs`` are those that are not secret. ``at`` is ISO 8601.
    """

    environment: str
    head: str
    before: str
    root: str
    workspace: str
    at: str
    plan: InfraPlan | None = None
    destroy: bool = False
    reviewed: tuple[str, ...] = ()
    source: str = ""
    pulls: tuple[int, ...] = ()
    differences: tuple[PlanDifference, ...] = ()
    violations: tuple[Violation, ...] = ()
    begun: bool = False
    applied: bool = False
    checks: tuple[CheckOutcome, ...] = ()
    left: int = 0
    outputs: dict[str, object] | None = None
    steps: tuple[StepResult, ...] = ()
    recorded: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    version: int = VERSION

    @property
    def verdict(self) -> Verdict:
        """Failed for the reasons of the violations, else passed."""
        return judged(self.violations)

    def lines(self) -> Sequence[str]:
        """Return it for a terminal."""
        head = f"{word(self.verdict)}: {self._done()}"
        counts = self.plan.counts if self.plan else {}
        planned = [f"  {', '.join(f'{count} to {kind.value}' for kind, count in counts.items())}"] if counts else []
        different = [f"  {line}" for difference in self.differences for line in difference.lines()]
        violations = [f"{v.reason}: {v.what}\n  next: {v.next}" for v in self.violations]
        steps = [f"  {step.line()}" for step in self.steps]
        outputs = [f"  output {name} = {_shown(value)}" for name, value in (self.outputs or {}).items()]
        return [head, *planned, *steps, *violations, *different, *outputs, *self.recorded, *self.notes]

    def _done(self) -> str:
        if self.applied and self.plan and self.plan.empty:
            return f"`{self.environment}` is as {self.head[:12]} declares it; there was nothing to do"
        if self.applied:
            return f"`{self.environment}` is {'destroyed' if self.destroy else f'applied at {self.head[:12]}'}"
        return f"`{self.environment}` was {'changed in part' if self.begun else 'not changed'}"


def _shown(value: object) -> str:
    """Return an output as JSON, a text as it is where it is a line."""
    plain = isinstance(value, str) and value.isprintable()
    text = str(value) if plain else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"
