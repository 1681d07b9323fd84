"""Evaluate the model on the hold-out: metrics, intervals, slices, plots, model card."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Example: leverframe evaluate --json")
@click.option("--json", "as_json", is_flag=True, help="Print the metrics as JSON.")
def evaluate(as_json: bool) -> None:
    """Evaluate the stored model on the hold-out; write metrics, plots, pictures, predictions and the model card."""
    from leverframe.application.evaluate import evaluate as run

    with wiring.stage("evaluate") as (workspace, record):
        evaluation = run(workspace)
        record.rows(len(evaluation.holdout.labels))
    if as_json:
        output.product_json(evaluation.metrics)
    else:
        output.product("\n".join(evaluation.lines()))
