"""Run the stale stages of a change, and recompute its metrics."""

from __future__ import annotations

import click

from leverframe import output, wiring
from leverframe.domain import layout
from leverframe.domain.verdict import REFUSED, Failed


@click.command(epilog="Examples: leverframe reproduce; leverframe reproduce --full")
@click.option("--base", help="Target branch or commit, by its merge base.  [default: of the pull request, else main]")
@click.option("--full", is_flag=True, help="Run every stage, fresh ones too, and compare every output.")
@click.option(
    "--tolerance", type=float, default=1e-4, show_default=True, help="Allowed relative difference of a metric."
)
@click.option("--issue", is_flag=True, help="Tell in one issue whether this commit of the default branch reproduces.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def reproduce(
    context: click.Context, /, base: str | None, full: bool, tolerance: float, issue: bool, as_json: bool
) -> None:
    """Pull only what is needed, run the stale stages, and always run the evaluation, which finds forged metrics."""
    from leverframe.application import reproduce as change  # loads what only this command needs
    from leverframe.application.reproduce_main import reproduce_main

    asked = (wiring.workspace(), base, full, tolerance, output.progress)
    result, report = reproduce_main(*asked) if issue else (change.reproduce(*asked), str(layout.lever("reproduce")))
    output.verdict(result, as_json=as_json, report=report)
    context.exit(REFUSED if isinstance(result.verdict, Failed) else 0)
