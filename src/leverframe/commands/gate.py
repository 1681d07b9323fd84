"""Judge the model of a change against the one at the merge base, on the same rows."""

from __future__ import annotations

from pathlib import Path

import click

from leverframe import output, wiring
from leverframe.domain import layout
from leverframe.domain.verdict import REFUSED, Failed


@click.command(epilog="Examples: leverframe gate; leverframe gate --base origin/main --log logs --json")
@click.option("--base", help="Branch or commit the change goes into; what counts is where it left it.  [default: main]")
@click.option(
    "--log",
    type=click.Path(path_type=Path),
    help="Folder of an inference log, whose requests are asked of both models; by default that of a server here.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def gate(context: click.Context, base: str | None, log: Path | None, as_json: bool) -> None:
    """Say whether the change may be merged, by the rules of the base branch: metrics, slices, data, parity, size.

    Where a log of the served model is at hand, its newest requests are asked of both models.
    """
    from leverframe.application.gate import gate as run  # loads what only this command needs

    result = run(wiring.workspace(), base, log, output.story)
    output.verdict(result, as_json=as_json, report=str(layout.lever("gate")))
    context.exit(REFUSED if isinstance(result.verdict, Failed) else 0)
