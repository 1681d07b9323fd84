"""Apply the infrastructure of a commit, where the plan is exactly the one that was reviewed."""

from __future__ import annotations

from typing import Any

import click

from leverframe import output, wiring
from leverframe.domain.verdict import REFUSED, Failed


@click.command(epilog="Examples: leverframe infra-apply; leverframe infra-apply --environment aws-prod --dry-run")
@click.option("--environment", help="Name in `infra.environments` of leverframe.yaml.  [default: the only one]")
@click.option("--reviewed", help="Digest of the plan that you read.  [default: the plan of the "
              "merged pull requests; without a GitHub token the last one of `infra-plan` here]")  # fmt: skip
@click.option("--role", help="Role of AWS to act as by the identity of the job; its ARN.")
@click.option("--region", help="Region of AWS; `--role` needs one.")
@click.option("--dry-run", is_flag=True, help="Print the steps and run none.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the time of each step.")
@click.pass_context
def infra_apply(context: click.Context, /, dry_run: bool, as_json: bool, **asked: Any) -> None:
    """Plan anew, and apply that plan if it is the reviewed one; otherwise say what differs.

    Protected addresses and failed checks are judged again. After a killed run, run it again: what it did already is not
    planned a second time. With a GitHub token the result is a deployment and a comment on the pull requests.
    """
    from leverframe.application import infra_apply as application
    from leverframe.application.infra_place import Channels
    from leverframe.domain.infrastructure.infra_comment import apply_comment

    place, question = wiring.workspace(), application.ApplyOptions(**asked)
    if dry_run:
        output.steps(application.steps(place, question), [], as_json=as_json)
        return
    applied, report = application.infra_apply(place, question, Channels(output.progress, output.mask))
    output.step_summary(apply_comment(applied))
    output.verdict(applied, as_json=as_json, report=report)
    output.set_outputs({"changes": "true" if applied.begun else "false"})
    context.exit(REFUSED if isinstance(applied.verdict, Failed) else 0)
