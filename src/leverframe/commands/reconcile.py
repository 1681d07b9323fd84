"""Keep an environment at what a branch says; the agent beside a server."""

from __future__ import annotations

import click

from leverframe import output
from leverframe.domain.verdict import REFUSED, Failed
from leverframe.wiring import reconcile as room


@click.command(epilog="Examples: leverframe reconcile --environment local; leverframe reconcile --watch 30")
@click.option("--environment", default="local", show_default=True, help="Name in `deploy.environments` of params.yaml.")
@click.option("--follow", default="origin/main", show_default=True, help="Branch whose head should serve.")
@click.option("--watch", type=float, help="Look again after so many seconds, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one document a look.")
@click.pass_context
def reconcile(context: click.Context, environment: str, follow: str, watch: float | None, as_json: bool) -> None:
    """Fetch the branch and deploy its head where something else serves.

    It reads git and the remote of DVC and nothing else, so nobody needs a way in to the server.
    """
    for found in room.reconcile(environment, follow, watch, output.story):
        output.verdict(found, as_json=as_json)
        if watch is None:
            context.exit(REFUSED if isinstance(found.verdict, Failed) else 0)
