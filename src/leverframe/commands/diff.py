"""Compare what git keeps of the data at two revisions."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Examples: leverframe diff; leverframe diff --base v1.2.0 --head HEAD --json")
@click.option("--base", help="Revision to compare with; by default where the branch left main.")
@click.option("--head", help="Revision that is compared; by default the files as they lie here.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON with every difference.")
def diff(base: str | None, head: str | None, as_json: bool) -> None:
    """Tell what changed in tables, features, contracts and definitions, without pulling any data."""
    from leverframe.application.diff import diff as run
    from leverframe.domain.review.diff.diff_markdown import render

    result = run(wiring.workspace(), base, head)
    if as_json:
        output.product_json(result.to_json())
    else:
        output.product(render(result).rstrip())
