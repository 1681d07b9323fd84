"""Which stage reads what another one writes, and in which order they can run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from leverframe.domain.pipeline.status.resolved import Stage
from leverframe.errors import DefinitionError


def edges(stages: Sequence[Stage]) -> list[tuple[str, str]]:
    """Return (writer, reader) pairs, in the order of the stages that read.

    A directory is read where a file in it is, and the other way round. A frozen stage reads
    nothing. Raises ``DefinitionError`` when two stages write the same path.
    """
    writers = _writers(stages)
    within: dict[str, list[str]] = {}  # folder -> the outputs at any depth in it
    for path in writers:
        for folder in _folders(path):
            within.setdefault(folder, []).append(path)
    pairs: dict[tuple[str, str], None] = {}
    for stage in stages:
        for dependency in () if stage.frozen else stage.dependencies:
            outputs = [*(place for place in [*_folders(dependency.path), dependency.path] if place in writers)]
            outputs += within.get(dependency.path, [])
            pairs.update(dict.fromkeys((writers[path], stage.name) for path in outputs))
    return list(pairs)


def _writers(stages: Sequence[Stage]) -> dict[str, str]:
    writers: dict[str, str] = {}
    for stage in stages:
        for output in stage.outputs:
            other = writers.setdefault(output.path, stage.name)
            if other != stage.name:
                raise DefinitionError(
                    f"stages `{other}` and `{stage.name}` write the same file",
                    why=f"both name {output.path} as an output, and DVC would refuse to run either",
                    next="give one of them another file",
                )
    return writers


def _folders(path: str) -> list[str]:
    return list(accumulate(path.split("/")[:-1], lambda folder, part: f"{folder}/{part}"))


def ordered(stages: Sequence[Stage], pairs: Iterable[tuple[str, str]]) -> list[Stage]:
    """Return the stages with every writer before its readers, else in the order given.

    Raises ``DefinitionError`` for a cycle.
    """
    waiting: dict[str, set[str]] = {stage.name: set() for stage in stages}
    readers: dict[str, list[str]] = {stage.name: [] for stage in stages}
    for writer, reader in pairs:
        waiting[reader].add(writer)
        readers[writer].append(reader)
    by_name = {stage.name: stage for stage in stages}
    done: list[Stage] = []
    while by_name:
        ready = [name for name in by_name if not waiting[name]]
        if not ready:
            raise DefinitionError(
                f"the stages {', '.join(f'`{name}`' for name in by_name)} depend on one another",
                why="each of them reads, directly or through others, what it writes",
                next="remove one of the dependencies in dvc.yaml",
            )
        for name in ready:
            done.append(by_name.pop(name))
            for reader in readers[name]:
                waiting[reader].discard(name)
    return done
