"""Where the card of a run goes: its pull request is looked up, and the card held to the commit at the head of that."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from leverframe.adapters import cml, runner
from leverframe.adapters.git import Git
from leverframe.domain.project import WHOLE, Project
from leverframe.domain.review.report.card import Card
from leverframe.domain.review.report.publish import Publisher, check_name, chosen
from leverframe.domain.review.report.pull_of_run import NoPull, Pull, RunPull, chosen_pull
from leverframe.errors import PublishError, RepositoryError, guide_page

if TYPE_CHECKING:
    from leverframe.adapters.github.infra import GithubInfra
    from leverframe.adapters.github.reviews import GithubReviews

_REMOTE = re.compile(r"\A(?:refs/heads/|(?:refs/remotes/)?origin/)?(?P<branch>.+)\Z")
_LONGEST = 250  # characters of a branch; the card of another job may say anything
_MUTE = "there is no token in GITHUB_TOKEN: hand `env: {GITHUB_TOKEN: ${{ github.token }}}` to the step"
_SHA = re.compile(r"\A[0-9a-f]{7,40}\Z")


def branch_named(revision: str | None) -> str:
    """Return the branch that ``--base`` names; empty where it names a commit, or nothing."""
    match = _REMOTE.match(revision or "")
    return match["branch"] if match and not _SHA.match(match["branch"]) else ""


@dataclass(frozen=True)
class ReportTarget:
    """The run that shows a card, who is to post it, and the branch that the card is made for, as far as it is known.

    A verdict holds for the commit ``tip`` of that branch. ``pending`` says what it still waits for.
    """

    run: RunPull | NoPull | None
    asked: Publisher
    given: str = ""
    project: Project = WHOLE
    tip: str = ""
    pending: str = ""

    @property
    def base(self) -> str:
        """The branch that the change goes to: of the event, else what was given."""
        return ((self.run.base if isinstance(self.run, RunPull) else "") or self.given)[:_LONGEST]

    @cached_property
    def forge(self) -> GithubInfra | None:
        """The forge, where the event is about a pull request and the job has a token."""
        if not (isinstance(self.run, RunPull) and runner.token()):
            return None
        from leverframe.adapters.github.infra import GithubInfra  # noqa: PLC0415 - of an extra

        return GithubInfra(runner.api(), self.run.repository, runner.token(), project=self.project)

    @cached_property
    def reviews(self) -> GithubReviews | None:
        """The reviews and branches there, where the forge is known."""
        if not (isinstance(self.run, RunPull) and runner.token()):
            return None
        from leverframe.adapters.github.reviews import GithubReviews  # noqa: PLC0415 - of an extra

        return GithubReviews(runner.api(), self.run.repository, runner.token(), project=self.project)

    def check(self, key: str) -> str:
        """Return the name of the check of a card, which tells the branch that the change goes to."""
        base, reviews = self.base, self.reviews
        default = runner.default_branch() or (reviews.default_branch if reviews and base else base)
        return self.project.titled(check_name(key, "" if base in ("", default) else base))

    @cached_property
    def publisher(self) -> Publisher:
        """Who posts; raises ``PublishError`` where what was asked for cannot work here."""
        return chosen(self.asked, has_cml=cml.executable() is not None, has_token=bool(runner.token()), run=self.run)

    @property
    def pull(self) -> Pull | NoPull | None:
        """The pull request as it is now; None where nobody can tell. Raises ``PublishError`` where several fit."""
        if isinstance(self._looked_up, PublishError):
            raise self._looked_up
        return self._looked_up

    @cached_property
    def _looked_up(self) -> Pull | NoPull | PublishError | None:
        run, forge = self.run, self.forge
        if not isinstance(run, RunPull):
            return run
        if forge is None:
            return None
        try:
            if run.number is not None:
                return forge.pull(run.number)
            return chosen_pull(run, forge.pulls(run.head_repository, run.head_branch), self.base)
        except PublishError as error:
            if run.number is None or not run.head:
                return error
            return Pull(run.number, run.head, run.base, run.head_repository, run.head_branch)  # as the event has it

    @property
    def trusted(self) -> bool:
        """Whether somebody who may push made the change; the event of a comment does not say it."""
        if not isinstance(self.run, RunPull) or self.run.trusted:
            return True
        with suppress(PublishError):
            return not self.run.head and isinstance(self.pull, Pull) and self.pull.source == self.run.repository
        return False

    def labels(self) -> tuple[str, ...]:
        """Return the labels of the pull request as they are now, or as they were when the run began."""
        with suppress(PublishError):
            if self.forge is not None and isinstance(self.pull, Pull):
                return self.forge.labels(self.pull.number)
        return runner.labels()

    def held(self, card: Card, git: Git) -> Card:
        """Return the card of the checkout as one of the commit that the pull request shows.

        A checkout of the merge commit that GitHub makes is of the head that it merges. What a job committed itself is
        the head where it was pushed. Raises ``PublishError`` for any other commit: nobody looked at the head then.
        """
        heads = self._heads()
        if not heads or card.head in heads:
            return card
        with suppress(RepositoryError):
            merged = git.named(f"{card.head}^2")
            if merged in heads:
                note = f"Checked is `{card.head[:12]}`, the merge of `{merged[:12]}` into `{card.base[:12]}`."
                plans = tuple(replace(plan, head=merged) for plan in card.infra if plan.head == card.head)
                return replace(card, head=merged, infra=plans, notes=(note, *card.notes))
        raise PublishError(
            "the card is not of the commit that the pull request shows",
            why=f"the checkout is of {card.head[:12]}, the pull request is at {heads[-1][:12]}",
            next="check out `${{ github.event.pull_request.head.sha }}`; push first what the job commits",
        )

    def hold_foreign(self, card: Card, name: str) -> None:
        """Raise ``PublishError`` unless a card that another job made is of the commit of the run: that job wrote it."""
        heads = self._heads()[:1]
        if heads and card.head not in heads:
            raise PublishError(
                f"{name} speaks of another commit than the run",
                why=f"it says {card.head[:12]!r}, the run is of {heads[0][:12]}",
                next="look at the run that made it: a card is posted only to the commit it was made for",
            )

    def _heads(self) -> tuple[str, ...]:
        """Return the commits that a card may be of: the head that the event says, and that of now."""
        if not isinstance(self.run, RunPull):
            return ()
        now = self._now()
        return tuple(dict.fromkeys(filter(None, (self.run.head, now.head if now else ""))))

    def _now(self) -> Pull | None:
        """Return the pull request as it is now, where a card is posted and a pull request shows its commit."""
        if not isinstance(self.run, RunPull) or self.run.queued or self.asked in ("summary", "file"):
            return None
        with suppress(PublishError):  # raised when the card is posted
            return self.pull if isinstance(self.pull, Pull) else None
        return None

    def warnings(self, head: str) -> tuple[str, ...]:
        """Return what a reader of a card of ``head`` has to know before its verdict."""
        now, warnings = self._now(), []
        if self.pending:
            warnings.append(f"This is no verdict any more: {self.pending}.")
        if now and now.head != head:
            warnings.append(
                f"The pull request is at `{now.head[:12]}` by now. This card is of `{head[:12]}`: "
                "nobody has looked at what came since."
            )
        if now and self.base and now.base not in ("", self.base):
            warnings.append(f"The pull request goes into `{now.base}` by now. This card is made for `{self.base}`.")
        return tuple(warnings)

    def unposted(self) -> tuple[str, ...]:
        """Return why a card is not posted although nobody asked for a file; empty where somebody did."""
        if self.asked in ("summary", "file") or self.run is None:
            return ()
        if isinstance(self.run, NoPull):
            return (self.run.because,)
        return () if runner.token() else (_MUTE,)

    def explained(self, error: PublishError) -> PublishError:
        """Return a refusal as it is, but of the run that a fork caused: no line of its job gives its token more."""
        run = self.run
        caused = isinstance(run, RunPull) and run.number is not None and run.head and not (run.trusted or run.queued)
        if not caused or "permissions: {" not in error.next:
            return error
        return PublishError(
            error.what,
            why=f"{error.why}; the token of a run that a fork causes may only read",
            next=f"post the card in a workflow on `workflow_run`, as in {guide_page('first-pull-request.md')}",
        )
