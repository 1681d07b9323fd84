"""The steps of a plan and of an apply of infrastructure, as values: a dry run prints them, the executor runs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from leverframe.domain.infrastructure.infra_ports import Planning
from leverframe.domain.infrastructure.protection import Protection
from leverframe.domain.plan_engine import Action

PLAIN = Planning()


@dataclass(frozen=True)
class Observe(Action):
    """Write what runs on this machine, for the plan to read."""

    words: ClassVar[str] = "observe what runs here, for the plan to read"


@dataclass(frozen=True)
class Initialise(Action):
    """Prepare the root module."""

    words: ClassVar[str] = "initialise {root}: backend, workspace, modules, providers of its lock file"
    root: str


@dataclass(frozen=True)
class MakePlan(Action):
    """Make a plan and save it where only this user reads it."""

    words: ClassVar[str] = "plan {environment}"
    environment: str
    how: Planning = PLAIN

    def __str__(self) -> str:
        """Return it in words."""
        goal = ", to destroy all of it" if self.how.destroy else ""
        return f"{super().__str__()}{goal}{'; wait for its lock' if self.how.lock else ''}"


@dataclass(frozen=True)
class LookForLock(Action):
    """Look whether somebody holds the lock of the state: a killed job may have left it."""

    words: ClassVar[str] = "look whether somebody holds the lock of {environment}"
    environment: str


@dataclass(frozen=True)
class Review(Action):
    """Hold the plan to what was reviewed."""

    words: ClassVar[str] = "compare it with the plan that was reviewed, address by address"


@dataclass(frozen=True)
class Ask(Action):
    """Show the plan to whoever sits at the terminal, who has to agree."""

    words: ClassVar[str] = "show it, and ask whether to destroy {environment}"
    environment: str


@dataclass(frozen=True)
class Guard(Action):
    """Hold the plan to the rules."""

    words: ClassVar[str] = "guard protected addresses and checks"
    rules: Protection


@dataclass(frozen=True)
class Begin(Action):
    """Record that Terraform is let at the resources, for a run that is killed to be known."""

    words: ClassVar[str] = "record that it begins"


@dataclass(frozen=True)
class Apply(Action):
    """Apply the plan."""

    words: ClassVar[str] = "apply exactly this plan, unless it is empty"


@dataclass(frozen=True)
class Confirm(Action):
    """Plan again."""

    words: ClassVar[str] = "plan again: is anything left, and do checks pass?"
    rules: Protection
    how: Planning = PLAIN


@dataclass(frozen=True)
class Record(Action):
    """Record how it ended."""

    words: ClassVar[str] = "record the result"


InfraAction = Observe | Initialise | MakePlan | LookForLock | Review | Ask | Guard | Begin | Apply | Confirm | Record
