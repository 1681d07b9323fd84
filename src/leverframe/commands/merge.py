"""Merge two versions of `dvc.lock`, or of a report, as git asks for: its merge driver."""

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

    Stages that one side changed are taken; those that both changed become stale, and `dvc repro` runs
    them. Reports stay as in OURS: the stage that writes them is stale whenever both sides changed them.
    """
    from leverframe.application.merge import merge as run

    for line in run(base, ours, theirs, path):
        output.story(line)
