"""The installed Leverframe as an input of stages: its version counts, and never where its files lie."""

from __future__ import annotations

import re
from collections.abc import Sequence

from leverframe.errors import PipelineError
from leverframe.settings.params import Params

FILE = "leverframe-version.yaml"
VERSION, EXTRAS = "leverframe.version", "leverframe.extras"  # keys that stages depend on
_VERSION = re.compile(r"^  version: (\S+)$", re.MULTILINE)


def needed_extras(params: Params) -> tuple[str, ...]:
    """Return the extras of Leverframe that the stages of a pipeline need."""
    return ("serving", *(("spark",) if params.features.engine == "spark" else ()))


def described(version: str, extras: Sequence[str]) -> str:
    """Return the file that stages depend on where Leverframe is installed from elsewhere."""
    return (
        "# Written by `leverframe stages --write`: another version makes the stages stale.\n"
        f"leverframe:\n  version: {version}\n  extras: [{', '.join(extras)}]\n"
    )


def refuse_other(text: str, version: str) -> None:
    """Raise ``PipelineError`` where the file names another version than the one that runs."""
    written = _VERSION.search(text)
    if written and written[1] != version:
        raise PipelineError(
            f"this pipeline is written for Leverframe {written[1]}, and {version} runs",
            why=f"{FILE} names the version that the stages depend on",
            next=f"`pip install leverframe=={written[1]}`, or `leverframe stages --write` to go on with {version}",
        )
