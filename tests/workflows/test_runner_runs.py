"""The workflow that `init` writes for stages on another machine, its jobs run one by one in clones of their own."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leverframe.local.github import PullRequest, Token, pull_request_event, serving
from leverframe.local.github.events import push_event
from leverframe.local.github.server import LocalForge
from tests.integration.machines import PIPELINE, ROWS, Author, made
from tests.loop.forge import BOT, NAME, SECRET
from tests.workflows.jobs import Job, run
from tests.workflows.judging import RUN
from tests.workflows.machine import context, surroundings

WORKFLOW = ".github/workflows/leverframe.yml"
ACTIONS = f"leverframe/leverframe/actions@{'a' * 40} # v1"
CHANGES = {
    "rows": {"rows.csv": ROWS + "41,1\n"},
    "words": {"README.md": "Words.\n"},
    "fails": {"dvc.yaml": PIPELINE.replace('echo "${rounds}', 'exit 3; echo "${rounds}')},
}


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalForge, Author]]:
    """A fake GitHub server, and the repository on it with its workflows."""
    author = made(tmp_path_factory.mktemp("author"), **{"requirements.lock": "# of this machine\n"})
    author.repository.run("leverframe", "init", "--actions", ACTIONS)
    author.repository.commit("Judge pull requests")
    with serving(tmp_path_factory.mktemp("forge")) as server:
        server.tokens[SECRET] = Token(BOT)
        author.repository.git("push", "--quiet", str(server.repository(NAME).path), "main")
        yield server, author


class Run:
    """A run of the workflow: each job in a clone of its own, with what those before it left."""

    def __init__(self, forge: tuple[LocalForge, Author], branch: str, folder: Path, *, fork: bool = False) -> None:
        self.server, self.author = forge
        self.folder, self.branch, self.ended = folder, branch, dict[str, Any]()
        repository = self.server.repository(NAME)
        self.author.propose(branch, **CHANGES[branch])
        self.author.repository.git("push", "--quiet", "--force", str(repository.path), f"HEAD:{branch}")
        self.event = copy.deepcopy(pull_request_event(repository, self._pull(branch)))
        if fork:
            self.event["pull_request"]["head"]["repo"]["full_name"] = "stranger/shop"

    def _pull(self, branch: str) -> PullRequest:
        repository = self.server.repository(NAME)
        return repository.open_pull(f"Change {branch}", branch)

    def job(self, name: str) -> Job:
        """Run a job, and keep how it ended for those that need it."""
        machine = self.author.machine(f"{self.folder.name}-{name}", self.branch)
        job = machine.repository
        job.git("remote", "set-url", "origin", f"{self.server.address}/{NAME}")
        job.git("fetch", "--quiet", "origin")
        github = context("pull_request", self.event, base_ref="main") | {"repository": NAME}
        environment = surroundings(self.server.address, job, "pull_request", self.event, RUN, self.folder)
        ended = run(str(self.author.repository.root / WORKFLOW), name, workspace=job.root, folder=self.folder,
                    github=github, environment=environment, needs=self.ended)  # fmt: skip
        self.ended[name] = {"result": ended.status, "outputs": ended.outputs}
        if name == "phase_2":
            self.trained = machine.trained
        return ended

    def reproduced(self) -> dict[str, Any]:
        """Return what the claim that the run left says of `reproduce`."""
        claim = json.loads((self.folder / "artifacts/leverframe-report/report.json").read_text(encoding="utf-8"))
        return dict(claim["reproduced"])


def test_a_change_goes_over_both_machines(forge: tuple[LocalForge, Author], tmp_path: Path) -> None:
    """Each job starts where the one before asks for it; the claim has the stages and times of all."""
    run = Run(forge, "rows", tmp_path)
    assert run.job("phase_1").outputs == {"phases": "[2]"}
    second = run.job("phase_2")
    assert (second.status, second.outputs, run.trained) == ("success", {"phases": "[]"}, 1), second.log
    model = run.job("model")
    reproduced = run.reproduced()
    assert reproduced["violations"] == [], model.log
    assert [(stage["stage"], stage["how"]) for stage in reproduced["stages"]] == [
        ("prepare", "ran"), ("train", "ran"), ("evaluate", "ran"),
    ]  # fmt: skip
    assert "`train` ran on the runner `gpu`" in model.summary
    assert sorted(path.name for path in (tmp_path / "artifacts").iterdir()) == [
        "leverframe-handover-1", "leverframe-handover-2", "leverframe-outputs", "leverframe-report",
    ]  # fmt: skip


def test_a_change_that_needs_no_other_machine_starts_none(forge: tuple[LocalForge, Author], tmp_path: Path) -> None:
    """The job is skipped, and the last one runs after it all the same."""
    run = Run(forge, "words", tmp_path)
    assert run.job("phase_1").outputs == {"phases": "[]"}
    assert run.job("phase_2").status == "skipped"
    run.job("model")
    assert run.reproduced()["violations"] == []


def test_a_fork_starts_no_other_machine(forge: tuple[LocalForge, Author], tmp_path: Path) -> None:
    """Its card says which stages did not run, and what somebody who may write does about it."""
    run = Run(forge, "rows", tmp_path, fork=True)
    assert [run.job(name).status for name in ("phase_1", "phase_2")] == ["skipped", "skipped"]
    model = run.job("model")
    assert [violation["reason"] for violation in run.reproduced()["violations"]] == ["not-judged"]
    assert "`train` did not run on the runner `gpu`" in model.summary
    assert "pushes its branch" in model.summary


def test_a_failure_on_the_other_machine_is_on_the_card(forge: tuple[LocalForge, Author], tmp_path: Path) -> None:
    """Its job does not fail, so that the last one tells it; a job that was lost is told apart."""
    run = Run(forge, "fails", tmp_path)
    run.job("phase_1")
    second = run.job("phase_2")
    assert (second.status, second.outputs) == ("success", {"phases": "[]"})
    assert second.steps[f"leverframe/leverframe/actions/reproduce@{'a' * 40}"]["outcome"] == "failure"
    model = run.job("model")
    assert "stage `train` failed" in model.summary
    assert [violation["reason"] for violation in run.reproduced()["violations"]] == ["stage-failed"]


@pytest.mark.deep
def test_after_a_merge_both_machines_verify_the_default_branch(
    forge: tuple[LocalForge, Author], tmp_path: Path
) -> None:
    """The issue is told by the last phase alone, which compares with what the first one was told to."""
    server, author = forge
    before = author.repository.git("rev-parse", "main").strip()
    author.propose("merged", **{"params.yaml": "rounds: 5\n"})
    author.repository.dvc("repro", "--no-run-cache")
    author.repository.dvc("push")
    author.repository.commit("More rounds")
    repository = server.repository(NAME)
    author.repository.git("push", "--quiet", "--force", str(repository.path), "HEAD:main")
    event = push_event(repository, "refs/heads/main") | {"before": before}
    ended: dict[str, Any] = {}
    for number, name in enumerate(("phase_1", "phase_2", "model")):
        machine = author.machine(f"merged-{number}", "merged")
        job = machine.repository
        job.git("remote", "set-url", "origin", f"{server.address}/{NAME}")
        github = context("push", event, ref="refs/heads/main") | {"repository": NAME}
        environment = surroundings(server.address, job, "push", event, RUN, tmp_path)
        done = run(str(author.repository.root / WORKFLOW.replace(".yml", "-merge.yml")), name, workspace=job.root,
                   folder=tmp_path, github=github, environment=environment, needs=ended)  # fmt: skip
        ended[name] = {"result": done.status, "outputs": done.outputs}
        assert done.status == "success", done.log
    assert ended["phase_1"]["outputs"] == {"phases": "[2]"}
    assert "`train` ran on the runner `gpu`" in done.log
    assert repository.issues == {}
