"""Compare the features at request time with those of the training set."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Examples: leverframe parity; leverframe parity --month 2013-09 --json")
@click.option(
    "--month", multiple=True, help="Built month to compare, as YYYY-MM.  [default: the months of the hold-out]"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def parity(month: tuple[str, ...], as_json: bool) -> None:
    """Recompute every row of built months through a snapshot, and fail on any training-serving skew."""
    from leverframe.application.parity import parity as run
    from leverframe.domain.features.parity import refuse

    with wiring.stage("parity") as (workspace, record):
        found = run(workspace, month)
        record.rows(found.rows)
    if as_json:
        output.product_json(found.to_json())
    else:
        output.product("\n".join(found.lines()))
    refuse(found)
