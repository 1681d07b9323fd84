"""Roll an environment back to an earlier release."""

from __future__ import annotations

import click

from leverframe import output, wiring
from leverframe.domain.verdict import REFUSED, Failed


@click.command(epilog="Examples: leverframe rollback; leverframe rollback --environment staging --to 3")
@click.option(
    "--environment", default="local", show_default=True, help="Name in `deploy.environments` of leverframe.yaml."
)
@click.option("--to", "number", type=int, help="Release to roll back to.  [default: the previous one]")
@click.option("--because", default="rolled back by hand", show_default=True, help="Reason, for the record.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def rollback(context: click.Context, environment: str, number: int | None, because: str, as_json: bool) -> None:
    """Switch the traffic back to the previous release, which is still loaded, so it serves within a second.

    The environment refuses the bundle from then on: the next `deploy` of the same commit does not load it.
    With a GitHub token, Leverframe also opens a pull request that reverts the commit.
    """
    from leverframe.application.rollback import rollback as run

    result = run(wiring.workspace(), environment, number, because, output.progress)
    output.verdict(result, as_json=as_json)
    context.exit(REFUSED if isinstance(result.verdict, Failed) else 0)
