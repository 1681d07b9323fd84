"""Compare the data profiles in git at two revisions."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Examples: leverframe diff; leverframe diff --base v1.2.0 --head HEAD --json")
@click.option("--base", help="Revision to compare with.  [default: merge base with main]")
@click.option("--head", help="Revision to compare.  [default: working tree]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON with every difference.")
def diff(base: str | None, head: str | None, as_json: bool) -> None:
    """Report the changes of tables, features, contracts and definitions, without pulling any data."""
    from leverframe.application.diff import diff as run
    from leverframe.domain.review.diff.diff_markdown import render

    result = run(wiring.workspace(), base, head)
    if as_json:
        output.product_json(result.to_json())
    else:
        output.product(render(result).rstrip())
