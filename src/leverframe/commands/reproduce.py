"""Run what is stale, and make again what vouches for the figures of a change."""

from __future__ import annotations

import click

from leverframe import output, wiring
from leverframe.domain import layout
from leverframe.domain.verdict import REFUSED, Failed


@click.command(epilog="Examples: leverframe reproduce; leverframe reproduce --full")
@click.option("--base", help="Branch or commit the change goes into; what counts is where it left it.  [default: main]")
@click.option("--full", is_flag=True, help="Run every stage, also those that are fresh.")
@click.option("--tolerance", type=float, default=1e-4, show_default=True, help="How far figures may differ, relative.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def reproduce(context: click.Context, base: str | None, full: bool, tolerance: float, as_json: bool) -> None:
    """Pull only what changed, run what is stale, and run the evaluation in any case: forged metrics are result."""
    from leverframe.application.reproduce import reproduce as run  # loads what only this command needs

    result = run(wiring.workspace(), base, full, tolerance, output.story)
    output.verdict(result, as_json=as_json, report=str(layout.lever("reproduce")))
    context.exit(REFUSED if isinstance(result.verdict, Failed) else 0)
