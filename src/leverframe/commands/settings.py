"""Print the settings in force, or the JSON schema of params.yaml."""

from __future__ import annotations

from pathlib import Path

import click

from leverframe import output
from leverframe.settings import PARAMS, read_settings, schema


@click.command(epilog="Example: leverframe settings --schema > params.schema.json")
@click.option("--schema", "as_schema", is_flag=True, help="Print the JSON schema of params.yaml.")
@click.option("--file", type=click.Path(path_type=Path), default=PARAMS, help="Settings file to read.")
def settings(as_schema: bool, file: Path) -> None:
    """Print the settings in force, defaults filled in, as JSON; or the schema of params.yaml."""
    if as_schema:
        output.product(schema().rstrip())
    else:
        output.product_json(read_settings(file).model_dump(mode="json"))
