"""The state of the local forge: repositories backed by real git, pull requests, comments, checks."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PERMISSIONS = ("contents", "pull-requests", "checks", "deployments", "issues")


@dataclass
class Comment:
    """A comment on a pull request; ``edits`` counts its updates."""

    number: int
    author: str
    body: str
    edits: int = 0


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


@dataclass
class PullRequest:
    """A pull request; ``source`` is the repository of its head, a fork perhaps."""

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

    @property
    def head(self) -> str:
        """The commit at the head of the branch."""
        return self.source.commit(self.branch)


@dataclass
class Repository:
    """A repository ``owner/name`` whose git lies bare in ``path``; issues can be assigned to ``members``."""

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
        """Fetch the commits of a pull request to `refs/pull/N/head`, as GitHub does after a push."""
        self.git("fetch", "--quiet", str(pull.source.path), f"+refs/heads/{pull.branch}:refs/pull/{pull.number}/head")

    def merge(self, pull: PullRequest) -> str:
        """Merge a pull request as GitHub's button does and return the commit; empty where git finds a conflict."""
        base, head = self.commit(pull.base), self.commit(f"refs/pull/{pull.number}/head")
        try:
            tree = self.git("merge-tree", "--write-tree", base, head).strip()
        except subprocess.CalledProcessError:
            return ""
        words = f"Merge pull request #{pull.number} from {pull.source.owner}/{pull.branch}\n\n{pull.title}"
        commit = self.git("commit-tree", tree, "-p", base, "-p", head, "-m", words).strip()
        self.git("update-ref", f"refs/heads/{pull.base}", commit, base)
        pull.state, pull.merged = "closed", True
        return commit

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
    """The account of a token and its permissions; a workflow's token may not read its own account.

    Labels and assignees of somebody who may not ``push`` are dropped without a word, as GitHub does.
    """

    login: str
    writes: tuple[str, ...] = PERMISSIONS
    of_workflow: bool = True
    push: bool = True


def _git(*arguments: str, given: str | None = None, index: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8"}
    environment |= {f"GIT_{role}_{part}": "github" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    environment |= {"GIT_INDEX_FILE": str(index.resolve())} if index else {}
    done = subprocess.run(
        ["git", *arguments], env=environment, input=given, capture_output=True, text=True, errors="replace", check=True
    )
    return done.stdout
