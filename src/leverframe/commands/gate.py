"""Compare the candidate with the champion of the merge base, on the same rows."""

from __future__ import annotations

from pathlib import Path

import click

from leverframe import output, wiring
from leverframe.domain import layout
from leverframe.domain.verdict import REFUSED, Failed


@click.command(epilog="Examples: leverframe gate; leverframe gate --base origin/main --log logs --json")
@click.option("--base", help="Target branch or commit, by its merge base.  [default: of the pull request, else main]")
@click.option(
    "--log",
    type=click.Path(path_type=Path),
    help="Inference log to replay against both models.  [default: the log of a server on this machine]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def gate(context: click.Context, base: str | None, log: Path | None, as_json: bool) -> None:
    """Decide whether the change may be merged, by the rules of the base branch: metrics, slices, data, parity, size.

    If a log of the served model is available, the gate replays its newest requests against both models.
    """
    from leverframe.application.gate import gate as run  # loads what only this command needs

    result = run(wiring.workspace(), base, log, output.progress)
    output.verdict(result, as_json=as_json, report=str(layout.lever("gate")))
    context.exit(REFUSED if isinstance(result.verdict, Failed) else 0)
