"""Pack the model with everything that a server needs."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Example: leverframe bundle --json")
@click.option("--json", "as_json", is_flag=True, help="Print the contents of the bundle as JSON.")
def bundle(as_json: bool) -> None:
    """Convert the model to ONNX, compare it with scikit-learn, and pack it with schema, snapshot and golden rows."""
    from leverframe.application.bundle import bundle as run

    with wiring.stage("bundle") as (workspace, record):
        packed = run(workspace)
        record.rows(packed.conversion.rows)
    if as_json:
        output.product_json(packed.to_json())
    else:
        output.product("\n".join(packed.lines()))
