"""Leverframe as an input of stages: its files, or where it is installed its version and never where they lie."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from leverframe.errors import PipelineError
from leverframe.settings.params import Params

FILE = "leverframe-version.yaml"
VERSION, EXTRAS = "leverframe.version", "leverframe.extras"  # keys that stages depend on
_VERSION = re.compile(r"^  version: (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class StageCode:
    """What tells which code a stage runs; ``engines`` are the modules of engines by name.

    ``of`` returns the files in the repository behind modules, Leverframe's own among them only
    where it is part of the repository: elsewhere ``installed`` is true and its version counts.
    """

    of: Callable[..., Iterable[str]]
    engines: Mapping[str, str]
    installed: bool

    def __call__(self, command: str, *modules: str, declared: Sequence[str] = ()) -> list[str]:
        """Return the files that a command of the application layer runs, with those of further modules."""
        every = (f"leverframe.application.{command}", "leverframe.settings.params", *modules)
        return [*self.of(*every, declared=declared)]

    def keys(self, *more: str) -> tuple[str, ...]:
        """Return what a stage reads of the file that names the installed version."""
        return (VERSION, *more) if self.installed else ()


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
