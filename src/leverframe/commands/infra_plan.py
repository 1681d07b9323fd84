"""Plan the infrastructure of a change, judge the plan, and leave it for the decision card."""

from __future__ import annotations

from typing import Any

import click

from leverframe import output, wiring
from leverframe.domain.verdict import REFUSED, Failed

_SUMMARY = 900_000  # characters of the summary of a job, which takes a megabyte


@click.command(epilog="Examples: leverframe infra-plan; leverframe infra-plan --environment aws-dev --base origin/main")
@click.option("--environment", help="Name in `infra.environments` of leverframe.yaml.  [default: the only one]")
@click.option("--base", help="Target branch, whose rules are in force as well.  [default: main]")
@click.option("--destroy", is_flag=True, help="Plan to destroy all of it.")
@click.option("--role", help="Role of AWS to act as by the identity of the job; its ARN.")
@click.option("--region", help="Region of AWS; `--role` needs one.")
@click.option("--dry-run", is_flag=True, help="Print the steps and run none.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def infra_plan(context: click.Context, /, dry_run: bool, as_json: bool, **asked: Any) -> None:
    """Show what Terraform would create, change and destroy, and refuse what is protected or fails a check.

    Nothing is locked or changed, except that a backend such as S3 creates a new workspace. The saved plan, which holds
    secrets, is removed at once; what is kept in `.leverframe/infra` has none. `infra-apply` applies exactly this plan,
    or says what has changed by then.
    """
    from leverframe.application import infra_plan as application
    from leverframe.application.infra_place import Channels
    from leverframe.domain.infrastructure.infra_section import infra_section

    place, question = wiring.workspace(), application.PlanOptions(**asked)
    if dry_run:
        output.steps(application.steps(place, question), [], as_json=as_json)
        return
    planned, report = application.infra_plan(place, question, Channels(output.progress, output.mask))
    output.step_summary(infra_section(planned, _SUMMARY))
    output.verdict(planned, as_json=as_json, report=report)
    output.set_outputs({"changes": "false" if planned.plan and planned.plan.empty else "true"})
    context.exit(REFUSED if isinstance(planned.verdict, Failed) else 0)
