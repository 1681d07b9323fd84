"""The one issue of an environment whose infrastructure drifted: opened, kept up to date, closed by itself.

Ours is the issue with the label whose body has our hidden part for the environment. What people write around it stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leverframe.documents import parsed
from leverframe.domain.hidden_part import HiddenPart, same
from leverframe.domain.infrastructure.infra_plan_result import InfraPlanned
from leverframe.domain.infrastructure.infra_section import infra_section
from leverframe.domain.monitoring.alerts.alert_executor import Edit
from leverframe.domain.monitoring.alerts.alert_record import Issue
from leverframe.domain.project import WHOLE, Project
from leverframe.inert.markdown import code

_PART = HiddenPart("leverframe-infra-drift", key="[a-z0-9-]{1,60}")
_ROOM = 50_000  # characters


@dataclass(frozen=True)
class DriftRecord:
    """Which plan the issue shows, by its digest; empty where there was nothing to change any more."""

    environment: str
    digest: str


@dataclass(frozen=True)
class Opening:
    """An issue that has to be opened."""

    title: str
    body: str


@dataclass(frozen=True)
class Editing:
    """An issue that is there, and what has to change; None where it is as it should be."""

    issue: Issue
    edit: Edit | None


def drift_step(issues: Sequence[Issue], planned: InfraPlanned, project: Project = WHOLE) -> Opening | Editing | None:
    """Return what has to happen to the issue of an environment; None where there is none and none is needed.

    A plan that was not made tells nothing. Who closes the issue as not planned is not told of the same drift again.
    """
    key, plan = project.key(planned.environment), planned.plan
    mine = _ours(issues, key)
    if mine is None:
        drifted = plan is not None and not _settled(planned)
        title = f"Infrastructure of {project.prefix}{planned.environment} drifted"
        return Opening(title, _body("", planned, key)) if drifted else None
    return Editing(mine, _edit(mine, planned, key))


def _edit(mine: Issue, planned: InfraPlanned, key: str) -> Edit | None:
    plan = planned.plan
    if plan is None:
        return None
    body = _body(mine.body, planned, key)
    if _settled(planned):
        return Edit(body=body, open=False, reason="completed") if mine.open else None
    known = not mine.open and mine.reason == "not_planned" and _digest(mine.body) == plan.digest
    return None if known or (mine.open and same(mine.body, body)) else Edit(body=body, open=True)


def duplicates(issues: Sequence[Issue], environment: str, project: Project = WHOLE) -> list[Issue]:
    """Return the open issues of an environment beside its one: a lost answer let the client open another."""
    key = project.key(environment)
    mine = _ours(issues, key)
    return [issue for issue in issues if issue.open and issue is not mine and _is_of(issue, key)]


def _settled(planned: InfraPlanned) -> bool:
    """Tell whether there is nothing to change, and no check fails that refuses a plan."""
    return planned.plan is not None and planned.plan.empty and not planned.violations


def _ours(issues: Sequence[Issue], key: str) -> Issue | None:
    """Return the issue of an environment, by its key: of several an open one, the oldest."""
    mine = [issue for issue in issues if _is_of(issue, key)]
    return min(mine, key=lambda issue: (not issue.open, issue.number), default=None)


def _is_of(issue: Issue, key: str) -> bool:
    return _PART.key_in(issue.body) == key


def _digest(body: str) -> str:
    try:
        return parsed(DriftRecord, _PART.record_in(body)).digest
    except ValueError:
        return ""


def _body(there: str, planned: InfraPlanned, key: str) -> str:
    plan = planned.plan
    name = code(planned.environment, 60)
    if plan is None or _settled(planned):
        text = f"The infrastructure of {name} is what {code(planned.head[:12], 12)} declares."
    else:
        what = (
            f"A check of the infrastructure of {name} fails."
            if plan.empty
            else f"The infrastructure of {name} is not what {code(planned.head[:12], 12)} declares. An apply would "
            "undo the difference; a commit may declare it instead."
        )
        closes = "This issue closes by itself once the plan is empty and no check fails."
        text = f"{what} {closes}\n\n{infra_section(planned, _ROOM)}"
    record = DriftRecord(planned.environment, "" if plan is None or _settled(planned) else plan.digest)
    return _PART.merged(there, _PART.block(key, text, record))
