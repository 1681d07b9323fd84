"""Two projects of one repository on one forge, with the same names of models and environments: each keeps its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from leverframe import wiring
from leverframe.adapters.github.deployments import GithubDeployments
from leverframe.adapters.github.infra import GithubInfra
from leverframe.application.alerts import alert
from leverframe.application.report import ReportOptions, report
from leverframe.application.retrain_help import LABEL, ask_for_a_person
from leverframe.application.retrain_names import branch_in, checking_workflow
from leverframe.application.workspace import Workspace
from leverframe.domain.infrastructure.infra_apply_result import InfraApplied
from leverframe.domain.infrastructure.infra_forge import BRANCH as PLANS
from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.project import Project
from leverframe.domain.retraining.attempt import Outcome
from leverframe.domain.retraining.pulls.pull_state import BRANCH
from leverframe.local.github import LocalForge, PullRequest, Repository, Token, pull_request_event, serving
from leverframe.local.repository import TemporaryRepository
from leverframe.settings.retrain import RetrainSettings
from tests.fakes.attempts import attempt
from tests.fakes.monitored import quiet
from tests.unit.test_infra_section import CREATE, planned

NAME, SECRET, BOT = "acme/models", "ghs_not_to_be_seen_anywhere", "github-actions[bot]"
ML, OTHER = "services/ml", "services/other"
STAGES = "stages: {copy: {cmd: cp rows.csv copy.csv, deps: [rows.csv], outs: [copy.csv]}}\n"
LEVERS = "pipeline: {predictions: {path: copy.csv, kind: binary, score: p, label: y, time: at, model: shop}}\n"


@dataclass
class Place:
    """A repository with two projects on the forge, and the clone in which commands run."""

    server: LocalForge
    author: TemporaryRepository
    patch: pytest.MonkeyPatch

    @property
    def repository(self) -> Repository:
        """The repository on the forge."""
        return self.server.repositories[NAME]

    def workspace(self, project: str) -> Workspace:
        """Return a project, as a command that runs there gets it."""
        self.patch.chdir(self.author.root / project)
        return wiring.workspace()

    def opened(self, path: str) -> PullRequest:
        """Open a pull request that adds a line to a file, and check it out."""
        self.author.git("checkout", "--quiet", "-b", f"change-{path.replace('/', '-')}", "main")
        self.author.write(path, "one more\n")
        self.author.commit("One more")
        branch = self.author.git("branch", "--show-current").strip()
        self.author.git("push", "--quiet", str(self.repository.path), branch)
        return self.repository.open_pull("One more", branch)

    def reported(self, project: str, pull: PullRequest, run: int) -> None:
        """Let the workflow of a project report on a pull request."""
        event = self.author.home / "event.json"
        event.write_text(json.dumps(pull_request_event(self.repository, pull)), encoding="utf-8")
        self.patch.setenv("GITHUB_EVENT_NAME", "pull_request")
        self.patch.setenv("GITHUB_EVENT_PATH", str(event))
        self.patch.setenv("GITHUB_RUN_ID", str(run))
        report(self.workspace(project), ReportOptions(publisher="github"), lambda _: None)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The repository, pushed; no call may violate the description of GitHub's API."""
    author = TemporaryRepository.create(tmp_path, dvc=False)
    for project in (ML, OTHER):
        files = {"dvc.yaml": STAGES, "leverframe.yaml": LEVERS, "rows.csv": "at\n",
                 ".dvc/config": "", ".gitignore": "/.leverframe/\n"}  # fmt: skip
        for path, content in files.items():
            author.write(f"{project}/{path}", content)
    author.commit("Two projects")
    for name, value in author.environment.items():
        if name.startswith("GIT_"):
            monkeypatch.setenv(name, value)
    with serving(tmp_path / "forge") as server:
        server.tokens[SECRET] = Token(BOT)
        server.repository(NAME)
        author.git("push", "--quiet", str(server.repositories[NAME].path), "main")
        for name, value in (("GITHUB_API_URL", server.address), ("GITHUB_SERVER_URL", server.address),
                            ("GITHUB_REPOSITORY", NAME), ("GITHUB_TOKEN", SECRET)):  # fmt: skip
            monkeypatch.setenv(name, value)
        yield Place(server, author, monkeypatch)
        assert server.violations == []


def test_each_project_has_its_card_and_its_check(place: Place) -> None:
    """Of a change of one of them, the other says that it has nothing to judge; later runs update both in place."""
    pull = place.opened(f"{OTHER}/rows.csv")
    for run in (1, 2):
        for project in (ML, OTHER):
            place.reported(project, pull, run)
        ours = [comment.body for comment in pull.comments if comment.author == BOT]
        assert [f"Leverframe (`{project}`)" in body for body, project in zip(ours, (ML, OTHER), strict=True)] == [
            True, True,
        ]  # fmt: skip
        checks = {name: check.conclusion for name, check in place.repository.latest_checks(pull.head).items()}
        assert checks == {f"leverframe ({ML})": "neutral", f"leverframe ({OTHER})": "failure"}
        assert f"touches nothing that `{ML}` reads" in ours[0]
        assert "`check` wrote no result" in ours[1]


def test_each_project_has_its_deployments(place: Place) -> None:
    """Of the same commit to an environment of the same name: on GitHub an environment shows one deployment."""
    commit = place.author.git("rev-parse", "HEAD").strip()
    for folder in (ML, OTHER):
        forge = GithubDeployments(place.server.address, NAME, SECRET, project=Project(folder))
        payload = {"model": "shop", "bundle": "0" * 32}
        number = forge.deployment(commit, "production", payload)
        assert forge.deployment(commit, "production", payload) == number
    assert [entry.environment for entry in place.repository.deployments] == [f"{ML}/production", f"{OTHER}/production"]


def test_each_project_has_its_infrastructure(place: Place) -> None:
    """Reviewed plans, applies, comments and the issue of a drift, of an environment of the same name."""
    pull = place.opened("main.tf")
    plan = replace(planned(CREATE), environment="prod", head=pull.head)
    assert plan.plan is not None
    applied = InfraApplied("prod", pull.head, "", "x", "default", "2026-11-27T03:00:00+00:00", plan.plan, begun=True)
    forges = {
        folder: GithubInfra(place.server.address, NAME, SECRET, project=Project(folder)) for folder in (ML, OTHER)
    }
    for folder, forge in forges.items():
        assert (forge.kept("prod", plan.plan.digest), forge.last("prod").begun) == (None, "")
        forge.review(plan)
        forge.record(replace(applied, pulls=(pull.number,)))
        assert forge.kept("prod", plan.plan.digest) == plan
        assert forge.show_drift(plan, "infra-drift").endswith(f"/issues/{len(place.repository.issues) + 1}")
        assert f"leverframe infra prod ({folder})" in place.repository.latest_checks(pull.head)
    assert len(pull.comments) == 2
    kept = place.repository.git("ls-tree", "-r", "--name-only", PLANS).split()
    assert kept == [f"{folder}/prod/{plan.plan.digest}.json" for folder in (ML, OTHER)]
    issues = list(place.repository.issues.values())
    assert [issue.title for issue in issues] == [f"Infrastructure of {folder}/prod drifted" for folder in (ML, OTHER)]
    forges[ML].show_drift(replace(planned(), environment="prod"), "infra-drift")
    assert [issue.state for issue in issues] == ["closed", "open"]


def test_each_project_has_its_alerts(place: Place) -> None:
    """Of models of the same name: one is quiet again, and the issue of the other stays as it is."""
    monitored = quiet()
    now = monitored.windows[-1].name
    worse = Finding(Kind.PERFORMANCE, "auc", Severity.CRITICAL, now, now, "AUC fell.", "look")
    result = replace(monitored, model="shop", environment="local", findings=(worse,))
    for project in (ML, OTHER, ML, OTHER):
        workspace = place.workspace(project)
        outcome = alert(workspace, result, workspace.root, dry_run=False, mask=lambda _: None)
        assert outcome.failure is None, outcome
    issues = list(place.repository.issues.values())
    assert [issue.title for issue in issues] == [f"[{project}:shop/local] performance: auc" for project in (ML, OTHER)]
    ask_for_a_person(place.workspace(OTHER), attempt(Outcome.WORSE, 1, model="shop", environment="local"), Path())
    assert [LABEL in issue.labels for issue in issues] == [False, True]


def test_each_project_has_its_branch_and_its_workflow(place: Place) -> None:
    """The branch of a candidate is that of a project and its model; who is asked to check it, too."""
    branches = [branch_in(place.workspace(project), BRANCH, "shop") for project in (ML, OTHER)]
    assert len(set(branches)) == 2
    assert all("shop" in branch for branch in branches)
    settings = RetrainSettings()
    files = [checking_workflow(place.workspace(project), settings) for project in (ML, OTHER)]
    assert files == ["leverframe-services-ml.yml", "leverframe-services-other.yml"]
    assert checking_workflow(place.workspace(ML), RetrainSettings(workflow="ours.yml")) == "ours.yml"
