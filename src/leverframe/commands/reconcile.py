"""Keep an environment at what a branch says; the agent beside a server."""

from __future__ import annotations

import click

from leverframe import output, wiring
from leverframe.domain.verdict import REFUSED, Failed


@click.command(epilog="Examples: leverframe reconcile --environment local; leverframe reconcile --watch 30")
@click.option(
    "--environment", default="local", show_default=True, help="Name in `deploy.environments` of leverframe.yaml."
)
@click.option("--follow", default="origin/main", show_default=True, help="Branch whose head should serve.")
@click.option("--watch", type=float, help="Look again after so many seconds, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one document a look.")
@click.pass_context
def reconcile(context: click.Context, environment: str, follow: str, watch: float | None, as_json: bool) -> None:
    """Fetch the branch and deploy its head where something else serves.

    It reads git and the remote of DVC and nothing else, so nobody needs a way in to the server.
    """
    from leverframe.application.reconcile import reconcile as run

    for result in run(wiring.workspace(), environment, follow, watch, output.story):
        output.verdict(result, as_json=as_json)
        if watch is None:
            context.exit(REFUSED if isinstance(result.verdict, Failed) else 0)
