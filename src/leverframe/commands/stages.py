"""Derive dvc.yaml from params.yaml, sources.py and star.yaml."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Example: leverframe stages --write")
@click.option("--write", is_flag=True, help="Replace dvc.yaml; your own stages at its end are kept.")
@click.option("--check", is_flag=True, help="Fail when dvc.yaml is not what the declarations ask for.")
def stages(write: bool, check: bool) -> None:
    """Print the dvc.yaml that the declarations ask for, or write or check it."""
    if check:
        wiring.check_dvc_yaml()
    elif write:
        wiring.write_dvc_yaml()
    else:
        output.product(wiring.dvc_yaml().rstrip())
