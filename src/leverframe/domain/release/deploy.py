"""How a deployment goes, on whichever target: plan, execute, go back where a step fails, record.

A run that was killed is simply run again: the plan begins with what undoes the rest of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from leverframe.domain.plan_engine import ActionT, Execution, Plan, Step, StepResult, execute
from leverframe.domain.release.latency import Paced
from leverframe.domain.release.ledger import Ledger, Recorded
from leverframe.domain.release.refusals import nothing_to_restore, refused_before
from leverframe.domain.release.release_manifest import ReleaseManifest
from leverframe.domain.release.release_state import Release
from leverframe.domain.release.replay import Replayed
from leverframe.domain.release.steps import GoBack, TrafficBack
from leverframe.domain.release.target import Candidate, DeployExecutor, Target
from leverframe.domain.verdict import Reason, Verdict, Violation, judged, word
from leverframe.errors import LeverframeError


@dataclass(frozen=True)
class Deployed:
    """The result of a deployment: what serves now, the steps, and what was violated."""

    model: str
    environment: str
    serving: Release | None
    before: Release | None
    steps: tuple[StepResult, ...] = ()
    violations: tuple[Violation, ...] = ()
    latency: tuple[Paced, ...] = ()
    replayed: Replayed | None = None
    rolled_back: bool = False
    recorded: Recorded | None = None
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Return passed where the desired bundle serves."""
        return judged(self.violations)

    def lines(self) -> list[str]:
        """Return it for a terminal."""
        at = self.serving
        now = f"release {at.number} of {self.model}, bundle {at.bundle[:12]}" if at else f"no release of {self.model}"
        head = f"{word(self.verdict)}: `{self.environment}` serves {now}"
        recorded = [f"  {line}" for line in self.recorded.lines()] if self.recorded else []
        if not self.steps and not self.violations:
            return [f"{head}; it did already, so there was nothing to deploy", *recorded, *self.notes]
        steps = [f"  {result.line()}" for result in self.steps]
        steps += [f"  {paced.line()}" for paced in self.latency]
        steps += [f"  {self.replayed.line()}"] if self.replayed else []
        violations = [
            f"{violation.reason}: {violation.what}\n  next: {violation.next}" for violation in self.violations
        ]
        back = ["the release before it serves again"] if self.rolled_back and self.before else []
        return [head, *steps, *violations, *back, *recorded, *self.notes]


def planned(target: Target[ActionT], candidate: Candidate) -> Plan[ActionT]:
    """Return the steps that `deploy` would execute; nothing is changed."""
    return (*target.recovery(candidate.manifest, refused=False), *target.plan(candidate))


def deploy(
    target: Target[ActionT], candidate: Candidate, ledger: Ledger | None = None, *, again: bool = False
) -> Deployed:
    """Let the target serve the candidate; a failure is undone and returned as a violation.

    With a ``ledger`` it is recorded where others see it; ``again`` tries a bundle that was refused before. Raises
    ``ServerError`` or ``ClusterError`` where the target is not reachable, the next run finishes or undoes
    the rest then; and ``PromotionError`` where the commit was registered as something else.
    """
    desired = candidate.manifest
    if ledger is not None:
        ledger.check(desired, target.state.serving)
    executor = target.executor(candidate)
    try:
        deployed, blamed = _deployed(target, candidate, executor, ledger, again=again)
    except LeverframeError as error:
        if ledger is not None:
            with suppress(LeverframeError):  # a forge that is not reachable hides nothing of the target
                ledger.lost(error.what)
        raise
    return replace(deployed, recorded=_recorded(ledger, desired, deployed, blamed=blamed)) if ledger else deployed


def _deployed(
    target: Target[ActionT],
    candidate: Candidate,
    executor: DeployExecutor[ActionT],
    ledger: Ledger | None,
    *,
    again: bool,
) -> tuple[Deployed, bool]:
    """Return the result, and whether the commit is to blame where it is a failure."""
    desired, before = candidate.manifest, target.state
    refused = None if again else before.refused.get(desired.bundle)
    plan = target.plan(candidate) if refused is None else ()
    if ledger is not None and (plan or refused is not None):
        ledger.begin(desired)
    recovery = target.recovery(desired, refused=refused is not None)
    execution = _executed(target, (*recovery, *plan), executor, desired)
    blamed = False
    if refused is not None:
        violation: Violation | None = refused_before(desired.bundle, refused)
    elif violation := execution.violation:
        blamed = executor.blames_bundle(violation)
        if blamed and (before.serving is None or before.serving.bundle != desired.bundle):
            state = target.state
            why = f"{violation.reason}: {violation.what}"
            target.record(state.without(desired.bundle, why, state.highest + 1))
    return _result(target, before.serving, execution, violation, executor), blamed or refused is not None


def _executed(
    target: Target[ActionT], plan: Plan[ActionT], executor: DeployExecutor[ActionT], desired: ReleaseManifest
) -> Execution[ActionT]:
    """Execute a plan, then what is needed so that what is recorded answers: only that may be recorded elsewhere."""
    progress = target.context.progress
    execution = execute(plan, executor, progress)
    more = execute(target.repair(desired), executor, progress)
    violation = execution.violation or more.violation
    return replace(execution, results=(*execution.results, *more.results), violation=violation)


def _result(
    target: Target[ActionT],
    before: Release | None,
    execution: Execution[ActionT],
    violation: Violation | None,
    executor: DeployExecutor[ActionT],
) -> Deployed:
    context = target.context
    return Deployed(
        context.model,
        context.environment,
        target.state.serving,
        before,
        execution.results,
        (violation,) if violation else (),
        executor.latency,
        executor.replayed,
        rolled_back=any(isinstance(action, TrafficBack) for action in execution.undone),
    )


def _recorded(ledger: Ledger, desired: ReleaseManifest, deployed: Deployed, *, blamed: bool) -> Recorded | None:
    """Record the result; no pull request reverts a commit that is not to blame."""
    if not deployed.violations:
        return ledger.served(deployed.serving) if deployed.serving else None
    violation = deployed.violations[0]
    if blamed or violation.reason is Reason.BUNDLE_DAMAGED:
        return ledger.failed(desired, violation, deployed.serving)
    ledger.lost(violation.what)
    return None


def _unfinished(target: Target[Any], serving: Release) -> bool:
    """Tell whether another release answers than the one that is recorded."""
    return bool(target.recovery(serving.manifest, refused=False))


def rollback(
    target: Target[Any],
    number: int | None,
    why: str,
    ledger: Ledger | None = None,
    trusted: Callable[[str], Sequence[str]] = lambda _: (),
) -> Deployed:
    """Serve release ``number`` again, by default the one before; the bundle that is left is refused from then on.

    ``trusted`` returns the own types that a model may hold, by the settings of its commit.
    Raises as ``deploy`` does.
    """
    state, context = target.state, target.context
    before, known = state.serving, [release.number for release in state.releases]
    goal = number if number is not None else (known[-2] if len(known) > 1 else None)
    if before is not None and number is None and _unfinished(target, before):
        goal = before.number  # a rollback was killed after it was recorded, or a deployment before: this finishes it
    elif before is None or goal not in known[:-1]:
        violation = nothing_to_restore(context.environment, goal, known)
        return Deployed(context.model, context.environment, before, before, violations=(violation,))
    release = next(release for release in state.releases if release.number == goal)
    candidate = Candidate(release.manifest, trusted=trusted)
    executor = target.executor(candidate)
    plan = (*target.recovery(candidate.manifest, refused=False), Step(GoBack(release.number, why)))
    execution = _executed(target, plan, executor, candidate.manifest)
    deployed = replace(_result(target, before, execution, execution.violation, executor), rolled_back=True)
    if ledger is None or execution.violation is not None or deployed.serving is None:
        return deployed
    return replace(deployed, recorded=ledger.rolled_back(before, deployed.serving, why))
