"""Merge two versions of dvc.lock or of what a stage wrote, other files as git does; the merge driver of git."""

from __future__ import annotations

from pathlib import Path

import click

from leverframe import output
from leverframe.domain.verdict import REFUSED

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(epilog="Example: leverframe merge base.lock ours.lock theirs.lock dvc.lock")
@click.argument("base", type=_FILE)
@click.argument("ours", type=_FILE)
@click.argument("theirs", type=_FILE)
@click.argument("path")
@click.argument("marker", type=click.IntRange(min=1), default=7)
@click.pass_context
def merge(context: click.Context, base: Path, ours: Path, theirs: Path, path: str, marker: int) -> None:
    """Write the merge of BASE, OURS and THEIRS into OURS; git calls this after `leverframe init`.

    It takes a stage from the side that changed it. A stage that both sides changed becomes stale, and `dvc repro`
    runs it. What a stage wrote stays as in OURS: if both sides changed it, its stage is stale. Lines of other files
    are merged as git does, with conflict markers of MARKER characters; exit code 30 says that there are some.
    """
    from leverframe.application.merge import merge as run

    lines, clean = run(base, ours, theirs, path, marker)
    for line in lines:
        output.progress(line)
    context.exit(0 if clean else REFUSED)
