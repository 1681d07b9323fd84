"""What `leverframe demo` shows after the pipeline: two pull requests on a stand-in for GitHub, with their cards."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leverframe.documents import read
from leverframe.domain.demo import Change, Changes
from leverframe.domain.verdict import REFUSED
from leverframe.errors import PipelineError
from leverframe.wiring import ROOT, read_settings

if TYPE_CHECKING:
    from leverframe.testing.github import PullRequest, StandIn
    from leverframe.testing.repository import TemporaryRepository

FOLDER = Path(".leverframe/demo")
_NAME, _BOT, _TOKEN = "ada/model", "github-actions[bot]", "of-the-demo"
_LEVERS = (("check",), ("reproduce",), ("gate",), ("report", "--publisher", "github"))


@dataclass(frozen=True)
class Shown:
    """One pull request as it ended."""

    title: str
    verdict: str
    address: str
    copy: Path


@contextmanager
def pull_requests(tell: Callable[[str], None]) -> Iterator[list[Shown]]:
    """Yield the pull requests of the case's ``demo.yaml``, whose pages are served until the block ends.

    A case without the file has none. Everything lies in a folder of its own, made anew.
    """
    case = ROOT / read_settings().data.case.replace(".", "/") / "demo.yaml"
    if not case.is_file():
        yield []
        return
    from leverframe.adapters.git import Git
    from leverframe.testing.github import Token, serving

    changes = read(case, Changes, what="the pull requests of the demo").changes
    folder = (ROOT / FOLDER).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    with serving(folder / "forge") as server:
        server.tokens[_TOKEN] = Token(_BOT)
        server.repository(_NAME)
        head = Git(ROOT).named("HEAD")
        main = _clone(folder / "main", head)
        _push(main, server, "main")
        yield [_shown(folder, server, branch, change, head, tell) for branch, change in changes.items()]


def _shown(folder: Path, server: StandIn, branch: str, change: Change, head: str, tell: Callable[[str], None]) -> Shown:
    tell(f"pull request `{branch}`: {change.title}")
    author = _clone(folder / branch, head)
    text = author.read("params.yaml")
    for old, new in change.replace.items():
        if text.count(old) != 1:
            raise PipelineError(
                f"the demo cannot change `{old}`",
                why=f"params.yaml holds it {text.count(old)} times",
                next=f"edit demo.yaml of the case, branch `{branch}`",
            )
        text = text.replace(old, new)
    author.write("params.yaml", text)
    tell("  the author runs `dvc repro`, commits and pushes")
    author.dvc("checkout", "--quiet", "--allow-missing")
    author.dvc("repro", "--quiet")
    author.commit(change.title)
    _push(author, server, branch)
    repository = server.repositories[_NAME]
    pull = repository.open_pull(change.title, branch, author="ada")
    verdict = _levers(folder, server, pull, tell)
    from leverframe.testing.github.pages import pull_page

    copy = folder / f"{branch}.html"
    copy.write_text(pull_page(repository, pull), encoding="utf-8")
    return Shown(change.title, verdict, f"{server.address}/{_NAME}/pull/{pull.number}", copy)


def _levers(folder: Path, server: StandIn, pull: PullRequest, tell: Callable[[str], None]) -> str:
    """Run the levers in a fresh checkout, as the workflow does, and return the verdict of the card."""
    from leverframe.testing.github import pull_request_event

    job = _clone(folder / f"job-{pull.number}", "main", f"{server.address}/{_NAME}")
    job.git("fetch", "--quiet", "origin", f"refs/pull/{pull.number}/head")
    job.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
    event = folder / f"event-{pull.number}.json"
    event.write_text(json.dumps(pull_request_event(server.repositories[_NAME], pull)), encoding="utf-8")
    environment = {
        **_environment(job),
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REPOSITORY": _NAME,
        "GITHUB_RUN_ID": str(pull.number),
        "GITHUB_API_URL": server.address,
        "GITHUB_SERVER_URL": server.address,
        "GITHUB_TOKEN": _TOKEN,
    }
    first = ""
    for lever in _LEVERS:
        done = subprocess.run(
            [sys.executable, "-m", "leverframe", *lever],
            cwd=job.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, REFUSED):
            raise PipelineError(
                f"`leverframe {lever[0]}` broke in the demo",
                why=(done.stderr.strip().splitlines() or ["no word"])[0][:200],
                next=f"run it in {job.root}",
            )
        first = (done.stdout.splitlines() or [""])[0].partition(":")[0]
        tell(f"  {first}")
    return first.partition(" ")[2]


def _clone(place: Path, revision: str, address: str | None = None) -> TemporaryRepository:
    """Return a checkout in ``place`` with this folder's cache, no remote, and a home and git identity of its own."""
    from leverframe.adapters.working_tree import WorkingTree
    from leverframe.testing.repository import TemporaryRepository

    repository = TemporaryRepository(place / "repository", place / "home")
    repository.home.mkdir(parents=True)
    if address is None:
        from leverframe.adapters.git import Git

        Git(ROOT).copied(revision, repository.root)
        repository.git("remote", "remove", "origin")
    else:
        command = ["git", "clone", "--quiet", "--branch", revision, address, str(repository.root)]
        subprocess.run(command, env=repository.environment, check=True, capture_output=True)
    WorkingTree.around(ROOT).lend(repository.root, remote=False)  # nothing of a demo leaves this machine
    return repository


def _environment(repository: TemporaryRepository) -> Mapping[str, str]:
    """Return the environment of a command: Leverframe is the one in the checkout, where it lies in the repository."""
    from leverframe.wiring.pipeline import package_in

    package = package_in(repository.root)
    known = repository.environment | ({"PYTHONPATH": str(package)} if package else {})
    return {name: value for name, value in known.items() if not name.startswith(("GITHUB_", "LEVERFRAME_"))}


def _push(repository: TemporaryRepository, server: StandIn, branch: str) -> None:
    address = server.address.replace("http://", f"http://x:{_TOKEN}@")
    repository.git("push", "--quiet", f"{address}/{_NAME}", f"HEAD:refs/heads/{branch}")


def lines(shown: list[Shown]) -> list[str]:
    """Return the pull requests for a terminal."""
    if not shown:
        return []
    told = [
        line
        for each in shown
        for line in (f"  {each.verdict:<7} {each.title}", f"          {each.address}", f"          {each.copy}")
    ]
    return ["", "Pull requests, on a stand-in for GitHub", *told]
