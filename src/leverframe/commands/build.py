"""Build the features of one partition."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Example: leverframe build --partition 2013-01")
@click.option("--partition", required=True, help="Partition to build, such as 2013-01.")
def build(partition: str) -> None:
    """Build the features of one partition as star.yaml declares, from the rows known before each row's `as_of`."""
    from leverframe.application.build import build as run

    with wiring.stage("build", partition) as (workspace, record):
        built = run(workspace, partition)
        record.rows(built.rows)
    output.product(f"{built.path}  {built.rows:,} rows, {built.features} features")
