"""Keep an environment at the head of a branch; the agent beside a server."""

from __future__ import annotations

import click

from leverframe import output, wiring
from leverframe.domain.verdict import REFUSED, Failed


@click.command(epilog="Examples: leverframe reconcile --environment local; leverframe reconcile --watch 30")
@click.option(
    "--environment", default="local", show_default=True, help="Name in `deploy.environments` of leverframe.yaml."
)
@click.option("--follow", help="Branch whose head to deploy.  [default: default branch of origin]")
@click.option("--watch", type=float, help="Repeat every so many seconds, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one document per run.")
@click.pass_context
def reconcile(context: click.Context, environment: str, follow: str | None, watch: float | None, as_json: bool) -> None:
    """Fetch the branch, and deploy its head if the environment serves another bundle.

    It reads only git and the DVC remote, so CI needs no access to the server.
    """
    from leverframe.application.reconcile import reconcile as run

    for result in run(wiring.workspace(), environment, follow, watch, output.progress):
        output.verdict(result, as_json=as_json)
        if watch is None:
            context.exit(REFUSED if isinstance(result.verdict, Failed) else 0)
