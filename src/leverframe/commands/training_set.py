"""Cut the training set and the hold-out out of the built partitions."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Example: leverframe training-set")
def training_set() -> None:
    """Join label and chosen features, and split them by time: `features` of params.yaml says which and when."""
    from leverframe.application.training_set import training_set as run

    with wiring.stage("training-set") as (workspace, record):
        written = run(workspace)
        record.rows(written.train.rows + written.holdout.rows)
    output.product("\n".join(written.lines()))
