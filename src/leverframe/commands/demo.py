"""Run the whole pipeline with progress, then show what a better and a worse pull request look like."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Examples: leverframe demo; leverframe demo --no-pull-requests")
@click.option("--pull-requests/--no-pull-requests", default=True, help="Also open the case's pull requests locally.")
def demo(pull_requests: bool) -> None:
    """Run what is stale, print what came out; then pull requests on the local forge, a merge and what it deploys.

    Pages and server stay up until Ctrl-C where a person watches; copies of the pages are kept as files.
    """
    from leverframe.application.demo import demo as run
    from leverframe.demo.showcase import showing

    workspace = wiring.workspace()
    output.product("\n".join(run(workspace, output.story)))
    if pull_requests:
        with showing(workspace, output.story) as shown:
            output.product("\n".join(shown.lines() if shown else []))
            output.wait_for_person("pages and server are up; Ctrl-C ends them" if shown else "")
