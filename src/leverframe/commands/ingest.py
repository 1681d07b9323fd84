"""Read the sources and write one partition of each table as Parquet."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Example: leverframe ingest --partition 2013-01")
@click.option("--partition", required=True, help="Such as 2013-01, or `static` for lookup tables without a time.")
@click.option(
    "--through", help="Last partition of data that exists, where several have one file; by default data.last."
)
def ingest(partition: str, through: str | None) -> None:
    """Read the sources of the case and write one partition of each table as Parquet."""
    from leverframe.application.ingest import ingest as run

    with wiring.stage("ingest", partition) as (workspace, record):
        written = run(workspace, partition, through)
        record.rows(sum(file.rows for file in written))
        for table in written:
            left_out = f"; {table.later:,} later than data.last are left out" if table.later else ""
            output.product(f"{table.path}  {table.rows:,} rows{left_out}")
