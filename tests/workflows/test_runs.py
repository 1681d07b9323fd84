"""The reference workflows run step by step, from the pull request to the card, over the fake GitHub server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from leverframe.local.github.events import pull_request_event
from tests.loop.forge import SECRET, Forge, opened
from tests.loop.monitored_repository import as_of, monitored
from tests.warm import warm
from tests.workflows.jobs import Job, run
from tests.workflows.judging import RUN, after, claimed, judging
from tests.workflows.machine import context, surroundings, uv

HOSTILE = "x$(touch${IFS}INJECTED)"
TITLE = 'a title `touch INJECTED` $(touch INJECTED) ${{ github.token }} ]]> "; touch INJECTED; #'


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    """A fake GitHub server with the shop on it."""
    with opened(tmp_path_factory.mktemp("forge"), tmp_path_factory) as server:
        yield server


@pytest.mark.deep
def test_a_stale_change_goes_through_both_workflows(forge: Forge, tmp_path: Path) -> None:
    """The levers run although the first of them refuses, the job is red, and the card is posted as data.

    Started by hand on the branch, as `leverframe retrain` does it: branch and commit of the run alone say whose card
    it is, and after another push it is nobody's.
    """
    shop = forge.author()
    other = forge.open(shop, "of-somebody-else")
    shop.replace("params.yaml", "iterations: 12", "iterations: 13")
    shop.repository.commit("Stale")
    pull = forge.open(shop, "leverframe/retrain-shop")
    computed, _ = claimed(forge, pull, tmp_path, "workflow_dispatch")
    assert computed.steps["check"]["outcome"] == "failure", computed.log
    assert computed.steps["check"]["outputs"] == {
        "verdict": "failed",
        "reason": "lock-stale",
        "report": ".leverframe/levers/check.json",
    }
    assert computed.steps["reproduce"]["outcome"] == "success", computed.log
    assert computed.steps["gate"]["outputs"]["verdict"] == "passed"
    assert computed.steps["report"]["outcome"] == "failure"
    assert computed.status == "failure"
    assert "do not merge" in computed.summary
    judge = judging(forge, tmp_path / "judge", {str(RUN): tmp_path / "artifacts"})
    assert judge(*after(forge.repository, pull, name="workflow_dispatch", action="requested")).judge == {}
    assert forge.conclusion(pull) is None
    judged = judge(*after(forge.repository, pull, name="workflow_dispatch"))
    assert [job.status for job in judged.publish.values()] == ["success"], judged.log
    (body,) = forge.ours(pull)
    assert "lock-stale" in body
    assert forge.conclusion(pull) == "failure"
    assert (forge.ours(other), forge.conclusion(other)) == ([], None)
    pull.state = "closed"
    late = judge(*after(forge.repository, pull, name="workflow_dispatch"))
    assert (late.pulls.outputs, late.judge, late.publish) == ({"pulls": "[]"}, {}, {})


@pytest.mark.deep
def test_the_files_that_init_writes_get_a_repository_its_first_card(forge: Forge, tmp_path: Path) -> None:
    """The built-in token, no secret: the card and the check stand on the pull request."""
    shop = forge.author()
    assert shop.run("init").code == 0
    shop.repository.commit("Every pull request gets its card")
    forge.push(shop, "main")
    shop.repository.git("checkout", "--quiet", "-b", "first")
    shop.replace("params.yaml", "iterations: 12", "iterations: 30")
    shop.repository.dvc("repro")
    shop.repository.commit("More trees")
    shop.repository.dvc("push")
    pull = forge.open(shop, "first")
    folder = shop.root / ".github/workflows"
    job, event = forge.checkout(pull.head), pull_request_event(forge.repository, pull)
    github = context("pull_request", event, base_ref="main", ref="refs/pull/1/merge")
    environment = surroundings(forge.server.address, job, "pull_request", event, RUN, tmp_path, cold=True)
    model = run(
        str(folder / "leverframe.yml"), "model", workspace=job.root, folder=tmp_path, github=github,
        environment=environment,
    )  # fmt: skip
    assert model.status == "success", model.log
    assert list((tmp_path / "artifacts/leverframe-outputs/files/md5").iterdir())
    judge = judging(forge, tmp_path / "judge", {str(RUN): tmp_path / "artifacts"})
    judge.workflow = str(folder / "leverframe-judge.yml")
    judged = judge(*after(forge.repository, pull, "success"))
    assert [job.status for job in judged.publish.values()] == ["success"], judged.log
    (body,) = forge.ours(pull)
    assert "ready to merge" in body
    assert forge.conclusion(pull) == "success"
    assert "secrets" not in (folder / "leverframe.yml").read_text(encoding="utf-8")


def test_a_merge_is_deployed_where_the_repository_names_an_environment(forge: Forge, tmp_path: Path) -> None:
    """The bundle comes from the shared remote, a server answers with it, tags and deployment stand on the forge."""
    shop = forge.author()
    shop.repository.git("checkout", "--quiet", "-B", "deployed", "origin/main")
    free = "{port: 0, grpc_port: 0, metrics_port: 0}"
    levers = shop.repository.read("leverframe.yaml")
    declared = f"deploy:\n  verify_seconds: 1\n  environments: {{live: {free}}}\n"
    shop.repository.write("leverframe.yaml", f"{levers}\n{declared}")
    commit = shop.repository.commit("An environment")
    forge.push(shop, "main")
    job = forge.checkout("origin/main")
    event = {"ref": "refs/heads/main", "before": "0" * 40, "after": commit}
    github = context("push", event, ref="refs/heads/main", sha=commit)
    environment = surroundings(forge.server.address, job, "push", event, 11, tmp_path)

    def merged(name: str = "deploy", **variables: str) -> Job:
        return run(
            "merge.yml", name, workspace=job.root, folder=tmp_path, github=github, environment=environment,
            variables=variables,
        )  # fmt: skip

    checked = merged("model")  # the commit before is gone, as after a force push: that stops nothing
    assert checked.status == "success", checked.log
    assert checked.log.count("the commit before this one") == 2
    assert merged(ENVIRONMENT="").status == "skipped"
    try:
        ended = merged(ENVIRONMENT="live")
        assert ended.status == "success", ended.log
        assert ended.steps["deploy"]["outputs"]["verdict"] == "passed"
        assert {"shop@v1.0.0", "shop#live#1"} <= set(forge.repository.git("tag").split())
        (deployment,) = forge.repository.deployments
        assert (deployment.commit, deployment.environment) == (commit, "live")
        assert [state for state, _ in deployment.states] == ["in_progress", "success"]
        assert SECRET not in ended.log
    finally:
        job.run("leverframe", "serve", "--stop", "--name", "live")


def test_the_monitor_alerts_and_leaves_a_site(tmp_path: Path) -> None:
    """The built-in token opens the issue and keeps the results; the site is the dashboard, where Pages is asked for."""
    with monitored(tmp_path) as place:
        place.serve(3, {3: 0.5})
        path = f"{uv(tmp_path)}:{place.repository.environment['PATH']}"
        environment = warm().around(place.variables() | {"GITHUB_ACTIONS": "true", "PATH": path})
        del environment["GITHUB_TOKEN"]  # comes from the action

        def ended(job: str, **variables: str) -> Job:
            return run(
                "monitor.yml", job, workspace=place.repository.root, folder=tmp_path, environment=environment,
                github=context("workflow_dispatch", {"inputs": {"as_of": as_of(3)}}, ref="refs/heads/main"),
                variables=variables,
            )  # fmt: skip

        assert ended("monitor").status == "skipped"
        job = ended("monitor", ENVIRONMENT="local", PAGES="true")
        assert job.status == "success", job.log
        assert SECRET not in job.log
        (issue,) = place.issues
        assert issue.title == "[shop/local] missing values: amount"
        assert place.kept("monitor.json")
        page = (tmp_path / "artifacts/github-pages/index.html").read_text(encoding="utf-8")
        assert page.startswith("<!doctype html>")
        assert (tmp_path / "artifacts/leverframe-monitor/local/monitor.json").is_file()
        assert ended("pages", PAGES="true").status == "success"
        place.repository.write("params.yaml", "split: {train_last: '2026-02-28'}\n")
        levers = place.repository.read("leverframe.yaml")
        place.repository.write("leverframe.yaml", f"{levers}retrain: {{params: {{train_last: split.train_last}}}}\n")
        place.repository.commit("Say how the window moves")
        place.repository.git("push", "--quiet", str(place.forge.path), "HEAD:main")
        retrained = ended("retrain", ENVIRONMENT="local")
        assert retrained.status == "success", retrained.log
        assert retrained.steps["token of the App"]["outcome"] == "skipped"
        assert retrained.steps["retrain"]["outputs"]["verdict"] == "skipped"  # broken data retrain nothing
        assert SECRET not in retrained.log


def test_names_and_texts_of_others_do_nothing(forge: Forge, tmp_path: Path) -> None:
    """Titles, branches, parameters and files that hold commands stay text, in every step and in the card."""
    shop = forge.author()
    shop.replace("params.yaml", "iterations: 12}", 'iterations: 12}\n  note: "a\\n::set-output name=verdict::passed"')
    params = shop.repository.read("params.yaml")
    shop.repository.write("params.yaml", params.replace('  note: "a', f'  "k$(touch INJECTED)`": "{HOSTILE}'))
    shop.repository.write("$(touch INJECTED)`|]]>@all ${{ github.token }}.md", TITLE)
    shop.repository.commit(TITLE)
    pull = forge.open(shop, HOSTILE, TITLE)
    computed, job = claimed(forge, pull, tmp_path)
    judged = judging(forge, tmp_path / "judge", {str(RUN): tmp_path / "artifacts"})(*after(forge.repository, pull))
    for folder in (job.root, *judged.folders):
        held = [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
        assert held == []
    for folder in (job.root, *judged.folders, tmp_path):
        assert list(folder.rglob("INJECTED*")) == []
    assert SECRET not in computed.log + judged.log + computed.summary
    commands = re.findall(r"^\s*::(?!error title=).*", computed.log + judged.log, re.MULTILINE)
    assert commands == []
    (body,) = forge.ours(pull)
    assert "needs-owner" in body
    assert SECRET not in body
