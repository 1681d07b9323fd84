"""Deploy the model of a commit to an environment, without a failed request."""

from __future__ import annotations

import click

from leverframe import output, wiring
from leverframe.domain import layout
from leverframe.domain.verdict import REFUSED, Failed


@click.command(epilog="Examples: leverframe deploy; leverframe deploy --environment staging --dry-run")
@click.option(
    "--environment", default="local", show_default=True, help="Name in `deploy.environments` of leverframe.yaml."
)
@click.option("--target", type=click.Choice(["server", "kubernetes"]), help="Kind of target.  [default: as the "
              "environment declares]")  # fmt: skip
@click.option("--commit", default="HEAD", show_default=True, help="Commit whose bundle to deploy.")
@click.option("--again", is_flag=True, help="Retry a bundle that this environment refused before.")
@click.option("--dry-run", is_flag=True, help="Print the steps and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the time of each step.")
@click.pass_context
def deploy(
    context: click.Context, environment: str, target: str | None, commit: str, again: bool, dry_run: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Load the bundle beside the serving one, test it, switch the traffic, verify it; roll back on any failure.

    Deploy starts a server that does not run, and does nothing if the bundle serves already. On a cluster
    it applies manifests, which roll out the release pod by pod; `--dry-run --json` prints both. It records
    version and assignment as tags; with a GitHub token also as a deployment, and it opens a revert pull
    request for a commit that failed.
    """
    from leverframe.application import deploy as application

    place, asked = wiring.workspace(), application.DeployOptions(environment, commit, again, target=target)
    if dry_run:
        steps, objects = application.plan(place, asked, output.progress)
        output.steps(steps, objects, as_json=as_json)
        return
    result = application.deploy(place, asked, output.progress)
    output.verdict(result, as_json=as_json, report=str(layout.lever("deploy")))
    if result.notes:
        output.step_summary("\n".join(result.notes))
    context.exit(REFUSED if isinstance(result.verdict, Failed) else 0)
