"""The phases of a run whose stages need several machines: as few as the graph allows, writers before readers.

The first and the last phase are of the small machine, named by an empty text: the first finds out whether another one
is needed, the last compares and judges. A stage runs as late as it can, so that no machine waits for what it does not
read, and what only the last phase reads does not travel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

from leverframe.domain.pipeline.status.resolved import Stage
from leverframe.errors import DefinitionError, SettingsError, nearest

SMALL = ""  # the name of the machine of all other stages
_MOST = 15  # phases


@dataclass(frozen=True)
class Phase:
    """Stages that one machine runs before the next one does; ``number`` counts from 1."""

    number: int
    runner: str
    stages: tuple[str, ...]


@dataclass(frozen=True)
class Phases:
    """All phases of a run, with the edges between their stages from each writer to its reader."""

    phases: tuple[Phase, ...]
    edges: tuple[tuple[str, str], ...]

    @property
    def last(self) -> int:
        """Return the number of the last phase; 1 where no stage needs another machine."""
        return len(self.phases)

    @cached_property
    def where(self) -> Mapping[str, Phase]:
        """Return the phase of each stage."""
        return {name: phase for phase in self.phases for name in phase.stages}

    def of(self, stage: str) -> Phase:
        """Return the phase of a stage."""
        return self.where[stage]

    def runner(self, stage: str) -> str:
        """Return the machine of a stage."""
        return self.of(stage).runner

    def behind(self, stages: Iterable[str]) -> set[str]:
        """Return all that reads, directly or through others, what some stages write."""
        return _reached(stages, self.edges)

    def before(self, stages: Iterable[str]) -> set[str]:
        """Return all whose outputs some stages read, directly or through others."""
        return _reached(stages, [(reader, writer) for writer, reader in self.edges])


def runners_of(stages: Sequence[Stage], patterns: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the runner of each stage that some pattern of ``reproduce.runners`` names.

    A pattern matches the name of a stage or of its group. Raises ``SettingsError`` for one that matches none, and for
    a stage of two runners.
    """
    known = {stage.name: stage.group or stage.name for stage in stages if not stage.is_source}
    runners: dict[str, str] = {}
    for runner, listed in patterns.items():
        for pattern in listed:
            names = [name for name, group in known.items() if fnmatchcase(name, pattern) or fnmatchcase(group, pattern)]
            if not names:
                raise SettingsError(
                    f"no stage matches `{pattern}` of `reproduce.runners.{runner}` in leverframe.yaml",
                    why="a pattern is the name of a stage or stage group, with `*` for any text",
                    next=nearest(pattern, list(dict.fromkeys(known.values()))),
                )
            for name in names:
                if runners.setdefault(name, runner) != runner:
                    raise SettingsError(
                        f"stage `{name}` has two runners: `{runners[name]}` and `{runner}`",
                        why=f"`{pattern}` of `reproduce.runners.{runner}` matches a stage of the other one, too",
                        next="let one of both patterns leave it out, in leverframe.yaml",
                    )
    return runners


def phases(order: Sequence[str], edges: Sequence[tuple[str, str]], runners: Mapping[str, str]) -> Phases:
    """Return the fewest phases in which each stage of ``order`` runs on its machine, after all that it reads.

    ``edges`` lead from writers to readers, both in ``order``; a stage without one in ``runners`` is of the small
    machine. Raises ``DefinitionError`` where more than 15 are needed, or stages depend on one another.
    """
    pairs = [pair for pair in edges if set(pair) <= set(order)]
    machines = {name: runners.get(name, SMALL) for name in order}
    taken = _backwards(machines, pairs)
    numbered = [
        Phase(number, runner, tuple(name for name in order if name in names))
        for number, (runner, names) in enumerate(reversed(taken), start=1)
    ]
    return Phases(tuple(numbered), tuple(pairs))


_Steps = tuple[tuple[str, frozenset[str]], ...]  # each the machine, and the stages that it runs


@dataclass(frozen=True)
class _Graph:
    """The machine of each stage, the stages that read what it writes, and those that it reads."""

    machines: Mapping[str, str]
    readers: Mapping[str, Set[str]]
    writers: Mapping[str, Set[str]]

    @classmethod
    def of(cls, machines: Mapping[str, str], pairs: Sequence[tuple[str, str]]) -> _Graph:
        """Return the graph of pairs of writer and reader."""
        readers: dict[str, set[str]] = {name: set() for name in machines}
        writers: dict[str, set[str]] = {name: set() for name in machines}
        for writer, reader in pairs:
            readers[writer].add(reader)
            writers[reader].add(writer)
        return cls(machines, readers, writers)

    def taken(self, machine: str, done: Set[str]) -> frozenset[str]:
        """Return all that a machine can run, going backwards, after what is done: whose readers are done or taken."""
        covered, taken = set(done), set[str]()
        waiting = [name for name, own in self.machines.items() if own == machine and name not in done]
        while waiting:
            name = waiting.pop()
            if name in taken or not self.readers[name] <= covered:
                continue
            taken.add(name)
            covered.add(name)
            waiting += [node for node in self.writers[name] if self.machines[node] == machine and node not in covered]
        return frozenset(taken)


def _backwards(machines: Mapping[str, str], pairs: Sequence[tuple[str, str]]) -> _Steps:
    """Return the phases from the last one on: of all orders of machines a shortest, each taking all that it can.

    To take less never shortens what follows, so the only choice is the machine of each phase.
    """
    graph = _Graph.of(machines, pairs)
    others = sorted(set(machines.values()) | {SMALL}, key=lambda runner: (runner == SMALL, runner))
    last = graph.taken(SMALL, set())
    waiting: dict[frozenset[str], _Steps] = {last: ((SMALL, last),)}
    for _ in range(_MOST):
        for done, steps in waiting.items():
            if len(done) == len(machines):
                return steps if steps[-1][0] == SMALL else (*steps, (SMALL, frozenset()))
        following: dict[frozenset[str], _Steps] = {}
        for done, steps in waiting.items():
            for runner in others:
                if runner != steps[-1][0] and (taken := graph.taken(runner, done)):
                    following.setdefault(done | taken, (*steps, (runner, taken)))
        waiting = {done: steps for done, steps in following.items() if not any(done < other for other in following)}
    raise DefinitionError(
        f"the stages of `reproduce.runners` need more than {_MOST} phases, or depend on one another",
        why="each change of the machine along the graph is a job that waits for the one before",
        next="let stages that follow one another run on the same runner, in leverframe.yaml",
    )


def _reached(names: Iterable[str], pairs: Iterable[tuple[str, str]]) -> set[str]:
    following: dict[str, list[str]] = {}
    for one, other in pairs:
        following.setdefault(one, []).append(other)
    waiting, reached = list(names), set[str]()
    while waiting:
        for name in following.get(waiting.pop(), ()):
            if name not in reached:
                reached.add(name)
                waiting.append(name)
    return reached
