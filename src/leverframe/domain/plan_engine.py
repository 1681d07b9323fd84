"""Plans as data and the one way to execute them: step by step, undone in reverse order where a step fails.

A planner compares what should be with what is and returns steps. The same list is printed by a dry run, executed, and
read for what must be undone. A run that was killed leaves nothing here: the next run plans again from what it finds,
and its plan begins with the steps that finish or undo what the killed run left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from leverframe.domain.verdict import Objection

Action = TypeVar("Action")  # the union of the frozen dataclasses that one executor handles
Handled_contra = TypeVar("Handled_contra", contravariant=True)


@dataclass(frozen=True)
class Step(Generic[Action]):
    """An action of a plan, and the action that undoes it; None where nothing has to be undone.

    ``recovers`` marks an action that undoes what a killed run left.
    """

    action: Action
    undo: Action | None = None
    recovers: bool = False

    def __str__(self) -> str:
        """Return the action in words."""
        return f"undo: {self.action}" if self.recovers else str(self.action)


Plan = tuple[Step[Action], ...]


class Executor(Protocol[Handled_contra]):
    """Executes actions of one kind, by an exhaustive `match` over them."""

    def run(self, action: Handled_contra, /) -> Objection | None:
        """Execute an action and return the violation that ends the plan, None to go on.

        An error that is raised says that the outcome is unknown: nothing is undone then, the next run
        finds what is there and plans again.
        """


@dataclass(frozen=True)
class StepResult:
    """A step that was executed, how many seconds it took, and what failed, empty where nothing did."""

    step: str
    seconds: float
    failed: str = ""

    def line(self) -> str:
        """Return it for a terminal."""
        return f"{self.seconds:7.2f} s  {self.step}{f': {self.failed}' if self.failed else ''}"


@dataclass(frozen=True)
class Execution(Generic[Action]):
    """The result of each step, the violation that ended the plan, and the actions that undid it, in their order."""

    results: tuple[StepResult, ...] = ()
    violation: Objection | None = None
    undone: tuple[Action, ...] = ()


@dataclass(frozen=True)
class Progress:
    """How an execution is timed and shown: ``seconds`` only grow, ``tell`` gets each step when it begins."""

    seconds: Callable[[], float]
    tell: Callable[[str], None] = lambda _: None


def execute(plan: Plan[Action], executor: Executor[Action], progress: Progress) -> Execution[Action]:
    """Execute a plan; where a step fails, undo it and the steps before it, the last first.

    A step that failed is undone, too: it may have done half of its work. Raises what the executor raises.
    """
    results: list[StepResult] = []
    undo: list[Action] = []
    for step in plan:
        if step.undo is not None:
            undo.insert(0, step.undo)
        result, violation = _run(step.action, str(step), executor, progress)
        results.append(result)
        if violation is not None:
            results += [_run(action, f"undo: {action}", executor, progress)[0] for action in undo]
            return Execution(tuple(results), violation, tuple(undo))
    return Execution(tuple(results))


def _run(
    action: Action, step: str, executor: Executor[Action], progress: Progress
) -> tuple[StepResult, Objection | None]:
    progress.tell(step)
    start = progress.seconds()
    violation = executor.run(action)
    seconds = round(progress.seconds() - start, 3)
    return StepResult(step, seconds, violation.what if violation else ""), violation
