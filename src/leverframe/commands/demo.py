"""Run the whole pipeline with progress, then summarise data, contracts, model and time."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Example: leverframe demo")
def demo() -> None:
    """Run what is stale in the pipeline, and print what came out in a form for people."""
    output.product("\n".join(wiring.demo(output.story)))
