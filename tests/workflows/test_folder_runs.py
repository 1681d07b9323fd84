"""The workflow that `init` writes for a project in a folder, run step by step for a pull request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from leverframe.local.github import Token, pull_request_event, serving
from leverframe.local.repository import TemporaryRepository
from tests.loop.test_two_projects import BOT, LEVERS, ML, NAME, OTHER, SECRET, STAGES
from tests.warm import WarmRepository
from tests.workflows.jobs import run
from tests.workflows.judging import RUN, Judging, after
from tests.workflows.machine import context, surroundings

WORKFLOW = ".github/workflows/leverframe-services-ml.yml"
JUDGE = ".github/workflows/leverframe-services-ml-judge.yml"
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


def test_the_workflows_of_a_folder_are_its_own(tmp_path: Path) -> None:
    """Names, artifacts and variables carry the folder, every action of ours runs there, and nothing lies in it."""
    author = _author(tmp_path)
    output = author.run("leverframe", "-C", ML, "init", "--actions", f"leverframe/leverframe/actions@{'a' * 40} # v1")
    assert f"write ../../{WORKFLOW}: every pull request is reproduced" in output
    assert f"write ../../{JUDGE}: every pull request gets a card" in output
    assert author.run("leverframe", "-C", ML, "init") == "nothing to do\n"
    for name in ("monitor", "infra", "review", "judge"):
        assert (author.root / f".github/workflows/leverframe-services-ml-{name}.yml").is_file()
    judges = yaml.safe_load(author.read(JUDGE))
    assert judges[True]["workflow_run"]["workflows"] == [f"leverframe ({ML})", f"leverframe review ({ML})"]
    assert yaml.safe_load(author.read(JUDGE.replace("judge", "review")))["name"] == f"leverframe review ({ML})"
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


def test_the_workflows_of_a_folder_show_its_own_card(tmp_path: Path) -> None:
    """Levers run in the folder, paths of results start from the top, and the card and its check name the project."""
    author = _author(tmp_path)
    author.run("leverframe", "-C", ML, "init", "--actions", f"leverframe/leverframe/actions@{'a' * 40} # v1")
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
        author.git("remote", "add", "origin", f"{server.address}/{NAME}")
        author.git("fetch", "--quiet", "origin")
        github = context("pull_request", event, base_ref="main") | {"repository": NAME}
        environment = surroundings(server.address, author, "pull_request", event, RUN, tmp_path, repository=NAME)
        model = run(str(author.root / WORKFLOW), "model", workspace=author.root, folder=tmp_path, github=github,
                    environment=environment, needs={"infrastructure": "skipped"})  # fmt: skip

        def machine(_: str, name: str, event: dict[str, Any], number: int) -> tuple[WarmRepository, dict[str, str]]:
            place = tmp_path / f"job-{len(list(tmp_path.glob('job-*')))}"
            job = WarmRepository(place / "repository", author.home)
            author.git("clone", "--quiet", f"{server.address}/{NAME}", str(job.root))
            return job, surroundings(server.address, job, name, event, number, place, repository=NAME)

        judge = Judging(machine, tmp_path / "judge", {str(RUN): tmp_path / "artifacts"},
                        str(author.root / JUDGE), repository=NAME)  # fmt: skip
        judged = judge(*after(repository, pull))
        checked = next(step for name, step in model.steps.items() if "/check@" in name)
        assert checked["outputs"]["report"] == f"{ML}/.leverframe/levers/check.json"
        assert (tmp_path / "artifacts/leverframe-report-services-ml/report.json").is_file()
        assert [job.status for job in judged.publish.values()] == ["success"], judged.log
        (body,) = [comment.body for comment in pull.comments]
        assert f"Leverframe (`{ML}`): do not merge" in body
        assert "lock-stale" in body  # as its run claims
        assert {name: check.conclusion for name, check in repository.latest_checks(pull.head).items()} == {
            f"leverframe ({ML})": "failure"
        }
        assert server.violations == []
