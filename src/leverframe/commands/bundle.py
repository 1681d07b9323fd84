"""Pack the model with everything that a server needs."""

from __future__ import annotations

from pathlib import Path

import click

from leverframe import output, wiring


@click.command(epilog="Example: leverframe bundle --json")
@click.option("--json", "as_json", is_flag=True, help="Print the contents of the bundle as JSON.")
@click.option("--convert", type=click.Path(path_type=Path, file_okay=False), hidden=True,
              help="Convert the model in a folder and leave the result there: the child of the stage.")  # fmt: skip
def bundle(as_json: bool, convert: Path | None) -> None:
    """Convert the model to ONNX, compare it with scikit-learn, and pack it with schema, snapshot and golden rows."""
    if convert is not None:  # the child that does the first of these
        from leverframe.application.conversion import convert as alone

        alone(Path(), convert)
        return
    from leverframe.application.bundle import bundle as run

    with wiring.stage("bundle") as (workspace, record):
        packed = run(workspace, output.progress)
        record.rows(packed.conversion.rows)
    if as_json:
        output.product_json(packed.to_json())
    else:
        output.product("\n".join(packed.lines()))
