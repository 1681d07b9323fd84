"""Write the snapshot that serves features at request time, as a file or into Redis."""

from __future__ import annotations

from pathlib import Path

import click

from leverframe import output, wiring
from leverframe.domain import layout


@click.command(epilog="Examples: leverframe snapshot; leverframe snapshot --redis redis://localhost:6379/0")
@click.option("--as-of", help="Use what was known before this timestamp.  [default: all that is known]")
@click.option("--since", help="First timestamp that requests may ask for.  [default: --as-of, or the newest events]")
@click.option("--out", type=click.Path(path_type=Path), help=f"Snapshot file.  [default: {layout.SNAPSHOT}]")
@click.option(
    "--redis", help="Write to this Redis instead; LEVERFRAME_SNAPSHOT_REDIS keeps the URL off the command line."
)
@click.option("--ttl", type=click.IntRange(min=1), default=172_800, help="Seconds that Redis keeps the snapshot.")
def snapshot(as_of: str | None, since: str | None, out: Path | None, redis: str | None, ttl: int) -> None:
    """Write what later requests need: the newest rows of each dimension, and the events inside a window."""
    from leverframe.application.snapshot import snapshot as run

    with wiring.stage("snapshot") as (workspace, _):
        where = run(workspace, as_of, since, out or workspace.root / layout.SNAPSHOT, redis, ttl)
    output.product(where)
