"""The surroundings of the demo: its folder, the local forge, and clones in which commands run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leverframe.adapters.working_tree import WorkingTree
from leverframe.application.workspace import Workspace
from leverframe.domain.verdict import REFUSED
from leverframe.errors import PipelineError
from leverframe.inert.letters import as_read
from leverframe.local.github.pages import pull_page
from leverframe.local.github.server import LocalForge
from leverframe.local.github.state import Issue, PullRequest, Repository
from leverframe.local.repository import TemporaryRepository
from leverframe.package import source_folder

NAME, BOT, TOKEN = "ada/model", "github-actions[bot]", "of-the-demo"


@dataclass(frozen=True)
class Scene:
    """The repository of the case, the folder of the demo, the local forge, and the receiver of progress."""

    workspace: Workspace
    folder: Path
    server: LocalForge
    tell: Callable[[str], None]

    @property
    def forge(self) -> Repository:
        """The repository on the local forge."""
        return self.server.repositories[NAME]

    def clone(self, place: str, revision: str, *, local: bool = False) -> TemporaryRepository:
        """Return the project in a checkout below ``place``: of the local forge, or of this clone where ``local``.

        It has this folder's cache, no remote of DVC, and a home and git identity of its own.
        """
        top = self.folder / place / "repository"
        repository = TemporaryRepository(top / self.workspace.git.prefix(), self.folder / place / "home")
        repository.home.mkdir(parents=True)
        if local:
            self.workspace.git.copied(revision, top)
            repository.git("remote", "remove", "origin")
        else:
            address = f"{self.server.address}/{NAME}"
            command = ["git", "clone", "--quiet", "--branch", revision, address, str(top)]
            subprocess.run(command, env=repository.environment, check=True, capture_output=True)
            self.workspace.git.fill_submodules(top)
        WorkingTree.around(self.workspace.root).lend(
            repository.root, remote=False
        )  # nothing of a demo leaves this machine
        return repository

    def push(self, repository: TemporaryRepository, branch: str) -> None:
        """Push the head of a clone to a branch of the local forge."""
        address = self.server.address.replace("http://", f"http://x:{TOKEN}@")
        repository.git("push", "--quiet", f"{address}/{NAME}", f"HEAD:refs/heads/{branch}")

    def leverframe(
        self,
        repository: TemporaryRepository,
        *arguments: str,
        run: Mapping[str, str] | None = None,
        refused: tuple[int, ...] = (),
    ) -> str:
        """Run a command in a clone with the environment of a CI job, and return its stdout.

        Raises ``PipelineError`` where it broke; a lever that refuses has not, nor has a command that ends with one of
        the codes ``refused``.
        """
        environment = {
            **self._environment(repository),
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_API_URL": self.server.address,
            "GITHUB_SERVER_URL": self.server.address,
            "GITHUB_TOKEN": TOKEN,
            **(run or {}),
        }
        done = subprocess.run(
            [sys.executable, "-m", "leverframe", *arguments],
            cwd=repository.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, REFUSED, *refused):
            raise PipelineError(
                f"`leverframe {arguments[0]}` failed in the demo",
                why=_error(done.stderr)[:300],
                next=f"run it in {repository.root}",
                code=done.returncode,
            )
        return done.stdout

    def json(
        self, repository: TemporaryRepository, *arguments: str, run: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Run a command with ``--json`` and return its result."""
        content: dict[str, Any] = json.loads(self.leverframe(repository, *arguments, "--json", run=run))
        return content

    def _environment(self, repository: TemporaryRepository) -> dict[str, str]:
        """Return the environment of a command: it uses the Leverframe of the checkout, if there is one."""
        source = source_folder(self.workspace.root)
        known = repository.environment | ({"PYTHONPATH": str(repository.root / source)} if source else {})
        return {name: value for name, value in known.items() if not name.startswith(("GITHUB_", "LEVERFRAME_"))}


def _error(stderr: str) -> str:
    """Return the error that a command ended with, else its last line: what it tells of its progress comes before."""
    lines = stderr.strip().splitlines() or ["no word"]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    reasons = [line.partition("why:")[2].strip() for line in lines if line.startswith("  why:")]
    return ": ".join([*errors[-1:], *reasons[-1:]]) or lines[-1]


def page(scene: Scene, pull: PullRequest, name: str) -> Path:
    """Store a copy of the page of a pull request, and return its path."""
    copy = scene.folder / f"{name}.html"
    copy.write_text(pull_page(scene.forge, pull), encoding="utf-8")
    return copy


def heading(opened: PullRequest | Issue) -> str:
    """Return number and title of a pull request or an issue, as people read them."""
    return f"#{opened.number} {as_read(opened.title)}"


def replaced(repository: TemporaryRepository, path: str, changes: Mapping[str, str], where: str) -> None:
    """Replace texts in a file of a clone, each of which must occur once; ``where`` names the declaration."""
    text = repository.read(path)
    for old, new in changes.items():
        if text.count(old) != 1:
            raise PipelineError(
                f"the demo cannot change `{old.strip()}`",
                why=f"{path} has it {text.count(old)} times, not once",
                next=f"edit demo.yaml of the case, {where}",
            )
        text = text.replace(old, new)
    repository.write(path, text)
