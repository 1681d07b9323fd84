"""The reference workflows run step by step, from the pull request to the card, over the fake GitHub server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leverframe.local.github.events import pull_request_event, workflow_dispatch_event, workflow_run_event
from leverframe.local.github.state import PullRequest
from leverframe.local.repository import TemporaryRepository
from tests.loop.forge import NAME, SECRET, Forge, opened
from tests.loop.monitored_repository import as_of, monitored
from tests.warm import warm
from tests.workflows.jobs import Job, run

HOSTILE = "x$(touch${IFS}INJECTED)"
TITLE = 'a title `touch INJECTED` $(touch INJECTED) ${{ github.token }} ]]> "; touch INJECTED; #'


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    """A fake GitHub server with the shop on it."""
    with opened(tmp_path_factory.mktemp("forge"), tmp_path_factory) as found:
        yield found


def _github(name: str, event: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"event_name": name, "event": event, "repository": NAME, "token": SECRET, **more}


def _environment(
    forge: Forge,
    job: TemporaryRepository,
    name: str,
    event: dict[str, Any],
    run: int,
    folder: Path,
    *,
    cold: bool = False,
) -> dict[str, str]:
    """Return the environment of a job, whose `leverframe` is a warm one, unless it shall be the one installed."""
    path = job.home / "event.json"
    path.write_text(json.dumps(event), encoding="utf-8")
    kept = {key: value for key, value in job.environment.items() if not key.startswith(("GITHUB_", "LEVERFRAME_"))}
    environment = kept | {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": name,
        "GITHUB_EVENT_PATH": str(path),
        "GITHUB_REPOSITORY": NAME,
        "GITHUB_RUN_ID": str(run),
        "GITHUB_API_URL": forge.server.address,
        "GITHUB_SERVER_URL": forge.server.address,
        "PATH": f"{_uv(folder)}:{job.environment['PATH']}",
    }
    return environment if cold else warm().around(environment)


def _computed(
    forge: Forge, pull: PullRequest, folder: Path, name: str = "pull_request"
) -> tuple[Job, TemporaryRepository]:
    """Run the workflow for the head of a pull request: by its event, or started by hand on its branch."""
    job = forge.checkout(pull.head)
    if name == "pull_request":
        event = pull_request_event(forge.repository, pull)
        more = {"base_ref": "main", "head_ref": pull.branch, "ref": "refs/pull/1/merge"}
    else:
        event = workflow_dispatch_event(forge.repository, pull.branch)
        more = {"ref": f"refs/heads/{pull.branch}", "sha": pull.head}
    environment = _environment(forge, job, name, event, 7, folder)
    environment |= {"GITHUB_REF": more["ref"], "GITHUB_SHA": more.get("sha", "")}
    ended = run(
        "pull-request.yml", "model", workspace=job.root, folder=folder, github=_github(name, event, **more),
        environment=environment,
    )  # fmt: skip
    return ended, job


def _uv(folder: Path) -> Path:
    """Return a folder with a `uv` that installs nothing: what the job needs is installed already."""
    place = folder / "bin"
    place.mkdir(parents=True, exist_ok=True)
    (place / "uv").write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    (place / "uv").chmod(0o755)
    return place


def _published(
    forge: Forge, pull: PullRequest, folder: Path, name: str = "pull_request"
) -> tuple[Job, TemporaryRepository]:
    """Run the workflow that posts the card after a run that an event of this name started."""
    job = forge.checkout("origin/main")
    event = workflow_run_event(forge.repository, pull, 7, "failure", name)
    environment = _environment(forge, job, "workflow_run", event, 8, folder)
    github = _github("workflow_run", event, ref="refs/heads/main")
    ended = run(
        "publish-report.yml", "publish", workspace=job.root, folder=folder, github=github, environment=environment
    )
    return ended, job


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
    computed, _ = _computed(forge, pull, tmp_path, "workflow_dispatch")
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
    published, _ = _published(forge, pull, tmp_path, "workflow_dispatch")
    assert published.status == "success", published.log
    (body,) = forge.ours(pull)
    assert "lock-stale" in body
    assert forge.conclusion(pull) == "failure"
    assert (forge.ours(other), forge.conclusion(other)) == ([], None)
    pull.state = "closed"
    late, _ = _published(forge, pull, tmp_path, "workflow_dispatch")
    assert "no open pull request has this commit as its head" in late.log


def test_the_one_file_that_init_writes_gets_a_repository_its_first_card(forge: Forge, tmp_path: Path) -> None:
    """Two jobs in one workflow, the built-in token, no secret: the card and the check stand on the pull request."""
    shop = forge.author()
    assert shop.run("init").code == 0
    shop.repository.commit("Every pull request gets its card")
    shop.repository.git("checkout", "--quiet", "-b", "first")
    shop.replace("params.yaml", "iterations: 12", "iterations: 30")
    shop.repository.dvc("repro")
    shop.repository.commit("More trees")
    shop.repository.dvc("push")
    pull = forge.open(shop, "first")
    event = pull_request_event(forge.repository, pull)
    github = _github("pull_request", event, base_ref="main", ref="refs/pull/1/merge", repository=NAME)
    workflow = str(shop.root / ".github/workflows/leverframe.yml")
    ended = {}
    for name, revision in (("model", pull.head), ("card", "origin/main")):
        job = forge.checkout(revision)
        environment = _environment(forge, job, "pull_request", event, 9, tmp_path, cold=True)
        ended[name] = run(workflow, name, workspace=job.root, folder=tmp_path, github=github, environment=environment)
        assert ended[name].status == "success", ended[name].log
    (body,) = forge.ours(pull)
    assert "ready to merge" in body
    assert forge.conclusion(pull) == "success"
    text = Path(workflow).read_text(encoding="utf-8")
    assert "secrets" not in text
    pull.comments.clear()  # and by hand on the branch, as `leverframe retrain` starts it
    job, event = forge.checkout("origin/main"), workflow_dispatch_event(forge.repository, pull.branch)
    github = _github("workflow_dispatch", event, ref=f"refs/heads/{pull.branch}", sha=pull.head)
    environment = _environment(forge, job, "workflow_dispatch", event, 10, tmp_path)
    environment |= {"GITHUB_REF": f"refs/heads/{pull.branch}", "GITHUB_SHA": pull.head}
    done = run(workflow, "card", workspace=job.root, folder=tmp_path, github=github, environment=environment)
    assert done.status == "success", done.log
    assert len(forge.ours(pull)) == 1


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
    github = _github("push", event, ref="refs/heads/main", sha=commit)
    environment = _environment(forge, job, "push", event, 11, tmp_path)

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
        path = f"{_uv(tmp_path)}:{place.repository.environment['PATH']}"
        environment = warm().around(place.variables() | {"GITHUB_ACTIONS": "true", "PATH": path})
        del environment["GITHUB_TOKEN"]  # comes from the action

        def ended(job: str, **variables: str) -> Job:
            return run(
                "monitor.yml", job, workspace=place.repository.root, folder=tmp_path, environment=environment,
                github=_github("workflow_dispatch", {"inputs": {"as_of": as_of(3)}}, ref="refs/heads/main"),
                variables=variables,
            )  # fmt: skip

        assert ended("monitor").status == "skipped"
        found = ended("monitor", ENVIRONMENT="local", PAGES="true")
        assert found.status == "success", found.log
        assert SECRET not in found.log
        (issue,) = place.issues
        assert issue.title == "[shop/local] missing values: amount"
        assert place.kept("monitor.json")
        page = (tmp_path / "artifacts/github-pages/site/index.html").read_text(encoding="utf-8")
        assert page.startswith("<!doctype html>")
        assert (tmp_path / "artifacts/leverframe-monitor/monitor/local/monitor.json").is_file()
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
    computed, job = _computed(forge, pull, tmp_path)
    published, posted = _published(forge, pull, tmp_path)
    for folder in (job.root, posted.root):
        held = [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
        assert held == []
    for folder in (job.root, posted.root, tmp_path):
        assert list(folder.rglob("INJECTED*")) == []
    assert SECRET not in computed.log + published.log + computed.summary
    commands = re.findall(r"^\s*::(?!error title=).*", computed.log + published.log, re.MULTILINE)
    assert commands == []
    (body,) = forge.ours(pull)
    assert "settings-invalid" in body
    assert SECRET not in body


def test_a_forks_card_cannot_name_another_pull_request(forge: Forge, tmp_path: Path) -> None:
    """The artifact says another commit than the run: nothing is posted anywhere."""
    shop = forge.author()
    shop.repository.write("NOTES.md", "notes")
    shop.repository.commit("Notes")
    victim = forge.open(shop, "victim")
    shop.repository.write("NOTES.md", "other notes")
    shop.repository.commit("Notes")
    attacker = forge.open(shop, "attacker", fork="stranger/shop")
    _computed(forge, attacker, tmp_path)
    card = tmp_path / "artifacts/leverframe-report/report.json"
    card.write_text(card.read_text(encoding="utf-8").replace(attacker.head, victim.head), encoding="utf-8")
    published, _ = _published(forge, attacker, tmp_path)
    assert published.status == "failure"
    assert "speaks of another commit" in published.log
    assert forge.ours(victim) == forge.ours(attacker) == []
