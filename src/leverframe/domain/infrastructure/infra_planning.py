"""How a plan of infrastructure is made and judged: for a pull request, and to look for drift."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace

from leverframe.domain.infrastructure.infra_executor import InfraExecutor, InfraServices
from leverframe.domain.infrastructure.infra_plan_result import InfraPlanned
from leverframe.domain.infrastructure.infra_ports import InfraTool, Planning
from leverframe.domain.infrastructure.infra_steps import (
    PLAIN,
    Guard,
    InfraAction,
    Initialise,
    LookForLock,
    MakePlan,
    Observe,
)
from leverframe.domain.infrastructure.protection import Protection, failed_checks
from leverframe.domain.plan_engine import Plan, Progress, Step, execute
from leverframe.domain.verdict import Reason, Violation

_REMEDY = "apply what is declared with `leverframe infra-apply`, or declare what is there in a pull request"
_AGAIN = f"look again when the lock is free: somebody may be applying just that; else {_REMEDY}"


@dataclass(frozen=True)
class InfraSubject:
    """The environment at a commit: its root module and the rules in force.

    ``base`` is the commit that it is compared with: the merge base of a change, or what was applied before.
    ``observes`` tells whether somebody writes what runs on this machine.
    """

    environment: str
    head: str
    base: str
    root: str
    workspace: str
    rules: Protection
    observes: bool = False


def prepared(subject: InfraSubject, how: Planning) -> Plan[InfraAction]:
    """Return the steps up to a plan."""
    observe: Plan[InfraAction] = (Step(Observe()),) if subject.observes else ()
    return (*observe, Step(Initialise(subject.root)), Step(MakePlan(subject.environment, how)))


def plan_steps(subject: InfraSubject, how: Planning = PLAIN) -> Plan[InfraAction]:
    """Return the steps of `infra-plan`."""
    return (*prepared(subject, how), Step(Guard(subject.rules)))


def plan_of(
    subject: InfraSubject,
    tool: InfraTool,
    around: InfraServices,
    progress: Progress,
    how: Planning = PLAIN,
) -> InfraPlanned:
    """Make the plan of an environment and judge it; what Terraform refuses is a violation.

    Raises ``InfraLockedError`` and ``InstallationError`` as the tool does. Nothing that is saved stays.
    """
    return _planned(plan_steps(subject, how), (subject, tool, around), progress)


def drift_steps(subject: InfraSubject) -> Plan[InfraAction]:
    """Return the steps of `infra drift`."""
    return (*prepared(subject, PLAIN), Step(LookForLock(subject.environment)))


def drift_of(
    subject: InfraSubject, tool: InfraTool, around: InfraServices, progress: Progress, *, edited: bool = False
) -> InfraPlanned:
    """Return what differs between an environment and its configuration, which is a violation, as a failed check is.

    ``edited`` tells that the files here are not those of the commit. Raises as ``plan_of``.
    """
    planned = _planned(drift_steps(subject), (subject, tool, around), progress)
    if planned.plan is not None and subject.rules.refuses_failed_checks:
        planned = replace(planned, violations=(*planned.violations, *failed_checks(planned.plan.checks)))
    if planned.plan is None or planned.plan.empty:
        return planned
    count, declared = planned.plan.pending, f"{subject.head[:12]} declares"
    violation = Violation(
        Reason.INFRA_DRIFTED,
        f"`{subject.environment}` is not what {'the edited files here declare' if edited else declared}: {count} "
        f"{'difference' if count == 1 else 'differences'}",
        _AGAIN if planned.lock else _REMEDY,
    )
    return replace(planned, violations=(violation, *planned.violations))


def _planned(
    steps: Plan[InfraAction], of: tuple[InfraSubject, InfraTool, InfraServices], progress: Progress
) -> InfraPlanned:
    subject, tool, around = of
    with closing(InfraExecutor(tool, around)) as executor:
        execution = execute(steps, executor, progress)
    return InfraPlanned(
        environment=subject.environment,
        head=subject.head,
        base=subject.base,
        root=subject.root,
        workspace=subject.workspace,
        plan=executor.plan,
        violations=tuple(executor.violations),
        lock=executor.lock,
        seconds=round(sum(result.seconds for result in execution.results), 3),
        notes=tuple(executor.notes),
    )
