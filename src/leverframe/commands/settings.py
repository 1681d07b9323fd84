"""Print the settings in force, or the JSON schema of a settings file."""

from __future__ import annotations

import click

from leverframe import output, wiring
from leverframe.settings import LEVERS, PARAMS

_FILES = click.Choice([str(PARAMS), str(LEVERS)])


@click.command(epilog="Example: leverframe settings --schema --file leverframe.yaml > leverframe.schema.json")
@click.option("--file", type=_FILES, help="Only this file.  [default: both]")
@click.option("--schema", "as_schema", is_flag=True, help="Print the JSON schema of the file instead.")
def settings(file: str | None, as_schema: bool) -> None:
    """Print the settings in force as JSON with their defaults: params.yaml for stages, leverframe.yaml for levers."""
    from leverframe.settings import levers, params

    workspace = wiring.workspace()
    if as_schema:
        output.product((levers if file == str(LEVERS) else params).schema().rstrip())
        return
    paths = {name: workspace.root / name for name in (PARAMS, LEVERS)}
    if file is None and paths[LEVERS].is_file() and not paths[PARAMS].is_file():
        file = str(LEVERS)  # a repository of infrastructure alone has no stages
    stages = {} if file == str(LEVERS) else workspace.params.model_dump(mode="json")
    output.product_json(stages | ({} if file == str(PARAMS) else workspace.levers.model_dump(mode="json")))
