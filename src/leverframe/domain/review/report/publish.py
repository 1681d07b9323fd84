"""Where a card goes and what to do there, as data: one comment per pull request, updated in place."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from leverframe.domain.review.report.pull_of_run import NoPull, Pull, RunOrder, RunPull
from leverframe.domain.verdict import Failed, Passed, Verdict
from leverframe.errors import PublishError

Conclusion = Literal["success", "failure", "neutral"]
State = Conclusion | Literal["pending"]  # of a check run: how it ended, or that it goes on
CHECK = "leverframe"  # the name of the check run, which a branch rule may require
KEY = "model"  # of the card where a pull request has one
WRITTEN, POSTED = "written", ("created", "updated", "unchanged", "check alone")

_BRANCH = 60  # characters of a branch in the name of a check
_OTHERS_MARK = re.compile(r"!\[\]\(https://\S+/watermark\.png")
_PLAIN = re.compile(r"[^A-Za-z0-9._/+~-]")  # git allows no `~` in a branch: it marks a digest
_MARKER = re.compile(r"\A<!-- leverframe:report:([a-z0-9-]{1,60}) (\{.{0,300}?\}) -->")


@dataclass(frozen=True)
class Comment:
    """A comment on a pull request."""

    number: int
    author: str
    body: str
    url: str


@dataclass(frozen=True)
class ListedCheck:
    """A check run; ``goes_on`` tells that it has not ended."""

    number: int
    summary: str
    goes_on: bool = False


@dataclass(frozen=True)
class Create:
    """There is no comment of ours yet."""


@dataclass(frozen=True)
class Update:
    """The comment is replaced by the new card."""

    comment: Comment


@dataclass(frozen=True)
class Unchanged:
    """The comment already shows the same card; ``renewed`` tells that an older run wrote it.

    Then the marker is brought up to date, else a run between the two would think itself the newest.
    """

    comment: Comment
    renewed: bool = False


@dataclass(frozen=True)
class Outdated:
    """A newer run wrote the comment; it must not be overwritten."""

    comment: Comment
    order: RunOrder


Step = Create | Update | Unchanged | Outdated


class Forge(Protocol):
    """The port to the host of pull requests."""

    def me(self) -> str:
        """Return the login under which we write, as far as the token may know it."""

    def comments(self, number: int) -> list[Comment]:
        """Return every comment of a pull request, oldest first."""

    def create(self, number: int, body: str) -> Comment:
        """Add a comment and return it; its author is who we are."""

    def update(self, comment: Comment, body: str) -> bool:
        """Replace the body of a comment; False where it is gone although a list still had it."""

    def delete(self, comment: Comment) -> None:
        """Remove a comment, which may be gone already."""

    def pull(self, number: int) -> Pull:
        """Return a pull request as it is now."""

    def pulls(self, repository: str, branch: str) -> list[Pull]:
        """Return the open pull requests from a branch of a repository, which may be a fork."""

    def keep(self, branch: str, files: Mapping[str, str]) -> None:
        """Add files to a branch of their own; files that are there stay."""

    def checks(self, name: str, head: str) -> list[ListedCheck]:
        """Return all check runs of a name on a commit, oldest first."""

    def check_run(self, name: str, head: str, state: State, title: str, summary: str) -> str:
        """Add a check run to a commit and return its address."""

    def check_again(self, number: int, state: State, title: str, summary: str) -> str:
        """Let a check run that goes on show something else, or end, and return its address."""


def step(comments: Sequence[Comment], author: str, key: str, body: str) -> Step:
    """Return what has to happen; ours is the comment with our marker that we wrote, and a newer run's stays."""
    mine = ours(comments, author, key)
    if not mine:
        return Create()
    newest, now = max(written_by(comment.body, key) or RunOrder() for comment in mine), written_by(body, key)
    if now is not None and newest > now:
        return Outdated(mine[0], newest)
    if not _same(mine[0].body, body):
        return Update(mine[0])
    return Unchanged(mine[0], renewed=written_by(mine[0].body, key) != now)


def ours(comments: Sequence[Comment], author: str, key: str) -> list[Comment]:
    """Return the comments with our marker that we wrote, oldest first."""
    return [comment for comment in comments if comment.author == author and written_by(comment.body, key) is not None]


def _same(there: str, body: str) -> bool:
    """Tell whether a comment shows a body; the line of another program's mark may follow it."""
    ours, theirs = (text.replace("\r\n", "\n").partition("\n")[2].rstrip() for text in (body, there))
    return theirs == ours or (theirs.startswith(ours) and theirs[len(ours) :].strip().startswith("![]("))


def with_mark(there: str, body: str, mark: str = "") -> str:
    """Return a body followed by the mark by which another program finds a comment, or by ``mark``.

    That of ``there``, the comment that the body replaces, goes on: without it that program would post another one.
    """
    last = there.replace("\r\n", "\n").rstrip().rpartition("\n")[2]
    kept = last if _OTHERS_MARK.match(last) else mark
    return f"{body.rstrip()}\n\n{kept}" if kept and kept not in body else body


def shows(there: str, body: str) -> bool:
    """Tell whether a comment shows a body, and as the card of the same run."""
    return _same(there, body) and there.partition("\n")[0].rstrip() == body.partition("\n")[0].rstrip()


def written_by(body: str, key: str) -> RunOrder | None:
    """Return the run that wrote a body of ours, of a comment or of a check; None for any other."""
    match = _MARKER.match(body)
    if not match or match[1] != key:
        return None
    try:
        content = json.loads(match[2])
        return RunOrder(int(content["run"]), int(content.get("attempt", 1)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def check_name(key: str, into: str = "") -> str:
    """Return the name of the check run of a card: cards with keys of their own have checks of their own.

    ``into`` is the branch that the change goes to where that is not the default one: a commit has one check of a name,
    and a verdict for another branch says nothing of this one.
    """
    name = CHECK if key == KEY else f"{CHECK} ({key})"
    return f"{name} (into {branch_word(into)})" if into else name


def branch_word(branch: str) -> str:
    """Return a branch as one short word of plain letters; one that is not is told apart by its digest."""
    word = _PLAIN.sub("_", branch)[:_BRANCH]
    return word if word == branch else f"{word[: _BRANCH - 9]}~{hashlib.sha256(branch.encode()).hexdigest()[:8]}"


def conclusion(verdict: Verdict) -> Conclusion:
    """Return the conclusion of the check run: it is the gate."""
    return "success" if isinstance(verdict, Passed) else "failure" if isinstance(verdict, Failed) else "neutral"


def title(verdict: Verdict) -> str:
    """Return the one line that GitHub shows beside the check."""
    if isinstance(verdict, Failed):
        return f"do not merge: {', '.join(reason.value for reason in verdict.reasons)}"[:250]
    return "ready to merge" if isinstance(verdict, Passed) else "no verdict"


Publisher = Literal["auto", "cml", "github", "summary", "file"]


def chosen(asked: Publisher, *, has_cml: bool, has_token: bool, run: RunPull | NoPull | None) -> Publisher:
    """Return who posts: what was asked for or, with `auto`, what the surroundings allow.

    Raises ``PublishError`` where what was asked for cannot work here.
    """
    if asked not in ("auto", "cml", "github"):
        return asked
    if asked == "auto":
        return ("cml" if has_cml else "github") if _able(run, has_token) else "summary" if run is not None else "file"
    if not _able(run, has_token):
        why = "this is no run of a workflow" if run is None else "there is no token in GITHUB_TOKEN"
        raise PublishError(
            f"`--publisher {asked}` cannot post from here",
            why=run.because if isinstance(run, NoPull) else why,
            next="hand `env: {GITHUB_TOKEN: ${{ github.token }}}` to the step"
            if isinstance(run, RunPull)
            else "`--publisher file` writes the card, `--html` a page to look at",
        )
    return asked


def _able(run: RunPull | NoPull | None, has_token: bool) -> bool:
    return isinstance(run, RunPull) and has_token


@dataclass(frozen=True)
class Posting:
    """What is posted: the comment's body under its key, and the check run of a commit.

    Body and summary begin with the same marker. ``check`` is the name of the check run, by default as the key says.
    The verdict holds for the commit ``tip`` of the branch ``base``. ``pending`` says what it still waits for: then the
    check goes on, and there is no comment.
    """

    key: str
    body: str
    head: str
    verdict: Verdict
    summary: str
    check: str = ""
    base: str = ""
    tip: str = ""
    pending: str = ""


@dataclass(frozen=True)
class Published:
    """Where a card went and what happened there; ``why`` says why nothing was posted, or not all of it."""

    verdict: Verdict
    publisher: str
    place: str
    done: str
    why: tuple[str, ...] = ()

    @property
    def outputs(self) -> dict[str, str]:
        """No more outputs of the step than every lever has."""
        return {}

    def lines(self) -> list[str]:
        """Return it for a terminal: first whether the lever worked, then what it found."""
        head = f"report {self._worked()}; the verdict is: {in_words(self.verdict)}"
        return [head, f"  {self.place} ({self.publisher}, {self.done})", *(f"  {line}" for line in self.why)]

    def _worked(self) -> str:
        if self.done in POSTED:
            return "posted"
        return "written" if self.done == WRITTEN and not self.why else "not posted"


def in_words(verdict: Verdict) -> str:
    """Return a verdict as a person reads it."""
    if isinstance(verdict, Failed):
        return f"do not merge ({', '.join(reason.value for reason in verdict.reasons)})"
    return "ready to merge" if isinstance(verdict, Passed) else f"none, {verdict.because}"
