"""Build the features of one month, or the training set; explain where features come from."""

from __future__ import annotations

from pathlib import Path

import click

from leverframe import output, wiring
from leverframe.domain import layout


@click.command(
    epilog="Examples: leverframe build --partition 2013-01; leverframe build --explain --partition 2013-03 --row 0"
)
@click.option("--partition", help="Month as YYYY-MM whose features are built, or explained with --row.")
@click.option("--training-set", is_flag=True, help="Cut the training set and the hold-out out of the built months.")
@click.option("--explain", is_flag=True, help="Print the plan instead; with --row, where each feature came from.")
@click.option("--row", type=click.IntRange(min=0), help="Row of the partition to explain, counted from 0.")
@click.option("--mermaid", is_flag=True, help="Print the star schema as a Mermaid picture instead.")
@click.option("--snapshot", is_flag=True, help="Write the snapshot from which features are looked up at request time.")
@click.option("--as-of", help="With --snapshot: what was known before this moment; by default the end of the data.")
@click.option("--since", help="With --snapshot: the first moment it answers for; by default that of --as-of.")
@click.option("--out", type=click.Path(path_type=Path), default=layout.SNAPSHOT, help="With --snapshot: the file.")
@click.option("--redis", help="With --snapshot: URL of a server that gets it instead; LEVERFRAME_BUILD_REDIS hides it.")
@click.option("--ttl", type=click.IntRange(min=1), default=172_800, help="Seconds that Redis keeps the snapshot.")
def build(
    partition: str | None,
    training_set: bool,
    explain: bool,
    row: int | None,
    mermaid: bool,
    snapshot: bool,
    as_of: str | None,
    since: str | None,
    out: Path,
    redis: str | None,
    ttl: int,
) -> None:
    """Build the features of one month, or the training set, by the plan of star.yaml."""
    if mermaid:
        output.product(wiring.star_picture())
    elif explain:
        output.product(wiring.explained(partition, row))
    elif training_set:
        output.product("\n".join(wiring.training_set().lines()))
    elif snapshot:
        output.product(wiring.snapshot(as_of, since, out, redis, ttl))
    elif partition:
        built = wiring.build(partition)
        output.product(f"{built.path}  {built.rows:,} rows, {built.features} features")
    else:
        raise click.UsageError("name a --partition, or ask for --training-set, --snapshot, --explain or --mermaid")
