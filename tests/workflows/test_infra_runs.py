"""A change of model and infrastructure through the workflow files: planned, shown, applied, and deployed after that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leverframe.domain.infrastructure.infra_forge import check_name
from leverframe.local.github import PullRequest
from leverframe.local.github.events import pull_request_event
from tests.loop.forge import SECRET, Forge, opened
from tests.workflows.jobs import Job, in_order, run
from tests.workflows.judging import RUN, after, judging
from tests.workflows.machine import context, surroundings

VARIABLES = {"ENVIRONMENT": "live", "INFRA_ENVIRONMENTS": '["platform"]'}
ROOT = "terraform/environments/platform/main.tf"
MODULE = """
terraform {
  backend "local" {}
}
resource "terraform_data" "bucket" {
  for_each = toset(NAMES)
  input    = each.key
}
"""
SETTINGS = """
deploy:
  verify_seconds: 1
  environments: {{live: {{port: 0, grpc_port: 0, metrics_port: 0}}}}
infra:
  environments:
    platform: {{backend: {{path: {state}}}}}
"""


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    """A fake GitHub server with the shop on it."""
    with opened(tmp_path_factory.mktemp("infra-forge"), tmp_path_factory) as place:
        yield place


def ended(
    forge: Forge, workflow: str, revision: str, event: tuple[str, dict[str, Any]], folder: Path, **more: str
) -> dict[str, Job]:
    """Run every job of a workflow for a commit, in the order of their needs; that of the model only before a merge."""
    known: dict[str, Job] = {}
    for name in in_order(workflow):
        if (workflow, name) == ("merge.yml", "model"):
            known[name] = Job("success", {}, "")
            continue
        job = forge.checkout(revision)
        known[name] = run(
            workflow, name, workspace=job.root, folder=folder, github=context(event[0], event[1], **more),
            variables=VARIABLES,
            environment=surroundings(forge.server.address, job, *event, len(list(folder.iterdir())) + 7, folder),
            matrix={"environment": "platform"}, needs={before: done.status for before, done in known.items()},
        )  # fmt: skip
        if name == "deploy":
            job.run("leverframe", "serve", "--stop", "--name", "live")
    return known


def shown(forge: Forge, pull: PullRequest, folder: Path) -> dict[str, Job]:
    """Run the workflow of a pull request, and the one that judges after it."""
    event = ("pull_request", pull_request_event(forge.repository, pull))
    jobs = ended(forge, "pull-request.yml", pull.head, event, folder, base_ref="main", ref="refs/pull/1/merge")
    judge = judging(forge, folder / "judge", {str(RUN): folder / "artifacts"})
    return jobs | {"publish": judge(*after(forge.repository, pull, "success")).publish[pull.number]}


def merged(forge: Forge, folder: Path) -> dict[str, Job]:
    """Run the workflow after a merge."""
    commit = forge.repository.commit("main")
    event = ("push", {"ref": "refs/heads/main", "before": "0" * 40, "after": commit})
    return ended(forge, "merge.yml", "origin/main", event, folder, ref="refs/heads/main", sha=commit)


@pytest.mark.deep
def test_the_platform_comes_before_the_model(forge: Forge, tmp_path: Path) -> None:
    """One pull request changes both: its card shows both, and after the merge the plan is applied, then deployed.

    A commit that nobody reviewed stops before anything is deployed.
    """
    state = tmp_path / "state" / "platform.tfstate"
    state.parent.mkdir()
    shop = forge.author()
    shop.repository.git("checkout", "--quiet", "-B", "both", "origin/main")
    shop.repository.write(ROOT, MODULE.replace("NAMES", "[]"))
    levers = shop.repository.read("leverframe.yaml")
    shop.repository.write("leverframe.yaml", f"{levers}{SETTINGS.format(state=state)}")
    shop.repository.write(".github/CODEOWNERS", "/terraform/ @ann\n")
    shop.repository.commit("A platform without anything")
    forge.push(shop, "main")
    shop.repository.write(ROOT, MODULE.replace("NAMES", '["models"]'))
    shop.replace("params.yaml", "iterations: 12", "iterations: 30")
    shop.repository.dvc("repro")
    shop.repository.commit("More trees, in a bucket")
    shop.repository.dvc("push")
    pull = forge.open(shop, "both")
    forge.repository.roles["ann"] = "write"
    forge.repository.review(pull, "ann")  # what Terraform would run, the judge does not
    jobs = shown(forge, pull, tmp_path)
    assert [jobs[name].status for name in ("infrastructure", "model", "publish")] == ["success"] * 3, jobs
    (body,) = forge.ours(pull)
    assert "1 to create." in body
    assert "ready to merge" in body
    assert "### Metrics" in body
    assert forge.repository.latest_checks(pull.head)[check_name("platform")].conclusion == "success"
    forge.repository.merge(pull)
    jobs = merged(forge, tmp_path)
    assert list(jobs) == ["model", "infrastructure", "deploy"]
    assert [job.status for job in jobs.values()] == ["success"] * 3, jobs
    assert jobs["deploy"].steps["deploy"]["outputs"]["verdict"] == "passed"
    platform, model = forge.repository.deployments
    assert (platform.environment, model.environment) == ("platform", "live")
    assert platform.commit == model.commit == forge.repository.commit("main")
    assert '"models"' in state.read_text(encoding="utf-8")
    shop.repository.git("fetch", "--quiet", "origin", "main")
    shop.repository.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
    shop.repository.write(ROOT, MODULE.replace("NAMES", '["models", "unreviewed"]'))
    shop.repository.commit("Nobody reviewed it")
    forge.push(shop, "main")
    jobs = merged(forge, tmp_path)
    assert [job.status for job in jobs.values()] == ["success", "failure", "skipped"]
    assert jobs["infrastructure"].steps["apply"]["outputs"]["reason"] == "plan-unreviewed"
    assert len(forge.repository.deployments) == 2
    assert SECRET not in "".join(job.log + job.summary for job in jobs.values())


@pytest.mark.parametrize(
    ("variables", "head", "status"),
    [
        ({}, "acme/shop", "skipped"),
        (VARIABLES, "stranger/shop", "skipped"),
        (VARIABLES, "acme/shop", "failure"),  # it starts, in a folder that is no repository
    ],
)
def test_who_has_infrastructure_planned(tmp_path: Path, variables: dict[str, str], head: str, status: str) -> None:
    """A repository that names environments, and no fork: a plan runs the code of the pull request with a role."""
    event = {"pull_request": {"head": {"repo": {"full_name": head}, "sha": "c" * 40}}}
    job = run(
        "pull-request.yml", "infrastructure", workspace=tmp_path, folder=tmp_path / "run", environment={"PATH": ""},
        github=context("pull_request", event) | {"repository": "acme/shop"}, variables=variables,
        matrix={"environment": "platform"},
    )  # fmt: skip
    assert job.status == status


@pytest.mark.parametrize("event", ["push", "workflow_dispatch"])
def test_a_refused_apply_stops_the_deployment(tmp_path: Path, event: str) -> None:
    """So does a model that was not verified; a repository without infrastructure deploys as before."""

    def deploy(**needs: str) -> str:
        job = run(
            "merge.yml", "deploy", workspace=tmp_path, folder=tmp_path / "run", environment={"PATH": ""},
            github=context(event, {}, ref="refs/heads/main"), variables={"ENVIRONMENT": "live"}, needs=needs,
        )  # fmt: skip
        return job.status

    assert deploy(infrastructure="failure") == deploy(infrastructure="cancelled") == "skipped"
    assert deploy(model="failure", infrastructure="skipped") == deploy(model="cancelled") == "skipped"
    assert deploy(infrastructure="skipped") == deploy() == "failure"  # it starts, in a folder that is no repository
