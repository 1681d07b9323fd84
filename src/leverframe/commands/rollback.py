"""Let an environment serve an earlier release again."""

from __future__ import annotations

import click

from leverframe import output, wiring
from leverframe.domain.verdict import REFUSED, Failed


@click.command(epilog="Examples: leverframe rollback; leverframe rollback --environment staging --to 3")
@click.option(
    "--environment", default="local", show_default=True, help="Name in `deploy.environments` of leverframe.yaml."
)
@click.option("--to", "number", type=int, help="Release to go back to.  [default: the one before]")
@click.option("--because", default="rolled back by hand", show_default=True, help="Why; it is kept in the record.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def rollback(context: click.Context, environment: str, number: int | None, because: str, as_json: bool) -> None:
    """Take the newest release away; the one before is open still, so it answers within a second.

    The bundle that is left counts as refused: the next `deploy` of the same commit does not bring it back.
    With a token of GitHub, a pull request then takes its commit back, so that git says the same.
    """
    from leverframe.application.rollback import rollback as run

    result = run(wiring.workspace(), environment, number, because, output.story)
    output.verdict(result, as_json=as_json)
    context.exit(REFUSED if isinstance(result.verdict, Failed) else 0)
