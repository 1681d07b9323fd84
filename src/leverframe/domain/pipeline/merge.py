"""Merge two versions of `dvc.lock` stage by stage, and tell which other files stages own.

A stage that both sides changed becomes stale.

A merge by lines would be wrong: an entry is valid only as a whole. If one side changed a stage, its
entry wins. If both did, neither entry describes the merged files, so the merge drops the entry and
`dvc repro` runs the stage. The text of every other entry stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from leverframe.domain.pipeline.status import parameters
from leverframe.domain.pipeline.status.definition import Definition
from leverframe.domain.pipeline.status.lock import entries, lock_text, split
from leverframe.domain.pipeline.status.template import FlagStyle
from leverframe.errors import LeverframeError
from leverframe.yaml_files import parse

Show = Callable[[str], str | None]  # returns the text of a file by its path, None where there is none


@dataclass(frozen=True)
class Merged:
    """The text of the merged lock, and the stages that have to run."""

    text: str
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """The ``lock`` that has the record of an output of a stage, which may be a ``folder``."""

    lock: str
    folder: bool


def record(path: str, show: Show) -> Record | None:
    """Return where the output of a stage is recorded that a file is, or lies in; None where no stage owns the file."""
    for folder in map(str, PurePosixPath(path).parents):
        name = "dvc.yaml" if folder == "." else f"{folder}/dvc.yaml"
        try:
            place = _recorded(path, name, show)
        except LeverframeError:  # what cannot be read owns nothing
            continue
        if place:
            return place
    return None


def _recorded(path: str, file: str, show: Show) -> Record | None:
    lock = file.removesuffix(".yaml") + ".lock"
    text, recorded = show(file), show(lock)
    if text is None or recorded is None:
        return None

    def values(name: str) -> dict[str, Any] | None:
        content = show(name)
        return None if content is None else parameters.parsed(content, name)

    known = entries(recorded, lock)
    for stage in Definition(file, parse(text, name=file, what="a pipeline definition"), values, FlagStyle()).stages():
        entry = known.get(stage.name.removeprefix(f"{file}:"))
        for output in stage.outputs:
            inside = path.startswith(f"{output.path}/")
            if entry and output.entry in entry.outputs and (inside or path == output.path):
                return Record(lock, inside)
    return None


def merged(base: str, ours: str, theirs: str) -> Merged:
    """Return both changes of a lock; raises ``RepositoryError`` for a text that is no lock of schema 2.0."""
    before, mine, other = (split(text) for text in (base, ours, theirs))
    kept: dict[str, str] = {}
    dropped: list[str] = []
    for name in _order(list(mine), list(other)):
        one, two, was = mine.get(name), other.get(name), before.get(name)
        if two in (one, was):
            chosen = one
        elif one == was:
            chosen = two
        else:
            dropped.append(name)
            continue
        if chosen is not None:
            kept[name] = chosen
    return Merged(lock_text(kept.values()), tuple(dropped))


def _order(mine: list[str], other: list[str]) -> list[str]:
    """Return all names in the order of ``mine``; a name only in ``other`` follows its predecessor there."""
    order = list(mine)
    for place, name in enumerate(other):
        if name not in order:
            before = next((earlier for earlier in reversed(other[:place]) if earlier in order), None)
            order.insert(order.index(before) + 1 if before is not None else 0, name)
    return order
