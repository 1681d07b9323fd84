"""Fit the estimator to the training set and store the model."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Example: leverframe train --json")
@click.option("--json", "as_json", is_flag=True, help="Print the description of the model as JSON.")
def train(as_json: bool) -> None:
    """Fit the estimator of params.yaml to the training set; write models/model.skops and models/model.json."""
    from leverframe.application.train import train as run
    from leverframe.documents import plain

    with wiring.stage("train") as (workspace, record):
        model = run(workspace)
        record.rows(model.rows)
    if as_json:
        output.product_json(plain(model))
    else:
        output.product("\n".join(model.lines()))
