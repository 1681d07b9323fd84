"""Tell whether a change can be judged: settings, definitions and lock, without credentials or data."""

from __future__ import annotations

import click

from leverframe import output, wiring
from leverframe.domain import layout
from leverframe.domain.verdict import REFUSED, Failed


@click.command(epilog="Examples: leverframe check; leverframe check --base origin/main --json")
@click.option("--base", help="Branch or commit the change goes into; what counts is where it left it.  [default: main]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check(context: click.Context, base: str | None, as_json: bool) -> None:
    """Hold settings, definitions and lock against what git has, and print the command that mends each fault.

    A stale lock, missing data and a lock that does not match are told apart. Nothing is run or fetched.
    """
    from leverframe.application.check import check as run  # loads what only this command needs

    result = run(wiring.workspace(), base)
    output.verdict(result, as_json=as_json, report=str(layout.lever("check")))
    context.exit(REFUSED if isinstance(result.verdict, Failed) else 0)
