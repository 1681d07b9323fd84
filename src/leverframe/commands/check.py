"""Verify settings, definitions and dvc.lock of a change, without credentials or data."""

from __future__ import annotations

import click

from leverframe import output, wiring
from leverframe.domain import layout
from leverframe.domain.verdict import REFUSED, Failed


@click.command(epilog="Examples: leverframe check; leverframe check --base origin/main --json")
@click.option("--base", help="Target branch or commit, by its merge base.  [default: of the pull request, else main]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check(context: click.Context, base: str | None, as_json: bool) -> None:
    """Verify settings, definitions and dvc.lock of a change, and print a command that fixes each violation.

    The reasons distinguish a stale lock, missing data and a lock mismatch. It runs no stage and pulls no data.
    """
    from leverframe.application.check import check as run  # loads what only this command needs

    result = run(wiring.workspace(), base, output.progress)
    output.verdict(result, as_json=as_json, report=str(layout.lever("check")))
    context.exit(REFUSED if isinstance(result.verdict, Failed) else 0)
