"""Draw the decision card of a change, and post it on its pull request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from leverframe import output, wiring
from leverframe.domain import layout
from leverframe.domain.verdict import REFUSED, Failed

_PUBLISHERS = click.Choice(["auto", "cml", "github", "summary", "file"])
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(epilog="Examples: leverframe report --publisher file --html card.html; leverframe report --dry-run")
@click.option("--base", help="Branch or commit the change goes into; what counts is where it left it.  [default: main]")
@click.option("--publisher", type=_PUBLISHERS, help="Who posts the card; by default as in leverframe.yaml.")
@click.option("--card", type=_FILE, help="Post this card, which another job made, as data.")
@click.option("--out", type=_FILE, help=f"Where the card is written; JSON beside.  [default: {layout.REPORT}]")
@click.option("--html", type=_FILE, help="Also write a page to open in a browser.")
@click.option(
    "--key", default="model", show_default=True, help="Tells cards of one pull request apart: a-z, 0-9, dash."
)
@click.option("--assets", is_flag=True, help="Keep curves as pictures on a branch; needs `contents: write`.")
@click.option("--dry-run", is_flag=True, help="Write the card, say what would be posted, post nothing.")
@click.option("--exit-code", "by_code", is_flag=True, help=f"End with {REFUSED} when the change is refused.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def report(context: click.Context, /, as_json: bool, by_code: bool, **asked: Any) -> None:
    """Say on one page whether to merge and why: verdict, metrics with intervals, parameters, slices, data, stages."""
    from leverframe.application.report import Asked
    from leverframe.application.report import report as run

    result = run(wiring.workspace(), Asked(**asked), output.step_summary)
    output.verdict(result, as_json=as_json, report=result.place)
    context.exit(REFUSED if by_code and isinstance(result.verdict, Failed) else 0)
