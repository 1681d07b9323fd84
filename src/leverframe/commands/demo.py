"""Run the whole pipeline, then open example pull requests on a local forge and deploy one."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Examples: leverframe demo; leverframe demo --no-pull-requests")
@click.option(
    "--pull-requests/--no-pull-requests",
    default=True,
    help="Also open the pull requests of demo.yaml on a local forge.",
)
def demo(pull_requests: bool) -> None:
    """Run the stale stages and print a summary; then open pull requests on a local forge, merge one and deploy it.

    In a terminal, pages and server stay up until Ctrl-C; copies of the pages remain as files.
    """
    from leverframe.application.demo import demo as run
    from leverframe.demo.showcase import showing

    workspace = wiring.workspace()
    output.product("\n".join(run(workspace, output.progress)))
    if pull_requests:
        with showing(workspace, output.progress) as shown:
            output.product("\n".join(shown.lines() if shown else []))
            output.wait_for_person("pages and server are up; press Ctrl-C to stop them" if shown else "")
