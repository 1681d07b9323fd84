"""Look up the features of a request in the snapshot."""

from __future__ import annotations

from pathlib import Path

import click

from leverframe import output, wiring
from leverframe.domain import layout


@click.group(epilog="Example: leverframe features get --as-of 2014-01-01T08:00-05:00 --entity carrier=UA")
def features() -> None:
    """Look up features as the server does."""


@features.command(epilog="Example: leverframe features get --as-of 2014-01-01T08:00-05:00 --entity carrier=UA")
@click.option("--entity", "-e", multiple=True, metavar="NAME=VALUE", help="Raw field of the request; repeatable.")
@click.option("--as-of", required=True, help="Timestamp of the features, ISO 8601 with a time zone.")
@click.option("--snapshot", type=click.Path(path_type=Path), help=f"Snapshot file.  [default: {layout.SNAPSHOT}]")
@click.option("--redis", "url", help="Read from this Redis instead, for example redis://localhost:6379/0.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def get(entity: tuple[str, ...], as_of: str, snapshot: Path | None, url: str | None, as_json: bool) -> None:
    """Print the feature vector of one request; a feature given by its own name overrides the snapshot."""
    from leverframe.application.features import features as run

    fields = dict(pair.split("=", 1) for pair in entity if "=" in pair)
    if len(fields) != len(entity):
        raise click.UsageError("write each --entity once, as NAME=VALUE")
    workspace = wiring.workspace()
    vector = run(workspace, fields, as_of, snapshot or workspace.root / layout.SNAPSHOT, url)
    if as_json:
        output.product_json(vector.to_json())
    else:
        output.product("\n".join(vector.lines()))
