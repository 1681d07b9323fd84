"""Plans as data and the one way to execute them: step by step, undone in reverse order where a step fails.

A planner compares what should be with what is and returns steps. The same list is printed by a dry run, executed, and
read for what must be undone. A run that was killed leaves nothing here: the next run plans again from what it finds,
and its plan begins with the steps that finish or undo what the killed run left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar

from leverframe.domain.verdict import Violation


@dataclass(frozen=True)
class Action:
    """Base of actions: frozen values whose ``words`` describe them, fields in braces."""

    words: ClassVar[str]

    def __str__(self) -> str:
        """Return the action in words."""
        return self.words.format_map(vars(self))


ActionT = TypeVar("ActionT", bound=Action)  # the union of the frozen dataclasses that one executor handles
HandledT_contra = TypeVar("HandledT_contra", bound=Action, contravariant=True)


@dataclass(frozen=True)
class Step(Generic[ActionT]):
    """An action of a plan, and the action that undoes it; None where nothing has to be undone.

    ``recovers`` marks an action that undoes what a killed run left.
    """

    action: ActionT
    undo: ActionT | None = None
    recovers: bool = False

    def __str__(self) -> str:
        """Return the action in words."""
        return f"undo: {self.action}" if self.recovers else str(self.action)


Plan = tuple[Step[ActionT], ...]


class Executor(Protocol[HandledT_contra]):
    """Executes actions of one kind, by an exhaustive `match` over them."""

    def run(self, action: HandledT_contra, /) -> Violation | None:
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
class Execution(Generic[ActionT]):
    """The result of each step, the violation that ended the plan, and the actions that undid it, in their order."""

    results: tuple[StepResult, ...] = ()
    violation: Violation | None = None
    undone: tuple[ActionT, ...] = ()


@dataclass(frozen=True)
class Progress:
    """How an execution is timed and shown: ``seconds`` only grow, ``tell`` gets each step when it begins."""

    seconds: Callable[[], float]
    tell: Callable[[str], None] = lambda _: None


def execute(plan: Plan[ActionT], executor: Executor[ActionT], progress: Progress) -> Execution[ActionT]:
    """Execute a plan; where a step fails, undo it and the steps before it, the last first.

    A step that failed is undone, too: it may have done half of its work. Raises what the executor raises.
    """
    results: list[StepResult] = []
    undo: list[ActionT] = []
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
    action: ActionT, step: str, executor: Executor[ActionT], progress: Progress
) -> tuple[StepResult, Violation | None]:
    progress.tell(step)
    start = progress.seconds()
    violation = executor.run(action)
    seconds = round(progress.seconds() - start, 3)
    return StepResult(step, seconds, violation.what if violation else ""), violation
