"""A pull request on the local forge, its author, and jobs that post cards in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from leverframe.documents import plain
from leverframe.domain import layout
from leverframe.domain.review.check import Checked
from leverframe.domain.review.reproduce import Reproduced
from leverframe.files import write_json
from leverframe.local.github import events
from leverframe.local.github.server import LocalForge, serving
from leverframe.local.github.state import PullRequest, Repository, Token
from leverframe.local.repository import TemporaryRepository
from tests.in_process import InProcess, Ran
from tests.loop.forge import BOT, SECRET
from tests.unit.test_report import gated

NAME = "acme/ml"


@dataclass
class Desk:
    """A local forge with one pull request of `topic` into `main`, an author, and jobs that post cards."""

    server: LocalForge
    folder: Path
    author: TemporaryRepository
    run: InProcess
    pull: PullRequest
    number: int = 0

    @property
    def repository(self) -> Repository:
        """The repository on the forge."""
        return self.server.repositories[NAME]

    def push(self, branch: str, text: str, to: str = NAME) -> str:
        """Commit a change on a branch, which may be new, push it, and return its commit."""
        start = self.server.repository(to).commit(branch) or self.repository.commit("main")
        self.author.git("checkout", "--quiet", "--detach", start)
        self.author.write("change.txt", text)
        commit = self.author.commit(text)
        self.author.git("push", "--quiet", "--force", str(self.server.repository(to).path), f"HEAD:refs/heads/{branch}")
        self.server.pushed(self.server.repositories[to])
        return commit

    def merge_commit(self) -> str:
        """Return the commit that GitHub makes to test the merge of the pull request, as `refs/pull/1/merge`."""
        git, base, head = self.repository.git, self.repository.commit("main"), self.pull.head
        tree = git("merge-tree", "--write-tree", base, head).strip()
        merge = git("commit-tree", tree, "-p", base, "-p", head, "-m", f"Merge {head} into {base}").strip()
        git("update-ref", f"refs/pull/{self.pull.number}/merge", merge)
        return merge

    def checkout(self, commit: str, *, passed: bool = True) -> TemporaryRepository:
        """Return a job's checkout of a commit in which every lever has passed."""
        self.number += 1
        place = self.folder / f"job-{self.number}"
        (place / "home").mkdir(parents=True)
        job = TemporaryRepository(place / "repository", place / "home")
        self.author.git("clone", "--quiet", str(self.repository.path), str(job.root))
        job.git("fetch", "--quiet", "origin", "+refs/pull/*:refs/remotes/pull/*")
        job.git("checkout", "--quiet", "--detach", commit)
        if passed:
            self.judged(job, commit)
        return job

    def judged(self, job: TemporaryRepository, commit: str) -> None:
        """Let every lever have passed for a commit."""
        left = {"check": Checked(commit), "reproduce": Reproduced(commit), "gate": gated(head=commit)}
        for lever, content in left.items():
            write_json(job.root / layout.lever(lever), plain(content))

    def report(
        self, job: TemporaryRepository, event: str, payload: dict[str, Any], *arguments: str, **environment: str
    ) -> Ran:
        """Run `leverframe report` in a job, in this process."""
        path = job.home / "event.json"
        path.write_text(json.dumps(payload), encoding="utf-8")
        given = {
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(path),
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_RUN_ID": "7",
            "GITHUB_API_URL": self.server.address,
            "GITHUB_SERVER_URL": self.server.address,
            "GITHUB_TOKEN": SECRET,
        }
        return self.run(job.root, job.environment | given | environment, "report", *arguments)

    def posted(self, commit: str = "", **environment: str) -> Ran:
        """Post the card of the pull request as its own workflow does."""
        job = self.checkout(commit or self.pull.head)
        payload = events.pull_request_event(self.repository, self.pull)
        return self.report(job, "pull_request", payload, "--publisher", "github", **environment)

    def ours(self, pull: PullRequest | None = None, login: str = BOT) -> list[str]:
        """The bodies of our comments on a pull request."""
        return [remark.body for remark in (pull or self.pull).comments if remark.author == login and not remark.gone]

    def checks(self, commit: str) -> list[str | None]:
        """The conclusions of our checks of a commit."""
        return [check.conclusion for check in self.repository.checks if check.head == commit]


@contextmanager
def opened_desk(tmp_path: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    """Open a pull request on the local forge; at the end no call may have violated GitHub's own description."""
    author = TemporaryRepository.create(tmp_path / "author", dvc=False)
    author.write("a", "1")
    author.commit("Start")
    with serving(tmp_path / "forge") as server:
        server.tokens[SECRET] = Token(BOT)
        repository = server.repository(NAME)
        author.git("push", "--quiet", str(repository.path), "HEAD:main", "HEAD:release", "HEAD:topic")
        author.write("b", "1")
        author.commit("Main goes on")
        author.git("push", "--quiet", str(repository.path), "HEAD:main")
        pull = repository.open_pull("A change", "topic")
        made = Desk(server, tmp_path, author, InProcess(patch, capture), pull)
        made.push("topic", "a change")
        yield made
        assert server.violations == []
