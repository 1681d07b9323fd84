"""What one phase has to run: of all stages that have to run yet, those of its machine that nothing else holds up."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass

from leverframe.domain.pipeline.runners.runner_phases import SMALL, Phases
from leverframe.domain.pipeline.status.reasons import PipelineStatus, State
from leverframe.domain.pipeline.status.resolved import Locked

_OF_ITSELF = (State.CHANGED, State.NEW)


@dataclass(frozen=True)
class Needs:
    """The stages that have to run yet: ``stale`` ones, or those that read what such a one writes; and fresh ones.

    A fresh one is run all the same to verify what the change commits of it.
    """

    stale: frozenset[str] = frozenset()
    verifying: frozenset[str] = frozenset()

    @property
    def all(self) -> frozenset[str]:
        """Return both."""
        return self.stale | self.verifying


@dataclass(frozen=True)
class Share:
    """The stages of one phase, those that have to run elsewhere, and the numbers of later phases on other machines."""

    mine: frozenset[str]
    elsewhere: frozenset[str]
    later: tuple[int, ...]


def stale(status: PipelineStatus, plan: Phases, done: Set[str]) -> frozenset[str]:
    """Return the stages that are stale of themselves, and all behind them; what is ``done`` is not."""
    runnable = {stage.stage.name for stage in status.stages if not (stage.stage.is_source or stage.stage.frozen)}
    first = {stage.stage.name for stage in status.stages if stage.state in _OF_ITSELF} & runnable - done
    return frozenset((first | plan.behind(first)) & runnable - done)


def needs(
    status: PipelineStatus,
    plan: Phases,
    locks: tuple[Mapping[str, Locked], Mapping[str, Locked]],
    metrics: Collection[str],
    done: Set[str],
    *,
    full: bool,
) -> Needs:
    """Return what has to run yet; ``locks`` are those of this commit and of its base.

    As on one machine, a stage is run whose entry is not that of the base, and one that writes metrics. The latter not
    on another machine: with the entry of the base it was verified there, and no such machine starts for that alone.
    """
    here, base = locks
    runnable = {stage.stage.name for stage in status.stages if not (stage.stage.is_source or stage.stage.frozen)}
    if full:
        return Needs(frozenset(runnable - done))
    first = stale(status, plan, done)
    writers = {name for name, entry in here.items() if not entry.outputs.keys().isdisjoint(metrics)}
    claimed = {name for name, entry in here.items() if base.get(name) != entry}
    claimed |= {name for name in writers & runnable if plan.runner(name) == SMALL}
    return Needs(first, frozenset(claimed & runnable - done - first))


def share(plan: Phases, number: int, needed: Set[str]) -> Share:
    """Return what the phase ``number`` runs of what is needed.

    A phase also runs what an earlier one of its machine left. One of the small machine before the last runs only what
    another machine waits for.
    """
    phase = plan.phases[number - 1]
    own = {name for name in needed if plan.runner(name) == phase.runner and plan.of(name).number <= number}
    others = needed - own
    mine = own - plan.behind(others)
    if phase.runner == SMALL and number < plan.last:
        mine &= plan.before(name for name in others if plan.runner(name) != SMALL)
    return Share(frozenset(mine), frozenset(needed - mine), later(plan, number, needed - mine))


def later(plan: Phases, number: int, needed: Set[str]) -> tuple[int, ...]:
    """Return the numbers of the later phases on other machines that have something to run."""
    behind = [phase for phase in plan.phases[number:] if phase.runner != SMALL]
    return tuple(phase.number for phase in behind if not needed.isdisjoint(phase.stages))
