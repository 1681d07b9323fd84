"""Whether a stage gives the same outputs twice: what is not deterministic looks like a forgery, and is none."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from leverframe.domain import layout
from leverframe.domain.pipeline.status.resolved import Locked
from leverframe.domain.review.same_outputs import State, in_order
from leverframe.domain.verdict import Reason, Violation
from leverframe.yaml_files import leaves

_SHOWN = 3


def doubted(before: State, after: State, ran: Set[str]) -> list[str]:
    """Return the stages that ran, wrote other outputs than claimed, and may be accused of it, writers first.

    These are the writer of the metrics, the makers of what it reads, and those that read what the lock claims.
    """
    path = str(layout.METRICS)
    writer = next((name for name, entry in after.lock.items() if path in entry.outputs), None)
    read = set(after.lock[writer].dependencies) if writer else set()
    accused = {
        name
        for name, entry in after.lock.items()
        if name in ran
        and _differs(name, before.lock, after.lock)
        and (name == writer or read & set(entry.outputs) or before.lock[name].inputs == entry.inputs)
    }
    return in_order(after.lock, accused)


def _differs(name: str, before: Mapping[str, Locked], after: Mapping[str, Locked]) -> bool:
    return name in before and name in after and before[name].outputs != after[name].outputs


def unstable(names: Sequence[str], first: State, second: State) -> tuple[str, ...]:
    """Return the stages that gave other outputs in a second run, although they read the same."""
    return tuple(
        name
        for name in names
        if name in second.lock
        and first.lock[name].inputs == second.lock[name].inputs
        and first.lock[name].outputs != second.lock[name].outputs
    )


@dataclass(frozen=True)
class Figure:
    """A metric at the top of ``metrics.json`` as git has it and as it was computed, and by how much it may differ."""

    name: str
    claimed: Any
    computed: Any
    allowed: float

    @property
    def within(self) -> bool:
        """Whether the two are as near as is declared."""
        numbers = all(isinstance(value, int | float) for value in (self.claimed, self.computed))
        return numbers and math.isclose(self.claimed, self.computed, rel_tol=0.0, abs_tol=self.allowed * (1 + 1e-9))

    def __str__(self) -> str:
        """Return it in words."""
        return f"`{self.name}` {self.claimed} in git, {self.computed} computed, at most {self.allowed:g} apart allowed"


def figures(claimed: str, computed: str, tolerance: Mapping[str, float]) -> list[Figure]:
    """Return the metrics that a tolerance is declared for; one that either side lacks is None there."""
    ours, theirs = (dict(_leaves(text)) for text in (claimed, computed))
    return [Figure(name, ours.get(name), theirs.get(name), most) for name, most in tolerance.items()]


def _leaves(text: str) -> Iterator[tuple[str, Any]]:
    try:
        yield from leaves(json.loads(text or "{}"))
    except (ValueError, AttributeError, RecursionError):
        return


def judged_unstable(
    names: Sequence[str], differing: Sequence[str], known: Sequence[Figure]
) -> tuple[list[Violation], list[str]]:
    """Return what is wrong where stages are not deterministic, and what to say of it.

    ``differing`` are metrics that differ, in words; where tolerances are declared, only these ``known`` figures decide.
    """
    stages = " and ".join(f"`{name}`" for name in names)
    what = f"training is not deterministic: two runs of {stages} from the same inputs give different outputs"
    beyond = [figure for figure in known if not figure.within]
    if beyond:
        return [_violation(f"{what}, and metrics differ by more than is declared: {_few(map(str, beyond))}")], []
    if known:
        return [], [f"{what}; within `reproduce.tolerance`: {_few(map(str, known))}; other metrics were not compared"]
    if differing:
        return [_violation(f"{what}, so nobody can compute the metrics in git again: {_few(differing)}")], []
    return [], [f"{what}; the metrics are the same"]


def _violation(what: str) -> Violation:
    remedy = (
        "write `params: {random_state: 0}` and `threads: 1` below `train` in params.yaml, or set the seed in the "
        "function of `train.estimator`; where that cannot be, declare how far a metric may differ, "
        "`reproduce: {tolerance: {METRIC: 0.01}}` in leverframe.yaml, in a pull request of its own"
    )
    return Violation(Reason.NOT_DETERMINISTIC, what, remedy)


def _few(words: Any) -> str:
    listed = list(words)
    return "; ".join(listed[:_SHOWN]) + (f"; and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else "")
