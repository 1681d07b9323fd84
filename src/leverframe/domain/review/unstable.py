"""Whether a stage gives the same outputs twice: what is not deterministic looks like a forgery, and is none."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from leverframe.domain import layout
from leverframe.domain.pipeline.status.resolved import Locked
from leverframe.domain.review.forged_metrics import figures_in
from leverframe.domain.review.same_outputs import State, in_order
from leverframe.domain.verdict import Reason, Violation
from leverframe.words import first_few

_SHOWN = 3


def doubted(
    before: State, after: State, ran: Set[str], metrics: Collection[str] = (layout.METRICS.as_posix(),)
) -> list[str]:
    """Return the stages that ran, wrote other outputs than claimed, and may be accused of it, writers first.

    These are the writers of the metrics, the makers of what they read, and those that read what the lock claims.
    """
    writers = {name for name, entry in after.lock.items() if not entry.outputs.keys().isdisjoint(metrics)}
    read = {path for writer in writers for path in after.lock[writer].dependencies}
    accused = {
        name
        for name, entry in after.lock.items()
        if name in ran
        and _differs(name, before.lock, after.lock)
        and (name in writers or read & set(entry.outputs) or before.lock[name].inputs == entry.inputs)
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


def figures(files: Mapping[str, tuple[str, str]], tolerance: Mapping[str, float]) -> list[Figure]:
    """Return the metrics that a tolerance is declared for; one that either side lacks is None there.

    ``files`` are the texts of each file of metrics, claimed and computed; a metric that several have is each of them.
    """
    sides = [(_figures(path, claimed), _figures(path, computed)) for path, (claimed, computed) in files.items()]
    figures = []
    for name, most in tolerance.items():
        pairs = [(ours.get(name), theirs.get(name)) for ours, theirs in sides if name in ours or name in theirs]
        figures += [Figure(name, *pair, most) for pair in pairs or [(None, None)]]
    return figures


def _figures(path: str, text: str) -> dict[str, Any]:
    try:
        return figures_in(text, path)
    except ValueError:
        return {}


def judged_unstable(
    names: Sequence[str], differing: Sequence[str], known: Sequence[Figure], *, of_case: bool = True
) -> tuple[list[Violation], list[str]]:
    """Return what is wrong where stages are not deterministic, and what to say of it.

    ``differing`` are metrics that differ, in words; where tolerances are declared, only these ``known`` figures decide.
    The estimator ``of_case`` is seeded in its settings, the scripts of others where they draw.
    """
    stages = " and ".join(f"`{name}`" for name in names)
    what = f"training is not deterministic: two runs of {stages} from the same inputs give different outputs"
    beyond = [figure for figure in known if not figure.within]
    if beyond:
        return [_violation(f"{what}, and metrics differ by more than is declared: {_few(beyond)}", of_case)], []
    if known:
        return [], [f"{what}; within `reproduce.tolerance`: {_few(known)}; other metrics were not compared"]
    if differing:
        return [_violation(f"{what}, so nobody can compute the metrics in git again: {_few(differing)}", of_case)], []
    return [], [f"{what}; the metrics are the same"]


def _violation(what: str, of_case: bool) -> Violation:
    seeded = (
        "write `params: {random_state: 0}` and `threads: 1` below `train` in params.yaml, or set the seed in the "
        "function of `train.estimator`"
        if of_case
        else "set the seed of every generator of random numbers that these stages use"
    )
    remedy = (
        f"{seeded}; where that cannot be, declare how far a metric may differ, "
        "`reproduce: {tolerance: {METRIC: 0.01}}` in leverframe.yaml, in a pull request of its own"
    )
    return Violation(Reason.NOT_DETERMINISTIC, what, remedy)


def _few(differing: Sequence[object]) -> str:
    return first_few([str(metric) for metric in differing], _SHOWN, "; ", "; and ")
