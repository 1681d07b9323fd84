"""Plans of made-up actions: what is executed, undone and shown, and what an error leaves to the next run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import assert_never

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.plan_engine import Action, Plan, Progress, Step, StepResult, execute
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import ServerError


@dataclass(frozen=True)
class Put(Action):
    """Put a brick on the wall."""

    words = "put brick {number}"
    number: int


@dataclass(frozen=True)
class Take(Action):
    """Take a brick off the wall."""

    words = "take brick {number}"
    number: int


WallAction = Put | Take
BROKEN = Violation(Reason.LOAD_FAILED, "it fell down", "put it again")


@dataclass
class Wall:
    """Executes actions; brick ``fails`` is put and found broken, at brick ``away`` the mason goes."""

    fails: int | None = None
    away: int | None = None
    bricks: list[int] = field(default_factory=list)

    def run(self, action: WallAction) -> Violation | None:
        """Execute an action."""
        match action:
            case Put(number):
                if number == self.away:
                    raise ServerError("the mason went", why="rain", next="wait")
                self.bricks.append(number)
                return BROKEN if number == self.fails else None
            case Take(number):
                if number in self.bricks:
                    self.bricks.remove(number)
                return None
            case _:
                assert_never(action)


def plan(have: list[int], count: int) -> Plan[WallAction]:
    """Return the steps from the bricks that are there to so many."""
    return tuple(Step(Put(number), undo=Take(number)) for number in range(count) if number not in have)


def progress(messages: list[str]) -> Progress:
    """Return a clock that ticks at each look, and where steps are told."""
    ticks = iter(range(10_000))
    return Progress(lambda: float(next(ticks)), messages.append)


def test_a_plan_is_executed_as_it_is_printed() -> None:
    """The steps of a dry run, each timed; nothing is undone."""
    wall, messages = Wall(), list[str]()
    done = execute(plan([], 3), wall, progress(messages))
    assert wall.bricks == [0, 1, 2]
    assert messages == [str(step) for step in plan([], 3)] == ["put brick 0", "put brick 1", "put brick 2"]
    assert done.results[0] == StepResult("put brick 0", 1.0)
    assert (done.violation, done.undone) == (None, ())
    assert execute((), wall, progress(messages)).results == ()


@given(st.integers(1, 8), st.data())
def test_a_failure_is_undone_in_reverse_order(count: int, data: st.DataObject) -> None:
    """The step that failed first, then each before it; those after it never begin."""
    fails = data.draw(st.integers(0, count - 1))
    wall, messages = Wall(fails=fails), list[str]()
    done = execute(plan([], count), wall, progress(messages))
    assert (wall.bricks, done.violation) == ([], BROKEN)
    assert done.undone == tuple(Take(number) for number in range(fails, -1, -1))
    assert messages == [result.step for result in done.results]
    assert messages[fails + 1 :] == [f"undo: take brick {number}" for number in range(fails, -1, -1)]
    assert [result.failed for result in done.results if result.failed] == ["it fell down"]
    assert "it fell down" in done.results[fails].line()


@given(st.integers(1, 8), st.data())
def test_what_an_error_leaves_is_finished_by_the_next_run(count: int, data: st.DataObject) -> None:
    """An error undoes nothing, as nothing is known; planning again from what is there comes to the same wall."""
    wall = Wall(away=data.draw(st.integers(0, count - 1)))
    with pytest.raises(ServerError):
        execute(plan([], count), wall, progress([]))
    assert wall.bricks == list(range(wall.away or 0))
    wall.away = None
    execute(plan(wall.bricks, count), wall, progress([]))
    assert wall.bricks == list(range(count))
    assert plan(wall.bricks, count) == ()


def test_a_step_without_an_undo_stays_done() -> None:
    """And a step that recovers says that it undoes something."""
    wall, messages = Wall(fails=2, bricks=[7]), list[str]()
    left: Plan[WallAction] = (Step(Take(7), recovers=True), Step(Put(1)), Step(Put(2), undo=Take(2)))
    assert execute(left, wall, progress(messages)).undone == (Take(2),)
    assert wall.bricks == [1]
    assert messages == ["undo: take brick 7", "put brick 1", "put brick 2", "undo: take brick 2"]
