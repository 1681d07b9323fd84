"""Merge two versions of dvc.lock or of a report; the merge driver that git calls."""

from __future__ import annotations

from pathlib import Path

import click

from leverframe import output

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(epilog="Example: leverframe merge base.lock ours.lock theirs.lock dvc.lock")
@click.argument("base", type=_FILE)
@click.argument("ours", type=_FILE)
@click.argument("theirs", type=_FILE)
@click.argument("path")
def merge(base: Path, ours: Path, theirs: Path, path: str) -> None:
    """Write the merge of BASE, OURS and THEIRS into OURS; git calls this after `leverframe init`.

    It takes a stage from the side that changed it. A stage that both sides changed becomes stale, and
    `dvc repro` runs it. Reports stay as in OURS: if both sides changed one, its stage is stale.
    """
    from leverframe.application.merge import merge as run

    for line in run(base, ours, theirs, path):
        output.progress(line)
