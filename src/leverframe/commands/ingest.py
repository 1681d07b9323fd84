"""Read the sources and write one partition of each table as Parquet."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Example: leverframe ingest --partition 2013-01")
@click.option("--partition", required=True, help="Month as YYYY-MM, or `static` for lookup tables without months.")
@click.option("--json", "as_json", is_flag=True, help="Print the files and their rows as JSON.")
def ingest(partition: str, as_json: bool) -> None:
    """Read the sources of the case and write one partition of each table as Parquet."""
    with wiring.stage("ingest", partition) as record:
        written = wiring.ingest(partition)
        record.rows(sum(each.rows for each in written))
    if as_json:
        output.product_json([{"table": each.table, "path": str(each.path), "rows": each.rows} for each in written])
    else:
        output.product("\n".join(f"{each.path}  {each.rows:,} rows" for each in written))
