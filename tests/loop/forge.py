"""A shop on a fake GitHub server: authors push branches, and jobs run the levers as the workflows do."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from leverframe.documents import plain
from leverframe.domain.review.judge.judged import Judged
from leverframe.local.github.events import pull_request_event, workflow_run_event
from leverframe.local.github.server import LocalForge, serving
from leverframe.local.github.state import PullRequest, Repository, Token
from tests.integration.shop import Shop, built_once, copied
from tests.warm import WarmRepository, warm

NAME = "acme/shop"
BOT = "github-actions[bot]"
SECRET = "ghs_not_to_be_seen_anywhere"  # noqa: S105 - of the fake GitHub server alone
GATE = """
gate:
  metrics:
    auc: {maximum_drop: 0.03, floor: 0.6}
    brier: {maximum_drop: 0.02}
  slices:
    - {columns: [product], maximum_drop: 0.2, minimum_rows: 50}
"""


@dataclass
class Ended:
    """How the jobs of one push ended: each lever's exit code and words, and the card as data."""

    codes: dict[str, int]
    output: str
    summary: str
    card: dict[str, Any]
    published: str = ""

    @property
    def reasons(self) -> list[str]:
        """The reasons on the card, each once, in order."""
        levers = (self.card[name] for name in ("checked", "reproduced", "gated"))
        reasons = [violation["reason"] for lever in levers if lever for violation in lever["violations"]]
        return list(dict.fromkeys(reasons + ["tool-broke"] * any(self.card[n] is None for n in ("checked", "gated"))))


@dataclass
class Forge:
    """The fake GitHub server, the shop's repository on it, and a folder for working copies."""

    server: LocalForge
    folder: Path
    remote: Path
    finished: Shop
    counter: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    runs: Iterator[int] = field(default_factory=lambda: itertools.count(101))

    @property
    def repository(self) -> Repository:
        """The shop's repository on the fake GitHub server."""
        return self.server.repositories[NAME]

    def author(self) -> Shop:
        """Return a working copy with a cache, as a developer has it."""
        shop = copied(self.finished, self.folder / f"author-{next(self.counter)}")
        shop.repository.git("remote", "add", "origin", f"{self.server.address}/{NAME}")
        shop.repository.git("fetch", "--quiet", "origin")
        return shop

    def push(self, shop: Shop, branch: str, to: str = NAME) -> None:
        """Push what is committed to a branch of a repository."""
        address = self.server.address.replace("http://", f"http://x:{SECRET}@")
        shop.repository.git("push", "--quiet", "--force", f"{address}/{to}", f"HEAD:refs/heads/{branch}")

    def open(self, shop: Shop, branch: str, title: str = "A change", *, fork: str | None = None) -> PullRequest:
        """Push a branch, to a fork perhaps, and open a pull request from it."""
        source = self.server.repository(fork) if fork else self.repository
        self.push(shop, branch, source.full_name)
        return self.repository.open_pull(title, branch, author=source.owner, source=source)

    def checkout(self, revision: str, *, pulls: bool = True) -> WarmRepository:
        """Return a fresh checkout with all history and no data, as a job has it; those of ``pulls`` if asked for."""
        place = self.folder / f"job-{next(self.counter)}"
        place.mkdir()
        (place / "home").mkdir()
        job = WarmRepository(place / "repository", place / "home")
        environment = job.environment
        address = f"{self.server.address}/{NAME}"
        subprocess.run(["git", "clone", "--quiet", address, str(job.root)], env=environment, check=True)
        if pulls:
            job.git("fetch", "--quiet", "origin", "+refs/pull/*/head:refs/remotes/origin/pull/*")
        job.git("checkout", "--quiet", "--detach", revision)
        return job

    def run(self, pull: PullRequest, action: str = "opened", *, cold: bool = False) -> Ended:
        """Run both workflows for the head of a pull request: compute without a token, then post as data.

        Steps of a ``cold`` run are the program that is installed, with its start.
        """
        run = next(self.runs)
        job = self.checkout(pull.head)
        event = pull_request_event(self.repository, pull, action)
        environment = _job(job, self.server.address, "pull_request", event, run)
        codes, outputs = {}, []
        steps = (("check",), ("reproduce",), ("gate",), ("report", "--publisher", "summary", "--exit-code"))
        for step in steps:
            done = _step(job, environment, *step, cold=cold)
            codes[step[0]] = done.returncode
            outputs.append(f"$ leverframe {' '.join(step)}\n{done.stdout}{done.stderr}")
        card = job.root / ".leverframe/report.json"
        summary = Path(environment["GITHUB_STEP_SUMMARY"]).read_text(encoding="utf-8")
        ended = Ended(codes, "\n".join(outputs), summary, json.loads(card.read_bytes()))
        ended.published = self.publish(pull, card, run, cold=cold)
        return ended

    def publish(self, pull: PullRequest, card: Path, run: int, *, cold: bool = False) -> str:
        """Post a card on the default branch as a judge would that found the same; return what it printed."""
        job = self.checkout("origin/main")
        event = workflow_run_event(self.repository, pull, run)
        content, tip = json.loads(card.read_bytes()), self.repository.commit(pull.base)
        judged = plain(Judged(pull.base, tip, pull.head))
        (job.home / "judged.json").write_text(json.dumps(content | {"judged": judged}), encoding="utf-8")
        environment = _job(job, self.server.address, "workflow_run", event, run + 1000) | {"GITHUB_TOKEN": SECRET}
        given = ("--judged", str(job.home / "judged.json"), "--pull", str(pull.number), "--publisher", "github")
        done = _step(job, environment, "report", *given, cold=cold)
        leaked = [path for path in job.root.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
        assert leaked == []
        assert SECRET not in done.stdout + done.stderr
        assert done.returncode in (0, 26, 27), done.stdout + done.stderr
        return done.stdout + done.stderr

    def ours(self, pull: PullRequest) -> list[str]:
        """Return the bodies of the comments that we wrote."""
        return [comment.body for comment in pull.comments if comment.author == BOT]

    def conclusion(self, pull: PullRequest) -> str | None:
        """Return the conclusion of our check on the head of a pull request."""
        check = self.repository.latest_checks(pull.head).get("leverframe")
        return check.conclusion if check else None


def _job(job: WarmRepository, address: str, event: str, payload: dict[str, Any], run: int) -> dict[str, str]:
    """Return the environment that a runner gives to a job."""
    home = job.home
    (home / "event.json").write_text(json.dumps(payload), encoding="utf-8")
    for name in ("output", "summary"):
        (home / name).touch()
    return {
        **{name: value for name, value in job.environment.items() if not name.startswith(("GITHUB_", "LEVERFRAME_"))},
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": event,
        "GITHUB_EVENT_PATH": str(home / "event.json"),
        "GITHUB_REPOSITORY": NAME,
        "GITHUB_RUN_ID": str(run),
        "GITHUB_API_URL": address,
        "GITHUB_SERVER_URL": address,
        "GITHUB_OUTPUT": str(home / "output"),
        "GITHUB_STEP_SUMMARY": str(home / "summary"),
    }


def _step(
    job: WarmRepository, environment: dict[str, str], *arguments: str, cold: bool = False
) -> subprocess.CompletedProcess[str]:
    if not cold:
        return warm().run("leverframe", arguments, job.root, environment)
    return subprocess.run(
        [sys.executable, "-m", "leverframe", *arguments],
        cwd=job.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def finished(factory: pytest.TempPathFactory) -> tuple[Shop, Path]:
    """Return the one reproduced, pushed shop with a gate of this test run, and its remote; nobody may change it."""
    shop, folder = built_once(factory, "gated-shop", _gated)
    return shop, folder / "remote"


def _gated(shop: Shop, folder: Path) -> None:
    repository = shop.repository
    remote = f"['remote \"store\"']\n    url = {folder / 'remote'}\n    verify = true\n"
    repository.write(".dvc/config", f"[core]\n    remote = store\n    analytics = false\n{remote}")
    params = repository.read("params.yaml").replace("iterations: 5", "iterations: 12")
    repository.write("params.yaml", params)
    repository.write("leverframe.yaml", GATE)
    repository.dvc("repro")
    repository.commit("Reproduced")
    repository.dvc("push")


@contextmanager
def opened(folder: Path, factory: pytest.TempPathFactory) -> Iterator[Forge]:
    """Run a fake GitHub server with the shop on it; at the end nothing may have broken GitHub's own description."""
    shop, remote = finished(factory)
    with serving(folder / "forge") as server:
        server.tokens[SECRET] = Token(BOT)
        forge = Forge(server, folder, remote, shop)
        server.repository(NAME)
        forge.push(shop, "main")
        yield forge
        assert server.violations == []
