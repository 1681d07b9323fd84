"""Build the features of one partition."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Example: leverframe build --partition 2013-01")
@click.option("--partition", required=True, help="Partition whose features are built, such as 2013-01.")
def build(partition: str) -> None:
    """Build the features of one partition by the plan of star.yaml, from what was known at each row's time."""
    from leverframe.application.build import build as run

    with wiring.stage("build", partition) as (workspace, record):
        built = run(workspace, partition)
        record.rows(built.rows)
    output.product(f"{built.path}  {built.rows:,} rows, {built.features} features")
