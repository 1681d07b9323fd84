"""Pull requests of retraining: how they stand, and what is brought up to date."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from leverframe.application.workspace import Workspace
from leverframe.domain.retraining.attempt import Attempt, Comparison
from leverframe.domain.retraining.pulls.pull_state import StandingBranch, StandingPull
from leverframe.domain.retraining.retrain_result import Proposal, Retrained
from leverframe.errors import LeverframeError
from leverframe.settings.retrain import RetrainSettings


@dataclass(frozen=True)
class CandidateCommit:
    """A commit in a local clone in ``root``, on top of ``parent``, its DVC outputs in the shared cache."""

    root: Path
    commit: str
    parent: str


@dataclass(frozen=True)
class How:
    """How a plan is executed.

    ``settings`` are those of the base tip. ``last`` is the newest attempt in the records: it finishes a publication
    that failed after it was recorded. ``dashboard`` is an address. ``mask`` hides a secret from the log of a runner.
    """

    settings: RetrainSettings
    last: Attempt | None = None
    dry_run: bool = False
    dashboard: str = ""
    mask: Callable[[str], None] = lambda _: None


@dataclass(frozen=True)
class PulledBack:
    """A merged pull request whose model is worse on realised labels, the figures, and why in a sentence."""

    pull: StandingPull
    comparison: Comparison
    why: str


@dataclass(frozen=True)
class Published:
    """The steps in words, the pull requests after them, notes, and what ended the plan."""

    steps: tuple[str, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    notes: tuple[str, ...] = ()
    failure: LeverframeError | None = None


def standing(workspace: Workspace, model: str) -> StandingBranch:
    """Return how the branch and the pull requests of a model stand; fetches both tips into this clone.

    Without a token of the forge, they are those of this clone, and there is no pull request.
    """
    raise NotImplementedError


def publish(
    workspace: Workspace, candidate: CandidateCommit | None, retrained: Retrained, there: StandingBranch, how: How
) -> Published:
    """Bring the branch and the pull request of a candidate up to date; errors of the forge are in the result.

    Without a candidate, what a killed run left is finished, and a pull request that is moot is closed.
    """
    raise NotImplementedError


def revert(workspace: Workspace, model: str, worse: PulledBack, there: StandingBranch, how: How) -> Published:
    """Open the pull request that takes a merged retraining back, unless somebody closed it or changed the files."""
    raise NotImplementedError
