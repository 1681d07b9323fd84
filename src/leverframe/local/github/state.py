"""The state of the local forge: repositories backed by real git, pull requests, comments, checks."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PERMISSIONS = ("contents", "pull-requests", "checks", "deployments", "issues", "actions", "workflows")
_PLAIN = re.compile(r"[\w-]+(?:/[\w-]+)*")  # a name of a branch that leads nowhere else as a path
_HOOK = r"""#!/bin/sh
[ "$FORGE_WORKFLOWS" = no ] || exit 0
case "$3" in 000000*) exit 0 ;; esac
[ -z "$(git rev-list "$3" --not --all -- .github/workflows)" ] && exit 0
echo "refusing to allow a GitHub App to create or update workflow without \`workflows\` permission" >&2
exit 1
"""


@dataclass
class Comment:
    """A comment on a pull request; ``edits`` counts its updates.

    One that is ``gone`` was deleted, and lists that lag behind still show it.
    """

    number: int
    author: str
    body: str
    edits: int = 0
    gone: bool = False


@dataclass(frozen=True)
class Check:
    """A check run of a commit."""

    number: int
    head: str
    name: str
    status: str
    conclusion: str | None
    title: str
    summary: str
    external_id: str = ""


@dataclass
class Deployment:
    """A deployment of a commit to an environment; ``states`` are pairs of state and description, newest last."""

    number: int
    commit: str
    environment: str
    task: str
    description: str
    payload: object
    states: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Issue:
    """An issue; ``reason`` is why its state last changed, ``updated`` an ISO 8601 timestamp."""

    number: int
    title: str
    author: str
    body: str = ""
    labels: list[str] = field(default_factory=list)
    assignees: list[str] = field(default_factory=list)
    state: str = "open"
    reason: str | None = None
    updated: str = ""
    comments: list[Comment] = field(default_factory=list)


@dataclass(frozen=True)
class AutoMerge:
    """That a pull request is merged by itself, who said so, and how: ``merge``, ``squash`` or ``rebase``."""

    by: str
    method: str


@dataclass(frozen=True)
class WorkflowRun:
    """A run of a workflow file, on a branch, at a commit: by hand, or by an event; ``name`` is that of the workflow.

    ``conclusion`` is empty until it has ended.
    """

    number: int
    workflow: str
    branch: str
    head: str
    actor: str
    event: str = "workflow_dispatch"
    name: str = ""
    conclusion: str = ""


@dataclass(frozen=True)
class Review:
    """A review of a pull request at a commit, in a state such as `APPROVED`; one that is dismissed changes its own."""

    number: int
    author: str
    state: str
    commit: str
    body: str = ""


@dataclass
class PullRequest:
    """A pull request; ``source`` is the repository of its head, a fork perhaps. ``last`` is the head of a branch that
    is gone. In a ``locked`` conversation only people who may write comment.
    """

    number: int
    title: str
    author: str
    source: Repository
    branch: str
    base: str
    state: str = "open"
    merged: bool = False
    body: str = ""
    comments: list[Comment] = field(default_factory=list)
    draft: bool = False
    auto_merge: AutoMerge | None = None
    merge_commit: str = ""
    merged_at: str = ""
    labels: list[str] = field(default_factory=list)
    last: str = ""
    locked: bool = False
    reviews: list[Review] = field(default_factory=list)

    @property
    def head(self) -> str:
        """The commit at the head of the branch."""
        return self.source.tip(self.branch)


@dataclass
class Repository:
    """A repository ``owner/name`` whose git lies bare in ``path``; issues can be assigned to ``members``.

    ``roles`` has who may do more than read, and ``teams`` the members of `org/team`.

    ``required`` are the checks that the rule of a branch requires, by branch, and ``owned`` the branches that want a
    review of code owners. What the settings allow: ``auto_merges``,
    ``drafts``, and ``opens``, whether workflows may open pull requests. Of a ``private`` one nobody reads without a
    token. An ``archived`` one takes nothing new; who is ``blocked`` comments nowhere in it, and nobody beyond
    ``comment_limit`` comments of a conversation.
    """

    owner: str
    name: str
    path: Path
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    pulls: dict[int, PullRequest] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    issues: dict[int, Issue] = field(default_factory=dict)
    has_issues: bool = True
    members: set[str] = field(default_factory=set)
    runs: list[WorkflowRun] = field(default_factory=list)
    required: dict[str, set[str]] = field(default_factory=dict)
    owned: set[str] = field(default_factory=set)
    auto_merges: bool = True
    drafts: bool = True
    opens: bool = True
    private: bool = False
    archived: bool = False
    blocked: set[str] = field(default_factory=set)
    comment_limit: int = 2500
    roles: dict[str, str] = field(default_factory=dict)
    teams: dict[str, set[str]] = field(default_factory=dict)
    identifiers: Iterator[int] = field(default_factory=lambda: itertools.count(1001))

    @property
    def full_name(self) -> str:
        """``owner/name``."""
        return f"{self.owner}/{self.name}"

    @classmethod
    def create(cls, owner: str, name: str, folder: Path) -> Repository:
        """Start an empty repository below ``folder``."""
        path = folder / owner / f"{name}.git"
        path.mkdir(parents=True)
        _git("init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(path))
        repository = cls(owner, name, path)
        repository.git("config", "http.receivepack", "true")
        hook = path / "hooks" / "update"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(_HOOK, encoding="utf-8")
        hook.chmod(0o755)
        return repository

    def git(self, *arguments: str, given: str | None = None) -> str:
        """Run git in the repository, its standard input ``given``, and return what it printed."""
        return _git("-C", str(self.path), *arguments, given=given)

    def tree(self, index: Path, entries: list[str]) -> str:
        """Write a tree of ``mode blob TAB path`` entries, through an index file of its own, and return its name."""
        given = "".join(f"{entry}\n" for entry in entries)
        try:
            self._with_index(index, "update-index", "--add", "--index-info", given=given)
            return self._with_index(index, "write-tree").strip()
        finally:
            index.unlink(missing_ok=True)

    def _with_index(self, index: Path, *arguments: str, given: str | None = None) -> str:
        return _git("-C", str(self.path), *arguments, given=given, index=index)

    def commit(self, revision: str) -> str:
        """Return the commit of a branch or name; empty if there is none."""
        try:
            return self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").strip()
        except subprocess.CalledProcessError:
            return ""

    def tip(self, branch: str) -> str:
        """Return the commit at the head of a branch; empty if there is none.

        It is what is asked for most, and a file unless git has packed it: no process starts.
        """
        if _PLAIN.fullmatch(branch):
            with contextlib.suppress(OSError):
                return (self.path / "refs/heads" / branch).read_text(encoding="ascii").strip()
        return self.commit(f"refs/heads/{branch}")

    def open_pull(
        self, title: str, branch: str, *, base: str = "main", author: str = "", source: Repository | None = None
    ) -> PullRequest:
        """Open a pull request from a branch, of this repository or of a fork, whose commits are then fetched."""
        home = source or self
        pull = PullRequest(next(self.numbers), title, author or home.owner, home, branch, base)
        self.pulls[pull.number] = pull
        self.refresh(pull)
        return pull

    def refresh(self, pull: PullRequest) -> None:
        """Fetch the commits of a pull request to `refs/pull/N/head`, as GitHub does after a push.

        Without its branch an open one is closed.
        """
        if not pull.head:
            pull.state = "closed"
            return
        pull.last = pull.head
        self.git("fetch", "--quiet", str(pull.source.path), f"+refs/heads/{pull.branch}:refs/pull/{pull.number}/head")

    def merge(self, pull: PullRequest) -> str:
        """Merge a pull request as GitHub's button does and return the commit; empty where git finds a conflict."""
        base, head = self.tip(pull.base), self.commit(f"refs/pull/{pull.number}/head")
        try:
            tree = self.git("merge-tree", "--write-tree", base, head).strip()
        except subprocess.CalledProcessError:
            return ""
        words = f"Merge pull request #{pull.number} from {pull.source.owner}/{pull.branch}\n\n{pull.title}"
        commit = self.git("commit-tree", tree, "-p", base, "-p", head, "-m", words).strip()
        self.git("update-ref", f"refs/heads/{pull.base}", commit, base)
        pull.merged_at = f"2013-01-01T00:00:{sum(other.merged for other in self.pulls.values()) % 60:02}Z"  # no clock
        pull.state, pull.merged, pull.merge_commit, pull.auto_merge = "closed", True, commit, None
        return commit

    def brought(self, pull: PullRequest, commit: str) -> bool:
        """Tell whether a pull request brought a commit to its base, or would: its merge and what that merged."""
        if not pull.merge_commit:
            return commit in (pull.head, pull.last)
        return commit in self.git("rev-list", pull.merge_commit, f"^{pull.merge_commit}^1").split()

    def missing(self, pull: PullRequest) -> set[str]:
        """Return the required checks that have not passed at the head of a pull request."""
        passed = {name for name, check in self.latest_checks(pull.head).items() if check.conclusion == "success"}
        return self.required.get(pull.base, set()) - passed

    def settle(self) -> None:
        """Merge what is to be merged by itself and may be by now."""
        for pull in list(self.pulls.values()):
            if pull.auto_merge and pull.state == "open" and not pull.draft and not self.missing(pull):
                self.merge(pull)

    def review(self, pull: PullRequest, author: str, state: str = "APPROVED", body: str = "") -> Review:
        """Add a review of the head of a pull request; GitHub takes no approval of its author."""
        if state != "COMMENTED" and author == pull.author:
            raise ValueError("Can not approve your own pull request")
        review = Review(next(self.identifiers), author, state, pull.head, body)
        pull.reviews.append(review)
        return review

    def role(self, login: str) -> str:
        """Return the role of somebody in the repository."""
        known = {login.lower(): role for login, role in self.roles.items()} | {self.owner.lower(): "admin"}
        return known.get(login.lower(), "none" if self.private else "read")

    def say(self, pull: PullRequest | Issue, author: str, body: str) -> Comment:
        """Add a comment."""
        comment = Comment(next(self.identifiers), author, body)
        pull.comments.append(comment)
        return comment

    def latest_checks(self, head: str) -> dict[str, Check]:
        """Return the newest check of each name on a commit, which GitHub shows and branch rules read."""
        return {check.name: check for check in self.checks if check.head == head}


@dataclass(frozen=True)
class Token:
    """The account of a token and its permissions; one ``of_workflow``, or of an App, may not read its own account.

    Labels and assignees of somebody who may not ``push`` are dropped without a word, as GitHub does. Who is in a team
    the token of a workflow may not read: ``teams`` is for one of an App that may.
    """

    login: str
    writes: tuple[str, ...] = PERMISSIONS
    of_workflow: bool = True
    push: bool = True
    teams: bool = False


def _git(*arguments: str, given: str | None = None, index: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8"}
    environment |= {f"GIT_{role}_{part}": "github" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    environment |= {"GIT_INDEX_FILE": str(index.resolve())} if index else {}
    done = subprocess.run(
        ["git", *arguments], env=environment, input=given, capture_output=True, text=True, errors="replace", check=True
    )
    return done.stdout
