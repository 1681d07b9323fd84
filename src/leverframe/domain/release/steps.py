"""The actions that a deployment has on every target."""

from __future__ import annotations

from dataclasses import dataclass

from leverframe.domain.plan_engine import Action


@dataclass(frozen=True)
class Fetch(Action):
    """Read the files of the bundle, and verify each against the manifest."""

    words = "fetch bundle {bundle:.12} and verify every file"
    bundle: str


@dataclass(frozen=True)
class Compare(Action):
    """Refuse a schema that breaks clients of the release that serves."""

    words = "compare its schema with {served:.12}, the served one"
    served: str


@dataclass(frozen=True)
class Record(Action):
    """Record that the release serves."""

    words = "record release {number}"
    number: int


@dataclass(frozen=True)
class Adopt(Action):
    """Record that a newer commit wants the bundle that serves already."""

    words = "note that {commit:.12} wants the bundle that serves already"
    commit: str


class TrafficBack(Action):
    """Base of undo actions that give the traffic back to the release before."""


@dataclass(frozen=True)
class GoBack(Action):
    """Serve an earlier release again; bundles of later ones are refused from then on.

    It is recorded first: a rollback that is killed is finished by the next run.
    """

    words = "roll back to release {number}"
    number: int
    why: str
