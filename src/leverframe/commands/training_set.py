"""Select the training set and the hold-out from the built partitions."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Example: leverframe training-set")
def training_set() -> None:
    """Select label and features and split them by time, as `features` of params.yaml declares."""
    from leverframe.application.training_set import training_set as run

    with wiring.stage("training-set") as (workspace, record):
        written = run(workspace)
        record.rows(written.train.rows + written.holdout.rows)
    output.product("\n".join(written.lines()))
