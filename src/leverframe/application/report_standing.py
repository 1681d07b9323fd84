"""The pull request that a verdict is for, as the forge has it now: its head, its base, and the tip of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from leverframe.adapters import runner
from leverframe.application.report_place import ReportTarget
from leverframe.domain.project import Project
from leverframe.domain.review.report.publish import Publisher
from leverframe.domain.review.report.pull_of_run import Pull, RunPull
from leverframe.errors import PublishError

if TYPE_CHECKING:
    from leverframe.adapters.github.infra import GithubInfra
    from leverframe.adapters.github.reviews import GithubReviews


@dataclass(frozen=True)
class Forges:
    """The two sides of the forge that a verdict needs: what is posted there, and what it is bound to."""

    repository: str
    posts: GithubInfra
    reviews: GithubReviews


def forges(project: Project) -> Forges:
    """Return the forge of this run; raises ``PublishError`` where there is no token for it."""
    repository, token = runner.repository(), runner.token()
    if not (repository and token):
        raise PublishError(
            "GitHub cannot be asked from here",
            why="this is no run of a workflow" if not repository else "there is no token in GITHUB_TOKEN",
            next="hand `env: {GITHUB_TOKEN: ${{ github.token }}}` to the step of a workflow",
        )
    from leverframe.adapters.github.infra import GithubInfra  # noqa: PLC0415 - of an extra
    from leverframe.adapters.github.reviews import GithubReviews  # noqa: PLC0415

    posts = GithubInfra(runner.api(), repository, token, project=project)
    return Forges(repository, posts, GithubReviews(runner.api(), repository, token, project=project))


@dataclass(frozen=True)
class PullState:
    """A pull request, the place where its card goes, the newest commit of its base branch, and its reviews."""

    pull: Pull
    place: ReportTarget
    head: str
    tip: str
    reviews: GithubReviews


def standing(number: int | None, publisher: Publisher, project: Project) -> PullState:
    """Return where a pull request stands. It is told by its number alone: what an artifact says is not looked at.

    Its ``head`` is the commit that a verdict has to be of: in a merge queue, what that made of it. Raises
    ``PublishError`` where it cannot be looked up.
    """
    if number is None:
        raise PublishError(
            "the pull request is not known", why="its number is not given", next="give `--pull` with its number"
        )
    here, event = forges(project), runner.event()
    pull = here.posts.pull(number)
    queued = event if isinstance(event, RunPull) and event.queued and event.number == number else None
    head, base = (queued.head, queued.base) if queued else (pull.head, pull.base)
    run = RunPull(
        here.repository, number, head, runner.order(), pull.source, pull.branch, base,
        trusted=pull.source == here.repository, queued=queued is not None,
    )  # fmt: skip
    tip = here.reviews.tip(base)
    return PullState(pull, ReportTarget(run, publisher, base, project, tip), head, tip, here.reviews)
