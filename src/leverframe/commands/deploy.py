"""Let an environment serve the model of a commit, without a request that fails."""

from __future__ import annotations

import click

from leverframe import output, wiring
from leverframe.domain import layout
from leverframe.domain.verdict import REFUSED, Failed


@click.command(epilog="Examples: leverframe deploy; leverframe deploy --environment staging --dry-run")
@click.option(
    "--environment", default="local", show_default=True, help="Name in `deploy.environments` of leverframe.yaml."
)
@click.option("--target", type=click.Choice(["server", "kubernetes"]), help="What takes the release.  [default: as the "
              "environment declares]")  # fmt: skip
@click.option("--commit", default="HEAD", show_default=True, help="Commit whose bundle should serve.")
@click.option("--again", is_flag=True, help="Try a bundle once more that was refused here before.")
@click.option("--dry-run", is_flag=True, help="Print the steps and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the time of each step.")
@click.pass_context
def deploy(
    context: click.Context, environment: str, target: str | None, commit: str, again: bool, dry_run: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Load the bundle beside the served one, try it, give it the traffic, watch it; go back if anything is wrong.

    A server that does not run is started. Where the bundle is served already nothing is done. To a cluster
    manifests are applied, and pods of the release take over one by one; `--dry-run --json` prints both.
    Version and assignment become tags; with a token of GitHub, also a deployment, and a pull request that
    takes back what could not serve.
    """
    from leverframe.application import deploy as application

    place, asked = wiring.workspace(), application.Asked(environment, commit, again, target=target)
    if dry_run:
        steps, objects = application.plan(place, asked, output.story)
        output.steps(steps, objects, as_json=as_json)
        return
    result = application.deploy(place, asked, output.story)
    output.verdict(result, as_json=as_json, report=str(layout.lever("deploy")))
    context.exit(REFUSED if isinstance(result.verdict, Failed) else 0)
