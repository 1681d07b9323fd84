"""The port to the forge: what was reviewed of infrastructure, what is applied, and the issue of a drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from leverframe.domain.infrastructure.infra_apply_result import InfraApplied
from leverframe.domain.infrastructure.infra_plan_result import InfraPlanned

BRANCH = "leverframe-infra"  # keeps the plans that were reviewed, without any secret


def check_name(environment: str) -> str:
    """Return the name of the check run whose external id is the digest of the plan that a card shows."""
    return f"leverframe infra {environment}"


def kept_at(environment: str, digest: str) -> str:
    """Return the path on ``BRANCH`` of a plan that a card showed."""
    return f"{environment}/{digest}.json"


@dataclass(frozen=True)
class ReviewedPull:
    """A merged pull request, and the plan of one environment that its card showed for its last head.

    ``head`` is that commit, ``merged`` the one on the base branch. ``labels`` are those that it has now. ``planned`` is
    None where no plan was shown or its text is not what the check run names; ``why`` says so then.
    """

    number: int
    url: str
    head: str
    merged: str
    labels: tuple[str, ...] = ()
    planned: InfraPlanned | None = None
    why: str = ""


@dataclass(frozen=True)
class LastApply:
    """What is known of the applies to an environment.

    ``applied`` is the commit of the last one that succeeded. ``begun`` is the commit of the newest one, where that was
    let at the resources and did not succeed since: what it did already is not planned again. Empty where there is none.
    """

    applied: str = ""
    begun: str = ""


class InfraForge(Protocol):
    """The port to the forge; every call may be made again and does nothing twice."""

    def pulls_of(self, environment: str, commits: Sequence[str]) -> list[ReviewedPull]:
        """Return the merged pull requests that brought these commits, in the order of their merges, each once."""

    def kept(self, environment: str, digest: str) -> InfraPlanned | None:
        """Return the plan that was kept under its digest; None where none was, or its content is another one."""

    def labels(self, number: int) -> tuple[str, ...]:
        """Return the labels of a pull request as they are now."""

    def last(self, environment: str) -> LastApply:
        """Return which commit was applied last, and which one began to be and did not end."""

    def begin(self, environment: str, commit: str) -> None:
        """Record that Terraform is let at the resources now, for a run that is killed to be known."""

    def record(self, applied: InfraApplied) -> tuple[str, ...]:
        """Record how an apply ended, on its deployment and as a comment on ``applied.pulls``; return their addresses.

        Each pull request has one comment per environment, which is updated in place.
        """

    def show_drift(self, planned: InfraPlanned, label: str) -> str:
        """Bring the one issue of an environment up to date, and return its address, empty where there is none.

        It is opened where the plan has changes, updated in place, and closed where the plan is empty.
        """
