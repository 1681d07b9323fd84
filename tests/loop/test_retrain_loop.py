"""`leverframe retrain` as a job runs it on the local forge, each time on a machine that has nothing of earlier runs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.retraining.pulls.pull_record import read
from leverframe.local.github import Fault, LocalForge, PullRequest, Repository, Token, serving
from tests.integration import own_pipeline
from tests.integration.own_pipeline import NOW
from tests.integration.shop import Ended, Shop
from tests.profiles import by_day
from tests.warm import WarmRepository

NAME, SECRET, BOT = "acme/churn", "ghs_not_to_be_seen_anywhere", "github-actions[bot]"
BRANCH, STATE = "leverframe/retrain-churn", "leverframe-monitor"
WRITES = ("contents", "pull-requests", "issues", "actions")
WORKFLOW = "name: leverframe\non:\n  pull_request:\n  workflow_dispatch:\njobs: {}\n"
MERGED = datetime(2013, 1, 1, tzinfo=UTC)  # the time of every merge on the local forge
FOLDER = Path(".leverframe/monitor/local")


@dataclass
class Place:
    """The forge, the repository of its author, and how many machines have run a job."""

    server: LocalForge
    author: Shop
    folder: Path
    machines: int = 0

    @property
    def forge(self) -> Repository:
        return self.server.repositories[NAME]

    @property
    def only(self) -> PullRequest:
        (pull,) = self.forge.pulls.values()
        return pull

    def job(self, *options: str, at: str = NOW) -> Ended:
        """Run the command in a fresh clone, whose cache is empty, with what the monitor has found there."""
        self.machines += 1
        root = self.folder / f"machine-{self.machines}"
        self.author.repository.git("clone", "--quiet", str(self.forge.path), str(root))
        machine = Shop(WarmRepository(root, self.folder / f"home-{self.machines}"))
        (root / FOLDER).mkdir(parents=True)
        (root / FOLDER / "monitor.json").write_bytes((self.author.root / FOLDER / "monitor.json").read_bytes())
        ended = machine.run("retrain", "--as-of", at, *options)
        assert SECRET not in ended.stdout + ended.stderr
        assert not (root / ".leverframe/retrain/work").exists()
        return ended

    def attempts(self) -> list[dict[str, Any]]:
        """Return the attempts on the branch of the monitor."""
        try:
            text = self.forge.git("show", f"{STATE}:local/retrain.jsonl")
        except subprocess.CalledProcessError:
            return []
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def author(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The repository with a remote of DVC beside it; nobody may change it."""
    folder = tmp_path_factory.mktemp("churn")
    shop = own_pipeline.made(folder)
    shop.repository.write(
        ".dvc/config", f"[core]\n    remote = store\n['remote \"store\"']\n    url = {folder / 'store'}\n"
    )
    shop.repository.write(".github/workflows/leverframe.yml", WORKFLOW)
    shop.repository.commit("A remote and a workflow")
    shop.repository.dvc("push")
    return shop


@pytest.fixture
def place(author: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A forge of its own; no call may violate the description of GitHub's API."""
    with serving(tmp_path / "forge") as server:
        server.tokens[SECRET] = Token(BOT, WRITES)
        author.repository.git("push", "--quiet", str(server.repository(NAME).path), "HEAD:main")
        for name, value in {"REPOSITORY": NAME, "TOKEN": SECRET, "API_URL": server.address,
                            "SERVER_URL": server.address}.items():  # fmt: skip
            monkeypatch.setenv(f"GITHUB_{name}", value)
        yield Place(server, author, tmp_path)
        assert server.violations == []
    own_pipeline.noticed(author)


def test_a_job_proposes_once_and_the_next_leaves_it_alone(place: Place) -> None:
    """Outputs, branch, pull request, checks and record; the next machine reads the record and trains nothing."""
    ended = place.job()
    assert ended.code == 0, ended.stderr
    pull = place.only
    assert (pull.state, pull.draft) == ("open", False)
    record = read(pull.body)
    assert record is not None
    assert record.head == pull.head == record.checks
    assert f"pull request (ready): {place.server.address}/{NAME}/pull/{pull.number}" in ended.stdout
    (attempt,) = place.attempts()
    assert attempt["outcome"] == "better"
    assert attempt["pull"] == f"{place.server.address}/{NAME}/pull/{pull.number}"
    assert record.evidence == attempt["evidence"]
    reviewer = place.folder / "reviewer"
    place.author.repository.git("clone", "--quiet", "--branch", BRANCH, str(place.forge.path), str(reviewer))
    subprocess.run(["dvc", "pull", "--quiet"], cwd=reviewer, env=place.author.repository.environment, check=True)
    assert (reviewer / "predictions.csv").is_file()
    before = pull.body
    for at in (NOW, "2026-04-30T03:00Z"):
        again = place.job(at=at)
        assert again.code == 0, again.stderr
        assert "nothing was trained" in again.stdout
        assert "running the pipeline" not in again.stderr
    assert (place.only.head, place.only.body) == (record.head, before)
    assert len(place.attempts()) == 1
    page = place.forge.git("show", f"{STATE}:local/dashboard.html")
    assert f"/{NAME}/pull/{pull.number}" in page


def test_a_merged_model_that_turns_out_worse_is_taken_back(place: Place) -> None:
    """The monitor sees a realised drop that began after the merge: a revert is opened, once, and nothing is trained."""
    assert place.job().code == 0
    merged = place.only
    assert place.forge.merge(merged)
    later = MERGED + timedelta(days=10)
    since = str(later.date() - timedelta(days=3))
    drop = Finding(Kind.PERFORMANCE, "auc", Severity.CRITICAL, since, since, "AUC fell to 0.55.", "look")
    own_pipeline.noticed(place.author, drop, at=later.isoformat(timespec="seconds"))
    for _ in range(2):
        ended = place.job(at=later.strftime("%Y-%m-%dT%H:%MZ"))
        assert ended.code == 0, ended.stderr
        assert f"the model of #{merged.number} is worse than the one before it" in ended.stdout
        assert "running the pipeline" not in ended.stderr
    _, revert = place.forge.pulls.values()
    assert (revert.branch, revert.state) == ("leverframe/revert-retrain-churn", "open")
    assert "AUC fell to 0.55" in revert.body
    assert "### Comparison" not in revert.body
    assert len(place.attempts()) == 1


@pytest.mark.parametrize("path", by_day(["/dispatches$", "/git/trees$"]))
def test_a_forge_that_refuses_once_leaves_one_of_everything(place: Place, path: str) -> None:
    """Its checks, or the record: an error says what was refused, and the next job finishes it."""
    fault = Fault("POST", path, status=403, times=9)
    place.server.faults.append(fault)
    first = place.job()
    assert first.code == 26
    assert "403" in first.error()[1] or "token" in "".join(first.error())
    published = path == "/dispatches$"  # the candidate is on its branch then, and the record on that of the monitor
    assert len(place.attempts()) == published
    place.server.faults.clear()
    second = place.job()
    assert second.code == 0, second.stderr
    assert ("running the pipeline" in second.stderr) is not published
    assert len(place.forge.pulls) == 1
    assert [attempt["outcome"] for attempt in place.attempts()] == ["better"]
    record = read(place.only.body)
    assert record is not None
    assert place.only.head == place.forge.commit(BRANCH) == record.head == record.checks
