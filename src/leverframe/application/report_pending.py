"""The checks that say that a verdict is to come, of every pull request that an event concerns."""

from __future__ import annotations

from functools import cache

from leverframe.adapters import runner
from leverframe.application.report import ReportOptions, project_of
from leverframe.application.report_place import ReportTarget
from leverframe.application.report_standing import Forges, forges
from leverframe.application.workspace import Workspace
from leverframe.domain.project import Project
from leverframe.domain.review.report import publish
from leverframe.domain.review.report.card_markdown import marker
from leverframe.domain.review.report.concerned_pulls import MOST, AwaitedPull, ConcernedPulls, Pending, awaited
from leverframe.domain.review.report.post_card import CardPost, PostResult
from leverframe.domain.review.report.pull_of_run import NoPull, Pull, RunPull
from leverframe.errors import PublishError

_OURS, _WRITTEN = "pull request", "leverframe"  # workflows whose run makes the claim: ours, and that of `init`


def report_pending(workspace: Workspace, asked: ReportOptions) -> Pending:
    """Let the check of each pull request that the event concerns say that a verdict is to come, and return them.

    One that a newer run has posted for is left out. Raises ``PublishError`` where none of them could be reached.
    """
    concern = runner.concern(asked.pull)
    if isinstance(concern, NoPull):
        return Pending((), (concern.because,))
    project = project_of(workspace, anywhere=True)
    here = forges(project)
    pulls, why = _pulls(here, concern)
    return _Waiting(here, asked, concern, project).all(pulls, why)


def _pulls(here: Forges, concern: ConcernedPulls) -> tuple[list[Pull], tuple[str, ...]]:
    """Return the open pull requests that an event concerns, as they are now, and why it is none."""
    run = concern.of
    if concern.number is not None:
        pull = here.posts.pull(concern.number)
        return ([pull], ()) if pull.open else ([], (f"#{pull.number} is closed",))
    if run is None:
        return awaited(concern, here.reviews.pulls_into(concern.into))
    return awaited(concern, here.posts.pulls(run.head_repository, run.head_branch))


class _Waiting:
    """Posts the checks of one event; what is asked of the forge for several pull requests is asked once."""

    def __init__(self, here: Forges, asked: ReportOptions, concern: ConcernedPulls, project: Project) -> None:
        self._here, self._asked, self._concern, self._project = here, asked, concern, project
        self._tip = cache(here.reviews.tip)

    def all(self, pulls: list[Pull], why: tuple[str, ...]) -> Pending:
        """Post each check, and return the pull requests that are to be judged."""
        queue, lines, refusals = [], list(why), []
        for pull in pulls:
            waiting, words, refusal = self._one(pull)
            queue += [waiting] if waiting else []
            lines += [f"#{pull.number}: {words}"] if words else []
            refusals += [refusal] if refusal else []
        if refusals and len(refusals) == len(pulls):
            raise refusals[0]
        left = [pull.number for pull in queue[MOST:]]
        if left:
            lines.append(
                f"{len(left)} more wait, as {MOST} are judged at once: start the judge by hand for each of them"
            )
        return Pending(tuple(queue[:MOST]), tuple(lines))

    def _one(self, pull: Pull) -> tuple[AwaitedPull | None, str, PublishError | None]:
        """Post one check; nothing is awaited where a newer run has posted. Return why, and what was refused.

        A pull request is judged also where its check cannot be added now: the verdict may find the way.
        """
        run = self._concern.of
        queued = run if run is not None and run.queued else None
        head, base = (queued.head, queued.base) if queued else (pull.head, pull.base)
        refusal = None
        try:
            ended = self._posted(None if queued else pull.number, head, base)
        except PublishError as error:
            refusal, ended = error, PostResult("", "refused", (f"{error.what}: {error.why}",))
        if ended.done == "left alone":
            return None, " ".join(ended.why), None
        claim, unknown = self._claim(head)
        return AwaitedPull(pull.number, base, head, claim), "; ".join((*ended.why, *unknown)), refusal

    def _posted(self, number: int | None, head: str, base: str) -> PostResult:
        key, words = self._project.key(self._asked.key), self._concern.words
        place = ReportTarget(RunPull(self._here.repository, number, head, base=base), "github", project=self._project)
        summary = f"{marker(key, head, runner.order())}\n{words[0].upper()}{words[1:]}.\n"
        bound = (place.check(self._asked.key), base, self._tip(base), words)
        posting = publish.Posting(key, summary, head, Pending(()).verdict, summary, *bound)
        return CardPost(self._here.posts, number, posting)(dry=self._asked.dry_run)

    def _claim(self, head: str) -> tuple[int, tuple[str, ...]]:
        """Return the run that made a claim for a commit, 0 without one, and why it cannot be looked up."""
        try:
            return self._concern.run or self._here.reviews.run_of(head, (_OURS, self._project.titled(_WRITTEN))), ()
        except PublishError as error:
            return 0, (f"{error.what}: {error.why}",)
