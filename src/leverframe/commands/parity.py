"""Compare the features at request time with those of the training set."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Examples: leverframe parity; leverframe parity --partition 2013-09 --json")
@click.option("--partition", multiple=True, help="Built partition to compare.  [default: those of the hold-out]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def parity(partition: tuple[str, ...], as_json: bool) -> None:
    """Recompute every row of built partitions through a snapshot, and fail on any training-serving skew."""
    from leverframe.application.parity import parity as run
    from leverframe.domain.features.parity import refuse

    with wiring.stage("parity") as (workspace, record):
        result = run(workspace, partition)
        record.rows(result.rows)
    if as_json:
        output.product_json(result.to_json())
    else:
        output.product("\n".join(result.lines()))
    refuse(result)
