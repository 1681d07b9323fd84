"""Where a card goes and what to do there, as data: one comment per pull request, updated in place."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from leverframe.domain.verdict import Failed, Passed, Verdict, word
from leverframe.errors import PublishError

Conclusion = Literal["success", "failure", "neutral"]
CHECK = "leverframe"  # the name of the check run, which a branch rule may require

_CHECKED = ("pull_request", "workflow_dispatch")  # events of runs whose card is posted; by hand only people and we can

_MARKER = re.compile(r"\A<!-- leverframe:report:([a-z0-9-]{1,60}) (\{.{0,300}?\}) -->")
_SHA = re.compile(r"\A[0-9a-f]{40}\Z")
_REPOSITORY = re.compile(r"\A[\w.-]+/[\w.-]+\Z")


@dataclass(frozen=True)
class Where:
    """The pull request of a run, as far as the event identifies it.

    ``number`` is None where it has to be looked up by ``head_owner`` and ``head_branch``. ``run``
    grows from run to run; ``trusted`` is false for the pull request of a fork.
    """

    repository: str
    number: int | None
    head: str
    run: int
    head_owner: str = ""
    head_branch: str = ""
    trusted: bool = True


@dataclass(frozen=True)
class Comment:
    """A comment on a pull request."""

    number: int
    author: str
    body: str
    url: str


@dataclass(frozen=True)
class Create:
    """There is no comment of ours yet."""


@dataclass(frozen=True)
class Update:
    """The comment is replaced by the new card."""

    comment: Comment


@dataclass(frozen=True)
class Unchanged:
    """The comment already shows the same card."""

    comment: Comment


@dataclass(frozen=True)
class Outdated:
    """A later run wrote the comment; it must not be overwritten."""

    comment: Comment
    run: int


Step = Create | Update | Unchanged | Outdated


class Forge(Protocol):
    """The port to the host of pull requests."""

    def me(self) -> str:
        """Return the login under which we write."""

    def comments(self, number: int) -> list[Comment]:
        """Return every comment of a pull request, oldest first."""

    def create(self, number: int, body: str) -> str:
        """Add a comment and return its address."""

    def update(self, comment: Comment, body: str) -> str:
        """Replace the body of a comment and return its address."""

    def delete(self, comment: Comment) -> None:
        """Remove a comment."""

    def pull_request(self, owner: str, branch: str, head: str) -> int | None:
        """Return the open pull request from a branch whose head is this commit; None where there is none."""

    def keep(self, branch: str, files: Mapping[str, str]) -> None:
        """Add files to a branch of their own; files that are there stay."""

    def check_run(self, head: str, conclusion: Conclusion, title: str, summary: str) -> str:
        """Add a completed check run to a commit and return its address."""


def where(event: str, payload: Mapping[str, Any], environment: Mapping[str, str]) -> Where | None:
    """Return what an event says of its pull request; None for an event that has none, or outside of any.

    Raises ``PublishError`` for a payload that lacks what its event always has.
    """
    try:
        found = _where(event, payload, environment)
    except (KeyError, TypeError, ValueError) as error:
        raise PublishError(
            f"the payload of the event `{event}` cannot be read",
            why=f"it lacks {error}",
            next="run in a workflow on a pull request, `workflow_run` or `workflow_dispatch`; or `--publisher file`",
        ) from error
    if found and not (_SHA.match(found.head) and _REPOSITORY.match(found.repository)):
        raise PublishError(
            f"the payload of the event `{event}` names no commit of a repository",
            why=f"it says {found.head[:60]!r} of {found.repository[:60]!r}",
            next="look at the event file of the run",
        )
    return found


def _where(event: str, payload: Mapping[str, Any], environment: Mapping[str, str]) -> Where | None:
    repository = environment.get("GITHUB_REPOSITORY", "")
    if event == "pull_request":
        pull = payload["pull_request"]
        head = pull["head"]
        same = (head.get("repo") or {}).get("full_name") == repository
        run = int(environment.get("GITHUB_RUN_ID", "0"))
        return Where(repository, int(pull["number"]), str(head["sha"]), run, trusted=same)
    if event == "workflow_run":
        # The artifact of a fork is data: who it belongs to is told by the run alone.
        run = payload["workflow_run"]
        if run["event"] not in _CHECKED:
            return None
        home = run["head_repository"]
        return Where(
            repository,
            None,
            str(run["head_sha"]),
            int(run["id"]),
            str(home["owner"]["login"]),
            str(run["head_branch"]),
            trusted=home["full_name"] == repository,
        )
    branch = environment.get("GITHUB_REF", "").removeprefix("refs/heads/")
    if event == "workflow_dispatch" and branch and not branch.startswith("refs/"):
        head, run = environment.get("GITHUB_SHA", ""), int(environment.get("GITHUB_RUN_ID", "0"))
        return Where(repository, None, head, run, repository.partition("/")[0], branch)
    return None


def step(comments: Sequence[Comment], author: str, key: str, body: str) -> Step:
    """Return what has to happen; ours is the comment with our marker that we wrote, and a later run's stays."""
    mine = ours(comments, author, key)
    if not mine:
        return Create()
    comment, run, now = mine[0], max(_known(each.body, key) or 0 for each in mine), _known(body, key)
    if now is not None and run > now:
        return Outdated(comment, run)
    return Unchanged(comment) if _same(comment.body, body) else Update(comment)


def ours(comments: Sequence[Comment], author: str, key: str) -> list[Comment]:
    """Return the comments with our marker that we wrote, oldest first."""
    return [comment for comment in comments if comment.author == author and _known(comment.body, key) is not None]


def _same(there: str, body: str) -> bool:
    """Tell whether a comment shows a body; the line of another program's mark may follow it."""
    ours, theirs = (text.replace("\r\n", "\n").partition("\n")[2].rstrip() for text in (body, there))
    return theirs == ours or (theirs.startswith(ours) and theirs[len(ours) :].strip().startswith("![]("))


def _known(body: str, key: str) -> int | None:
    """Return the run that wrote a body of ours; None for any other."""
    found = _MARKER.match(body)
    if not found or found[1] != key:
        return None
    try:
        return int(json.loads(found[2])["run"])
    except (ValueError, KeyError, TypeError):
        return None


def conclusion(verdict: Verdict) -> Conclusion:
    """Return the conclusion of the check run: it is the gate."""
    return "success" if isinstance(verdict, Passed) else "failure" if isinstance(verdict, Failed) else "neutral"


def title(verdict: Verdict) -> str:
    """Return the one line that GitHub shows beside the check."""
    if isinstance(verdict, Failed):
        return f"do not merge: {', '.join(reason.value for reason in verdict.reasons)}"[:250]
    return "ready to merge" if isinstance(verdict, Passed) else "no verdict"


Publisher = Literal["auto", "cml", "github", "summary", "file"]


def chosen(asked: Publisher, *, has_cml: bool, has_token: bool, run: Where | None) -> Publisher:
    """Return who posts: what was asked for or, with `auto`, what the surroundings allow.

    Raises ``PublishError`` where what was asked for cannot work here.
    """
    if asked not in ("auto", "cml", "github"):
        return asked
    able = run is not None and has_token
    if asked == "auto":
        return ("cml" if has_cml else "github") if able else "summary" if run is not None else "file"
    if not able:
        raise PublishError(
            f"`--publisher {asked}` cannot post from here",
            why="there is no token in GITHUB_TOKEN" if run is not None else "this is no run of a pull request",
            next="hand `env: {GITHUB_TOKEN: ${{ github.token }}}` to the step"
            if run is not None
            else "`--publisher file` writes the card, `--html` a page to look at",
        )
    return asked


@dataclass(frozen=True)
class Posting:
    """What is posted: the comment's body under its key, and the check run of a commit."""

    key: str
    body: str
    head: str
    verdict: Verdict
    summary: str


@dataclass(frozen=True)
class Published:
    """Where a card went and what happened there."""

    verdict: Verdict
    publisher: str
    place: str
    done: str

    def lines(self) -> list[str]:
        """Return it for a terminal."""
        return [f"report {word(self.verdict)}: {self.place} ({self.publisher}, {self.done})"]


_DONE = {Create: "created", Update: "updated", Unchanged: "unchanged"}


def _nobody(_: list[Comment], __: Comment | None) -> bool:
    return False


@dataclass(frozen=True)
class Post:
    """One pull request to be brought up to date.

    ``others`` may carry out a step in place of the forge, given all comments and ours; it tells
    whether it did. ``reviewed`` adds what belongs to the card besides its own check.
    """

    forge: Forge
    number: int
    posting: Posting
    others: Callable[[list[Comment], Comment | None], bool] = _nobody
    reviewed: Callable[[], None] = lambda: None

    def __call__(self, *, dry: bool) -> tuple[str, str]:
        """Return the address of the comment and what was done.

        A later run's comment is left alone, and so is its check.
        """
        place, done = self.comment(dry=dry)
        if done in _DONE.values():
            self.reviewed()
            verdict = self.posting.verdict
            self.forge.check_run(self.posting.head, conclusion(verdict), title(verdict), self.posting.summary)
        return place, done

    def comment(self, *, dry: bool) -> tuple[str, str]:
        """Bring the comment alone up to date; return its address and what was done."""
        comments = self.forge.comments(self.number)
        found = step(comments, self.forge.me(), self.posting.key, self.posting.body)
        known = None if isinstance(found, Create) else found.comment
        place = known.url if known else ""
        if isinstance(found, Outdated):
            return place, f"left alone: the later run {found.run} wrote it"
        if dry:
            return place, f"would {type(found).__name__.lower()}"
        if not isinstance(found, Unchanged):
            place = self._posted(comments, known)
        return place, _DONE[type(found)]

    def _posted(self, comments: list[Comment], mine: Comment | None) -> str:
        """Create or update the comment and return its address."""
        if not self.others(comments, mine):
            if mine:
                return self.forge.update(mine, self.posting.body)
            self.forge.create(self.number, self.posting.body)
        return self._alone()

    def _alone(self) -> str:
        """Leave one comment of ours, the oldest, and return its address.

        A list that lags behind hides what is there, so a comment that was just created may be a second one.
        """
        mine = ours(self.forge.comments(self.number), self.forge.me(), self.posting.key)
        if not mine:
            return ""
        if not _same(mine[0].body, self.posting.body):
            self.forge.update(mine[0], self.posting.body)
        for extra in mine[1:]:
            self.forge.delete(extra)
        return mine[0].url
