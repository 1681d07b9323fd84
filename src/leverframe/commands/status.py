"""List the stale stages with their reasons, from git and dvc.lock alone."""

from __future__ import annotations

import click

from leverframe import output

STALE = 20  # exit code: the pipeline is stale, and the caller passed --exit-code


@click.command(epilog="Example: leverframe status --stage 'build*'")
@click.option("--stage", "pattern", metavar="PATTERN", help="Only stages or stage groups that match.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--graph", "as_graph", is_flag=True, help="Print a Mermaid flowchart coloured by state.")
@click.option("--exit-code", "by_code", is_flag=True, help=f"Exit with {STALE} when a stage is stale.")
@click.pass_context
def status(context: click.Context, pattern: str | None, as_json: bool, as_graph: bool, by_code: bool) -> None:
    """List the stale stages with their reasons, from git, dvc.yaml, the parameters and dvc.lock alone.

    It runs, pulls and changes nothing. Data that are not on this machine do not make a stage stale.
    """
    from leverframe import wiring
    from leverframe.application.status import status as run
    from leverframe.domain.pipeline.status.staleness import selected
    from leverframe.domain.pipeline.status.status_table import document, mermaid, table

    pipeline = run(wiring.workspace(anywhere=True).root)
    shown = selected(pipeline, pattern) if pattern else pipeline
    if as_json:
        output.product_json(document(shown))
    else:
        output.product(mermaid(shown) if as_graph else table(shown))
    context.exit(STALE if by_code and shown.stale else 0)
