"""What each step of a plan or an apply of infrastructure does; each may be run again after a kill at any place."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import assert_never

from leverframe.domain.infrastructure.infra_apply_result import InfraApplied
from leverframe.domain.infrastructure.infra_plan import InfraPlan
from leverframe.domain.infrastructure.infra_ports import InfraTool, SavedPlan, StateLock
from leverframe.domain.infrastructure.infra_steps import (
    Apply,
    Ask,
    Begin,
    Confirm,
    Guard,
    InfraAction,
    Initialise,
    LookForLock,
    MakePlan,
    Observe,
    Record,
    Review,
)
from leverframe.domain.infrastructure.plan_review import PlanDifference, ReviewedPlans, half_made, review
from leverframe.domain.infrastructure.protection import Protection, failed_checks, some, violations
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import InfraError, LeverframeError

_NOTHING = ReviewedPlans()


@dataclass(frozen=True)
class InfraServices:
    """What the steps need beside Terraform; the defaults do nothing and allow nothing.

    ``observe`` writes what runs here. ``allowed`` tells which protected addresses a plan may destroy, and ``how`` how
    somebody allows it. ``agree`` asks whoever sits at the terminal. ``begin`` and ``end`` record an apply.
    """

    observe: Callable[[], object] = lambda: None
    allowed: Callable[[InfraPlan], Collection[str]] = lambda _: ()
    how: str = ""
    reviewed: ReviewedPlans = _NOTHING
    agree: Callable[[InfraPlan], bool] = lambda _: False
    begin: Callable[[], None] = lambda: None
    end: Callable[[InfraApplied], tuple[str, ...]] = lambda _: ()


@dataclass
class InfraExecutor:
    """Executes the steps of one plan or apply, and keeps what later steps and the result need.

    ``result`` is what is recorded, made of what is known when that happens.
    """

    tool: InfraTool
    around: InfraServices
    result: Callable[[], InfraApplied] | None = None
    saved: SavedPlan | None = None
    lock: StateLock | None = None
    after: InfraPlan | None = None
    begun: bool = False
    applied: bool = False
    outputs: dict[str, object] | None = None
    differences: tuple[PlanDifference, ...] = ()
    recorded: tuple[str, ...] = ()
    violations: list[Violation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def plan(self) -> InfraPlan | None:
        """The plan that was made."""
        return self.saved.plan if self.saved else None

    def run(self, action: InfraAction) -> Violation | None:
        """Execute an action and return the first violation.

        What Terraform refuses is one. Raises what may pass by itself, such as a lock that somebody else holds.
        """
        known = len(self.violations)
        try:
            self._run(action)
        except InfraError as error:
            if error.transient:
                raise
            reason = Reason.APPLY_FAILED if isinstance(action, Apply) else Reason.PLAN_FAILED
            self.violations.append(Violation(reason, f"{error.what}: {error.why}", error.next))
        return next(iter(self.violations[known:]), None)

    def close(self) -> None:
        """Remove the saved plan: it holds variables in clear."""
        if self.saved is not None:
            self.tool.forget(self.saved)

    def _run(self, action: InfraAction) -> None:
        match action:
            case Observe():
                self.around.observe()
            case Initialise():
                self.tool.initialise()
            case MakePlan():
                self.saved = self.tool.planned(action.how)
                self.notes += self.saved.notes
            case LookForLock():
                self.lock = self.tool.lock()
            case Review() | Ask():
                self._review(action)
            case Guard():
                self._guard(action.rules)
            case Begin() | Apply():
                self._apply(action)
            case Confirm():
                self._confirm(action)
            case Record():
                self.recorded = self.around.end(self.result()) if self.result else ()
            case _:
                assert_never(action)

    @property
    def _planned(self) -> SavedPlan:
        assert self.saved is not None  # noqa: S101 - the steps that need it come after the one that makes it
        return self.saved

    def _review(self, action: Review | Ask) -> None:
        plan = self._planned.plan
        if isinstance(action, Review):
            violation, self.differences = review(plan, self.around.reviewed, self._planned.first)
            self.violations += [violation] if violation else []
        elif not plan.empty and not self.around.agree(plan):
            next_ = f"read it, then agree, or run the command with `--reviewed {plan.digest}`"
            what = f"nobody agreed to destroy `{action.environment}`"
            self.violations.append(Violation(Reason.PLAN_UNREVIEWED, what, next_))

    def _guard(self, rules: Protection) -> None:
        plan = self._planned.plan
        allowed, made = self.around.allowed(plan), half_made(plan, self.around.reviewed)
        self.violations += violations(plan, rules, {*allowed, *made}, how=self.around.how)
        self.notes += [
            f"`{change.address}` is protected, but only half made: it is created anew"
            for change in rules.touched(plan)
            if change.address in made
        ]
        names = [change.before or change.address for change in rules.needing_label(plan) if change.address in allowed]
        if names:
            are = "is" if len(names) == 1 else "are"
            self.notes.append(f"{some(names)} {are} protected, and a label allows what becomes of it")

    def _apply(self, action: Begin | Apply) -> None:
        saved = self._planned
        if saved.plan.empty:
            self.applied = True
        elif isinstance(action, Begin):
            self.begun = True  # first: a forge that does not answer may have recorded it
            self.around.begin()
        else:
            self.tool.applied(saved)
            self.applied = True

    def _confirm(self, action: Confirm) -> None:
        """Plan again; a plan that cannot be made is told of, for the apply was done."""
        with suppress(InfraError):
            self.outputs = self.tool.outputs()
        if self._planned.plan.empty:
            self.after = self._planned.plan
            return
        try:
            again = self.tool.planned(action.how)
        except LeverframeError as error:
            self.notes.append(f"it was applied, and cannot be confirmed: {error.what}: {error.why}")
            return
        self.tool.forget(again)
        self.after = again.plan
        if action.rules.refuses_failed_checks:
            self.violations += failed_checks(again.plan.checks)
        if not again.plan.empty:
            left = (
                ", ".join(f"{count} to {kind.value}" for kind, count in again.plan.counts.items()) or "outputs change"
            )
            self.notes.append(f"{left} right after the apply: the configuration does not settle")
