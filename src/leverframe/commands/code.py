"""Write the digests of the code that the stages of each partition run."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Example: leverframe code build")
@click.argument("command")
def code(command: str) -> None:
    """Write the digest of each file of code behind COMMAND, which its stages depend on; dvc.yaml lists the files."""
    from leverframe.application.code import code as run

    with wiring.stage("code", command) as (workspace, _):
        path = run(workspace, command)
    output.product(str(path))
