"""How infrastructure is applied and destroyed: a fresh plan, held to what was reviewed, applied as it is, confirmed.

A run that was killed is simply run again: it plans anew from what is there. What an apply that had begun did already
is not planned again, and the rest has to be as it was reviewed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from leverframe.domain.infrastructure.infra_apply_result import InfraApplied
from leverframe.domain.infrastructure.infra_executor import InfraExecutor, InfraServices
from leverframe.domain.infrastructure.infra_forge import ReviewedPull
from leverframe.domain.infrastructure.infra_planning import InfraSubject, prepared
from leverframe.domain.infrastructure.infra_ports import InfraTool, Planning
from leverframe.domain.infrastructure.infra_steps import (
    PLAIN,
    Apply,
    Ask,
    Begin,
    Confirm,
    Guard,
    InfraAction,
    Observe,
    Record,
    Review,
)
from leverframe.domain.infrastructure.protection import Protection
from leverframe.domain.plan_engine import Plan, Progress, Step, execute

_LOCKED = Planning(lock=True)


def apply_steps(subject: InfraSubject) -> Plan[InfraAction]:
    """Return the steps of `infra-apply`."""
    judged: Plan[InfraAction] = (Step(Review()), Step(Guard(subject.rules)))
    return (*prepared(subject, _LOCKED), *judged, *_done(subject, subject.rules, PLAIN))


def destroy_steps(subject: InfraSubject, *, asks: bool) -> Plan[InfraAction]:
    """Return the steps of `infra destroy`, which ``asks`` at a terminal or is held to a digest."""
    how, rules = Planning(destroy=True, lock=True), replace(subject.rules, refuses_failed_checks=False)
    approval: InfraAction = Ask(subject.environment) if asks else Review()
    judged: Plan[InfraAction] = (Step(Guard(rules)), Step(approval))  # nobody is asked about what is refused anyway
    return (*prepared(subject, how), *judged, *_done(subject, rules, Planning(destroy=True)))


def _done(subject: InfraSubject, rules: Protection, how: Planning) -> Plan[InfraAction]:
    observe: Plan[InfraAction] = (Step(Observe()),) if subject.observes else ()
    return (Step(Begin()), Step(Apply()), *observe, Step(Confirm(rules, how)), Step(Record()))


def apply(
    steps: Plan[InfraAction],
    of: tuple[InfraSubject, InfraTool, InfraServices],
    pulls: tuple[int, ...],
    now: Callable[[], str],
    progress: Progress,
) -> InfraApplied:
    """Execute the steps of an apply or a destroy, and record how it ended, well or not.

    ``pulls`` are the numbers of the pull requests that are applied. Raises ``InfraLockedError`` and
    ``InstallationError`` as the tool does, and ``PublishError`` where the forge does not take the record.
    """
    subject, tool, around = of
    destroys = any(isinstance(step.action, Ask) or _destroys(step.action) for step in steps)

    def result() -> InfraApplied:
        after = executor.after
        return InfraApplied(
            environment=subject.environment,
            head=subject.head,
            before=subject.base,
            root=subject.root,
            workspace=subject.workspace,
            at=now(),
            plan=executor.plan,
            destroy=destroys,
            reviewed=around.reviewed.digests,
            source=around.reviewed.source,
            pulls=pulls,
            differences=executor.differences,
            violations=tuple(executor.violations),
            begun=executor.begun,
            applied=executor.applied,
            checks=after.checks if after else (),
            left=after.pending if after else 0,
            outputs=executor.outputs,
            recorded=executor.recorded,
            notes=tuple(executor.notes),
        )

    with closing(InfraExecutor(tool, around, result)) as executor:
        execution = execute(steps, executor, progress)
        if execution.violation is not None:
            last = execute((Step[InfraAction](Record()),), executor, progress)
            execution = replace(execution, results=(*execution.results, *last.results))
    return replace(result(), steps=execution.results)


def _destroys(action: InfraAction) -> bool:
    return isinstance(action, Confirm) and action.how.destroy


def allowed_by(pulls: list[ReviewedPull], rules: Protection) -> frozenset[str]:
    """Return the addresses that labelled pull requests were reviewed to destroy, replace or protect no longer."""
    labelled = [pull.planned for pull in pulls if pull.planned and rules.label in pull.labels]
    plans = [planned.plan for planned in labelled if planned.plan]
    return frozenset(change.address for plan in plans for change in (*plan.destructive, *rules.escaping(plan)))


def in_order(pulls: list[ReviewedPull], contains: Callable[[str, str], bool]) -> list[ReviewedPull]:
    """Return the pull requests whose plans count: a plan that was made with a merge in its base speaks of it as well.

    ``pulls`` are in the order of their merges; ``contains`` tells whether the first commit has the second one.
    """
    counting: list[ReviewedPull] = []
    for pull in pulls:
        base = pull.planned.base if pull.planned else ""
        counting = [before for before in counting if not (base and contains(base, before.merged))]
        counting.append(pull)
    return counting
