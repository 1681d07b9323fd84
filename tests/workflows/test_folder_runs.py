"""The workflow that `init` writes for a project in a folder, run step by step for a pull request."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from leverframe.local.github import Token, pull_request_event, serving
from leverframe.local.repository import TemporaryRepository
from tests.loop.test_two_projects import BOT, LEVERS, ML, NAME, OTHER, SECRET, STAGES
from tests.warm import WarmRepository, warm
from tests.workflows.jobs import run
from tests.workflows.machine import uv

WORKFLOW = ".github/workflows/leverframe-services-ml.yml"
BASE = "origin/${{ github.base_ref || github.event.repository.default_branch }}"


def _author(folder: Path) -> TemporaryRepository:
    """Return a repository with two projects, whose first was made ready by `init`, and a submodule."""
    author = WarmRepository.create(folder, dvc=False)
    rates = TemporaryRepository.create(folder / "rates", dvc=False)
    rates.commit("Rates")
    author.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(rates.root), "vendor/rates")
    for project in (ML, OTHER):
        levers = f"{LEVERS}monitor: {{}}\ninfra: {{environments: {{prod: {{}}}}}}\n"
        files = {"dvc.yaml": STAGES, "leverframe.yaml": levers, "rows.csv": "at\n", "requirements.lock": "",
                 ".dvc/config": ""}  # fmt: skip
        for path, content in files.items():
            author.write(f"{project}/{path}", content)
    author.commit("Two projects")
    return author


def test_the_workflow_of_a_folder_shows_its_own_card(tmp_path: Path) -> None:
    """Levers run in the folder, paths of results start from the top, and the card and its check name the project."""
    author = _author(tmp_path)
    told = author.run("leverframe", "-C", ML, "init", "--actions", f"leverframe/leverframe/actions@{'a' * 40} # v1")
    assert f"write ../../{WORKFLOW}: every pull request gets a card" in told
    assert author.run("leverframe", "-C", ML, "init") == "nothing to do\n"
    for name in ("leverframe-services-ml-monitor.yml", "leverframe-services-ml-infra.yml"):
        assert (author.root / ".github/workflows" / name).is_file()
    written = yaml.safe_load(author.read(WORKFLOW))
    assert written["name"] == f"leverframe ({ML})"
    assert written["concurrency"]["group"].startswith("leverframe-services-ml-")
    assert "paths" not in (written[True]["pull_request"] or {})  # a check that is required has to report
    ours = [step for job in written["jobs"].values() for step in job["steps"] if step["uses"].startswith("leverframe/")]
    assert {step["with"]["folder"] for step in ours} == {ML}
    checkouts = [step for job in written["jobs"].values() for step in job["steps"] if "checkout@" in step["uses"]]
    assert {step["with"]["submodules"] for step in checkouts} == {"recursive"}
    assert "vars.INFRA_ENVIRONMENTS_SERVICES_ML" in author.read(WORKFLOW)
    assert not (author.root / ML / ".github").exists()
    assert (author.root / ML / ".gitattributes").is_file()
    author.commit("Ready")
    with serving(tmp_path / "forge") as server:
        server.tokens[SECRET] = Token(BOT)
        repository = server.repository(NAME)
        author.git("push", "--quiet", str(repository.path), "main")
        author.write(f"{ML}/rows.csv", "at\n2026\n")
        author.commit("A row")
        author.git("push", "--quiet", str(repository.path), "HEAD:change")
        pull = repository.open_pull("A row", "change")
        event = pull_request_event(repository, pull)
        path = tmp_path / "event.json"
        path.write_text(json.dumps(event), encoding="utf-8")
        author.git("remote", "add", "origin", str(repository.path))
        author.git("fetch", "--quiet", "origin")
        environment = author.environment | {
            "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(path),
            "GITHUB_REPOSITORY": NAME, "GITHUB_RUN_ID": "7", "GITHUB_API_URL": server.address,
            "GITHUB_SERVER_URL": server.address, "PATH": f"{uv(tmp_path)}:{author.environment['PATH']}",
        }  # fmt: skip
        github = {"event_name": "pull_request", "event": event, "repository": NAME, "token": SECRET, "base_ref": "main"}
        ended = {}
        for job in ("model", "card"):
            ended[job] = run(str(author.root / WORKFLOW), job, workspace=author.root, folder=tmp_path, github=github,
                             environment=warm().around(environment), needs={"infrastructure": "skipped"})  # fmt: skip
        checked = next(step for name, step in ended["model"].steps.items() if "/check@" in name)
        assert checked["outputs"]["report"] == f"{ML}/.leverframe/levers/check.json"
        assert (tmp_path / "artifacts/leverframe-report-services-ml/report.json").is_file()
        assert ended["card"].status == "success", ended["card"].log
        (body,) = [comment.body for comment in pull.comments]
        assert f"Leverframe (`{ML}`): do not merge" in body
        assert "lock-stale" in body
        assert {name: check.conclusion for name, check in repository.latest_checks(pull.head).items()} == {
            f"leverframe ({ML})": "failure"
        }
        assert server.violations == []
