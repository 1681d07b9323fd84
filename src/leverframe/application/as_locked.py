"""Whether the outputs that a command reads are those that dvc.lock names, or what another branch or run left there."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from leverframe.adapters.git import Git
from leverframe.adapters.working_tree import WorkingTree
from leverframe.domain.pipeline.status.compare import Presence
from leverframe.domain.pipeline.status.lock import entries, locked_here
from leverframe.domain.pipeline.status.resolved import Locked, Recorded
from leverframe.domain.pipeline.status.staleness import stages
from leverframe.errors import LeverframeError, PipelineError, RepositoryError
from leverframe.words import first_few

LOCK = "dvc.lock"
_NAMED = 3  # outputs that are named, the rest is counted


@dataclass(frozen=True)
class DifferingOutput:
    """An output that is not what the lock names; ``command`` with its path brings that back."""

    path: str
    command: str


def recorded_here(root: Path) -> dict[str, Recorded]:
    """Return the outputs of all stages by path, as the locks of the working tree have them."""
    return {path: record for entry in _entries(root).values() for path, record in entry.outputs.items()}


def _entries(root: Path) -> dict[str, Locked]:
    """Return the entries of all locks by the name of the stage, their paths from the root.

    Where no definition can be read, those of the one lock in the root, by what it says itself.
    """
    with suppress(LeverframeError):
        tree = WorkingTree.around(root)
        return locked_here(stages(Git(root), tree), tree.text)
    lock = root / LOCK
    return entries(lock.read_text(encoding="utf-8", errors="replace") if lock.is_file() else "", LOCK)


def others(root: Path, *wanted: Path) -> list[DifferingOutput]:
    """Return the outputs at or below some paths that are there and are not what the lock names."""
    try:
        tree = WorkingTree.around(root)
    except RepositoryError:  # no DVC, so no lock that names anything
        return []
    recorded, places = recorded_here(root), [path.as_posix() for path in wanted]
    differing = list(_others(tree, recorded, places))
    if differing:
        with suppress(RepositoryError):  # without git, what is here is all that there is
            tree.take(Git(root).as_stored(other.path for other in differing))
            differing = list(_others(tree, recorded, places))
    tree.keep()
    return differing


def inputs_note(root: Path, stage: str, partition: str) -> str:
    """Return in words which inputs of a stage are not what the lock names; empty where all are.

    For a stage that a person runs by hand: DVC brings the inputs of those that it runs.
    """
    known = _entries(root)
    names = (stage, f"{stage}@{partition}", f"{stage}-{partition}")
    entry = next((known[name] for name in names if name in known), None)
    return note(root, *map(Path, entry.dependencies)) if entry else ""


def note(root: Path, *wanted: Path) -> str:
    """Return in words which outputs at or below some paths are not what the lock names; empty where all are."""
    differing = others(root, *wanted)
    return f"note: {words(differing)}; {remedy(differing)} brings that back" if differing else ""


def _others(tree: WorkingTree, recorded: dict[str, Recorded], wanted: list[str]) -> Iterator[DifferingOutput]:
    for path, record in recorded.items():
        if not any(path == place or path.startswith(f"{place}/") for place in wanted):
            continue
        if tree.look(path, record).presence is Presence.DIFFERENT:
            fetch = "dvc checkout" if tree.cached(record) else "dvc pull"
            yield DifferingOutput(path, f"{fetch}{'' if tree.known(path) else ' --force'}")


def words(differing: list[DifferingOutput]) -> str:
    """Return in words what is not what the lock names."""
    names = first_few([other.path for other in differing], _NAMED)
    return f"{names} {'is' if len(differing) == 1 else 'are'} not what {LOCK} names"


def remedy(differing: list[DifferingOutput]) -> str:
    """Return the commands that bring back what the lock names, one of a kind."""
    paths: dict[str, list[str]] = {}
    for other in differing:
        paths.setdefault(other.command, []).append(shlex.quote(other.path))
    return " and ".join(f"`{command} {' '.join(names)}`" for command, names in paths.items())


def refuse_others(root: Path, *wanted: Path) -> None:
    """Raise ``PipelineError`` where an output at or below some paths is not what the lock names."""
    differing = others(root, *wanted)
    if differing:
        raise PipelineError(
            words(differing),
            why="another branch or run left it there, or somebody edited it",
            next=f"{remedy(differing)} brings back what {LOCK} names; `dvc repro` makes it anew",
        )
