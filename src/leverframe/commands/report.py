"""Render the decision card of a change, and post it on its pull request."""

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
@click.option("--base", help="Target branch or commit, by its merge base.  [default: of the pull request, else main]")
@click.option(
    "--publisher", type=_PUBLISHERS, help="How to post the card.  [default: `report.publisher` of leverframe.yaml]"
)
@click.option("--card", type=_FILE, help="Post this card, which a run of the change made, as a claim; the check fails.")
@click.option(
    "--judged", type=_FILE, help="Post this card, which `leverframe judge` made, as the verdict; needs --pull."
)
@click.option(
    "--unverified", type=_FILE, help="With --judged: show this card, which a run of the change made, below it."
)
@click.option("--unjudged", metavar="WORDS", default="", help="Post that there is no verdict, and why; needs --pull.")
@click.option(
    "--pending", is_flag=True, help="Say in the checks of all pull requests of the event that a verdict is to come."
)
@click.option("--pull", type=click.IntRange(min=1), help="Number of the pull request.")
@click.option("--out", type=_FILE, help=f"File of the card; its JSON lies beside it.  [default: {layout.REPORT}]")
@click.option("--html", type=_FILE, help="Also write an HTML page.")
@click.option(
    "--key", default="model", show_default=True, help="Key of the card, if a pull request has several: a-z, 0-9, dash."
)
@click.option("--assets", is_flag=True, help="Store the curves as SVG files on a branch; needs `contents: write`.")
@click.option("--outputs", type=click.Path(file_okay=False, path_type=Path), help="Also leave the new outputs here.")
@click.option("--dry-run", is_flag=True, help="Write the card and print what it would post; post nothing.")
@click.option("--exit-code", "by_code", is_flag=True, help=f"Exit with {REFUSED} when the verdict is failed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def report(context: click.Context, /, as_json: bool, by_code: bool, outputs: Path | None, **asked: Any) -> None:
    """Show on one page whether to merge and why: verdict, metrics with intervals, parameters, slices, data, stages."""
    from leverframe.application.left_outputs import leave_outputs
    from leverframe.application.report_ways import ReportOptions
    from leverframe.application.report_ways import report as run

    ready = asked["card"] or asked["judged"] or asked["unjudged"] or asked["pending"]
    place = wiring.workspace(anywhere=bool(ready))  # what another job made is posted from anywhere
    result = run(place, ReportOptions(**asked), output.step_summary)
    if outputs:
        leave_outputs(place, asked["base"], outputs)
    output.verdict(result, as_json=as_json, report=result.place)
    output.set_outputs(result.outputs)
    context.exit(REFUSED if by_code and isinstance(result.verdict, Failed) else 0)
