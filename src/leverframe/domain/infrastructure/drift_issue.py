"""The one issue of an environment whose infrastructure drifted: opened, kept up to date, closed by itself."""

from __future__ import annotations

from dataclasses import dataclass

from leverframe.domain.hidden_part import HiddenPart
from leverframe.domain.infrastructure.infra_plan_result import InfraPlanned
from leverframe.domain.infrastructure.infra_section import infra_section
from leverframe.domain.project import WHOLE, Project
from leverframe.domain.single_issue import SingleIssue, Subject
from leverframe.inert.markdown import code

_ROOM = 50_000  # characters


@dataclass(frozen=True)
class DriftRecord:
    """Which plan the issue shows, by its digest; empty where there was nothing to change any more."""

    environment: str
    digest: str


DRIFT = SingleIssue(HiddenPart("leverframe-infra-drift", key="[a-z0-9-]{1,60}"), DriftRecord)


def drift_subject(planned: InfraPlanned, project: Project = WHOLE) -> Subject | None:
    """Return what the issue of an environment should say; None for a plan that was not made, which tells nothing."""
    plan = planned.plan
    if plan is None:
        return None
    name, commit = code(planned.environment, 60), code(planned.head[:12], 12)
    settled = plan.empty and not planned.violations  # nothing to change, and no check fails that refuses a plan
    if settled:
        text = f"The infrastructure of {name} is what {commit} declares."
    else:
        what = (
            f"A check of the infrastructure of {name} fails."
            if plan.empty
            else f"The infrastructure of {name} is not what {commit} declares. An apply would "
            "undo the difference; a commit may declare it instead."
        )
        closes = "This issue closes by itself once the plan is empty and no check fails."
        text = f"{what} {closes}\n\n{infra_section(planned, _ROOM)}"
    record = DriftRecord(planned.environment, "" if settled else plan.digest)
    title = f"Infrastructure of {project.prefix}{planned.environment} drifted"
    return Subject(project.key(planned.environment), title, text, record)
