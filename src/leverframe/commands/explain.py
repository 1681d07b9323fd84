"""Print the plan of the features, a diagram, or the source rows behind the features of one row."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Examples: leverframe explain --mermaid; leverframe explain --partition 2013-03 --row 0")
@click.option("--partition", help="Built partition of the row, such as 2013-03.")
@click.option("--row", type=click.IntRange(min=0), help="Row of the partition, counted from 0.")
@click.option("--mermaid", is_flag=True, help="Print the star schema as a Mermaid diagram.")
def explain(partition: str | None, row: int | None, mermaid: bool) -> None:
    """Print the plan of star.yaml or, given a row, the source rows behind each of its features."""
    from leverframe.application.explain import explain as run
    from leverframe.application.explain import picture

    workspace = wiring.workspace()
    output.product(picture(workspace) if mermaid else "\n".join(run(workspace, partition, row)))
