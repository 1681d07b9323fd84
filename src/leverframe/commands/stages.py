"""Derive dvc.yaml from params.yaml, sources.py and star.yaml."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Example: leverframe stages --write")
@click.option(
    "--write",
    is_flag=True,
    help="Write dvc.yaml and keep your own stages; complete ignore files, remove reports of former partitions.",
)
@click.option("--check", is_flag=True, help="Fail if dvc.yaml differs from the declarations.")
def stages(write: bool, check: bool) -> None:
    """Print the dvc.yaml that follows from the declarations, or write or check it."""
    from leverframe.application import stages as run  # loads what only this command needs

    if check:
        run.check_definition(wiring.workspace())
    elif write:
        changed, notes = run.renew(wiring.workspace())
        output.product("\n".join(changed) or "nothing to write")
        for line in notes:
            output.progress(line)
    else:
        output.product(run.definition(wiring.workspace())[run.DVC_YAML].rstrip())
