"""What a plan of pull requests is executed on: the forge, and the branches of its git."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from leverframe.domain.retraining.pulls.pull_state import StandingPull
from leverframe.errors import ForgeUnreachableError


def lease_lost(branch: str) -> ForgeUnreachableError:
    """Return the error for a branch that somebody moved since it was read: the next run plans from what is there."""
    return ForgeUnreachableError(
        f"{branch} was moved since it was read", why="somebody pushed to it, or removed it", next="run it again"
    )


@dataclass(frozen=True)
class PullToOpen:
    """A pull request to open; ``target`` is the branch that it goes to."""

    branch: str
    target: str
    title: str
    body: str
    draft: bool


class PullForge(Protocol):
    """The port to the pull requests of a repository; every call may be made again and does nothing twice."""

    def pulls(self, branch: str) -> list[StandingPull]:
        """Return every pull request from a branch of the repository, newest first."""

    def opened(self, opening: PullToOpen) -> StandingPull:
        """Open a pull request, or return the open one of the branch; one that may be no draft is opened ready."""

    def edited(self, number: int, body: str, *, closed: bool = False) -> None:
        """Replace the body of a pull request, and close it by the same request where that is asked for."""

    def drafted(self, number: int, *, draft: bool) -> None:
        """Make a pull request a draft, or ready for review."""

    def auto_merge(self, number: int, head: str, *, on: bool) -> str:
        """Let GitHub merge this head once what is required has passed, or not; return why it refused, else nothing."""

    def comments(self, number: int) -> list[str]:
        """Return the bodies of the comments of a pull request."""

    def comment(self, number: int, body: str) -> None:
        """Add a comment."""

    def starts_checks(self) -> bool:
        """Tell whether what this token opens and pushes starts workflows; that of a workflow's own does not."""

    def dispatched(self, workflow: str, branch: str, head: str) -> None:
        """Start a workflow on a branch, unless it was started by hand for this head before."""


class PullBranches(Protocol):
    """The port to branches on the forge and to the data of a candidate."""

    def push_outputs(self) -> str:
        """Push the outputs of the candidate to the DVC remote; return a note where there is none.

        Raises ``LeverframeError`` where it failed: nothing of the branch may be published then.
        """

    def at(self, branch: str) -> str:
        """Return where a branch is now; empty where there is none. Lists of pull requests lag behind it."""

    def push(self, commit: str, branch: str, expected: str) -> None:
        """Let a branch be at a commit; ``expected`` is its head as it was read, empty where there was no branch.

        Raises ``lease_lost`` where it is another by now.
        """

    def delete(self, branch: str, expected: str) -> None:
        """Remove a branch that is where it was read; one that is gone is no error."""
