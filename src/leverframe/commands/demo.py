"""Run the whole pipeline, then let months pass on a local forge: traffic, monitor, retraining, deployment."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Examples: leverframe demo; leverframe demo --no-pull-requests")
@click.option(
    "--pull-requests/--no-pull-requests",
    default=True,
    help="Also show what demo.yaml declares, on a local forge.",
)
@click.option("--quick", is_flag=True, help="Let fewer partitions pass.")
def demo(pull_requests: bool, quick: bool) -> None:
    """Run the stale stages and print a summary; then show on a local forge what demo.yaml of the case declares.

    That is pull requests, a deployment to a real server, and partitions that pass one after the other: their rows are
    requests, the monitor looks at them, and a model that got worse is trained anew, merged and deployed.

    In a terminal, pages and server stay up until Ctrl-C; copies of the pages remain as files.
    """
    from leverframe.application.demo import demo as run

    workspace = wiring.workspace()
    output.product("\n".join(run(workspace, output.progress)))
    declared = workspace.case / "demo.yaml"
    if pull_requests and declared.is_file():
        from leverframe.demo.showcase import FOLDER, showing  # the local forge needs an extra

        with showing(workspace, declared, output.progress, quick=quick) as shown:
            output.product("\n".join(shown.lines()))
            output.wait_for_person(
                "pages and server are up; press Ctrl-C to stop them",
                f"no terminal is attached, so pages and server end now; copies of the pages are in {FOLDER}",
            )
