"""Let an environment serve the model of a commit, without a request that fails."""

from __future__ import annotations

import click

from leverframe import output
from leverframe.domain import layout
from leverframe.domain.verdict import REFUSED, Failed
from leverframe.wiring import deploy as room


@click.command(epilog="Examples: leverframe deploy; leverframe deploy --environment staging --dry-run")
@click.option("--environment", default="local", show_default=True, help="Name in `deploy.environments` of params.yaml.")
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
    if dry_run:
        steps, objects = room.plan(environment, commit, output.story, target)
        output.steps(steps, objects, as_json=as_json)
        return
    found = room.deploy(environment, commit, again, output.story, target=target)
    output.verdict(found, as_json=as_json, report=str(layout.lever("deploy")))
    context.exit(REFUSED if isinstance(found.verdict, Failed) else 0)
