"""Bring the online store up to date, without a deployment."""

from __future__ import annotations

from typing import Any

import click

from leverframe import output, wiring


@click.command(epilog="Examples: leverframe materialize; leverframe materialize --as-of 2014-01-02T06:00Z --json")
@click.option("--as-of", help="Use what was known before this timestamp, as 2014-01-02T06:00Z.  [default: now]")
@click.option("--full", is_flag=True, help="Build the store anew from everything in reach.")
@click.option("--dry-run", is_flag=True, help="Read and check, print what would be written, and change nothing.")
@click.option("--ttl", type=click.IntRange(min=60), default=604_800, help="Seconds that Redis keeps what is written.")
@click.option("--check", is_flag=True, help="Write nothing; compare the store with a build of the days it answers for.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def materialize(check: bool, as_json: bool, **asked: Any) -> None:
    """Read what became known since the last time, and let servers look features up in it within seconds.

    New rows come from the sources, beyond `data.last` too, and are checked against their contracts. Only the rows
    of keys that changed are written. The data of the repository are not touched, and no model is deployed.
    """
    from leverframe.application.materialize import MaterializeOptions, refuse_other
    from leverframe.application.materialize import materialize as run

    if check:
        parity = refuse_other(wiring.workspace())
        output.result(parity, parity.lines(), as_json=as_json)
        return
    result = run(wiring.workspace(), MaterializeOptions(**asked), output.progress)
    output.result(result, result.lines(), as_json=as_json)
