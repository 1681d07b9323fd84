"""Write the snapshot from which features are looked up at request time."""

from __future__ import annotations

from pathlib import Path

import click

from leverframe import output, wiring
from leverframe.domain import layout


@click.command(epilog="Examples: leverframe snapshot; leverframe snapshot --redis redis://localhost:6379/0")
@click.option("--as-of", help="What was known before this timestamp; by default the end of the data.")
@click.option("--since", help="The first timestamp it answers for; by default that of --as-of.")
@click.option("--out", type=click.Path(path_type=Path), help=f"The file.  [default: {layout.SNAPSHOT}]")
@click.option("--redis", help="URL of a server that gets it instead; LEVERFRAME_SNAPSHOT_REDIS hides it.")
@click.option("--ttl", type=click.IntRange(min=1), default=172_800, help="Seconds that Redis keeps the snapshot.")
def snapshot(as_of: str | None, since: str | None, out: Path | None, redis: str | None, ttl: int) -> None:
    """Write what any later request can ask for: the newest rows of lookups, and the events still in a window."""
    from leverframe.application.snapshot import snapshot as run

    with wiring.stage("snapshot") as (workspace, _):
        where = run(workspace, as_of, since, out or workspace.root / layout.SNAPSHOT, redis, ttl)
    output.product(where)
