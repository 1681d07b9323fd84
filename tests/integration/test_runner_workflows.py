"""Workflows follow the runners of the settings: `check` and `doctor` say where not, `init --renew` writes them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.integration.machines import LEVERS, made
from tests.integration.shop import Shop

WORKFLOW, MERGE, JUDGE = (f".github/workflows/leverframe{name}.yml" for name in ("", "-merge", "-judge"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return a repository with its workflows."""
    author = made(tmp_path_factory.mktemp("workflows"))
    author.repository.run("leverframe", "init")
    author.repository.commit("Judge pull requests")
    return Shop(author.repository)


def violations(shop: Shop) -> list[dict[str, str]]:
    """Return what `check` finds."""
    report: dict[str, Any] = json.loads(shop.run("check", "--json", "--base", "HEAD").stdout)
    return list(report["violations"])


def test_jobs_are_those_of_the_settings(shop: Shop) -> None:
    """One for each phase with its runner, and `check` passes."""
    jobs = yaml.safe_load(shop.repository.read(WORKFLOW))["jobs"]
    assert list(jobs) == ["phase_1", "phase_2", "model"]
    assert (jobs["phase_2"]["runs-on"], jobs["phase_2"]["timeout-minutes"]) == (["self-hosted", "gpu"], 360)
    assert jobs["phase_2"]["permissions"] == {"contents": "read"}
    assert "head.repo.full_name == github.repository" in jobs["phase_2"]["if"]
    assert (jobs["model"]["needs"], jobs["model"]["runs-on"]) == (["phase_1", "phase_2"], "ubuntu-24.04")
    merge = yaml.safe_load(shop.repository.read(MERGE))["jobs"]
    assert list(merge) == ["phase_1", "phase_2", "model", "deploy"]
    assert merge["deploy"]["if"].startswith("${{ !cancelled() && needs.model.result == 'success' && ")
    assert violations(shop) == []


@pytest.mark.parametrize(
    ("levers", "words"),
    [
        (LEVERS.replace("gpu]", "gpu, large]"), "`phase_2` runs on `self-hosted, gpu`"),
        (LEVERS.replace("[train]", "[train, evaluate]").replace("}", "}\n    small: {stages: [prepare], runs_on: x}"),
         "`phase_1` runs phase 1/3, and phase 1/4 is asked for"),
        ("report: {slices: 8}\n", "`model` runs phase 3/3, and all stages is asked for"),
        (f"{LEVERS}judge: {{runs_on: [self-hosted, gpu]}}\n", "`judge` runs on `ubuntu-24.04`"),
        (LEVERS.replace("[train]", "[trian]"), "no stage matches `trian`"),
    ],
    ids=["labels", "phases", "none", "judge", "stage"],
)  # fmt: skip
def test_a_workflow_that_fits_no_more_is_renewed(shop: Shop, levers: str, words: str) -> None:
    """`check` names file and job; `init` alone changes nothing, `init --renew` does, and then `check` passes."""
    repository = shop.repository
    repository.write("leverframe.yaml", levers)
    try:
        findings = violations(shop)
        assert findings[0]["reason"] == "settings-invalid"
        assert words in findings[0]["what"]
        if "trian" in levers:
            assert shop.run("init", "--renew").error()[0].startswith("no stage matches `trian`")
            return
        assert " does not fit the runners of leverframe.yaml: " in findings[0]["what"]
        assert "`leverframe init --renew`" in findings[0]["next"]
        stdout = shop.run("doctor", "--offline").stdout
        assert "leverframe init --renew" in stdout
        assert "requirements.lock is missing: " in stdout
        before = repository.read(WORKFLOW)
        shop.run("init")
        assert repository.read(WORKFLOW) == before
        assert "as settings and pipeline ask for now" in shop.run("init", "--renew").stdout
        assert violations(shop) == []
    finally:
        repository.git("checkout", "--quiet", ".")


def test_an_edited_condition_is_found_and_an_added_step_is_not(shop: Shop) -> None:
    """What keeps forks away from a machine that stays is not edited unseen; steps are left to people."""
    repository, text = shop.repository, shop.repository.read(WORKFLOW)
    guard = "github.event.pull_request.head.repo.full_name == github.repository"
    step = "      - run: echo before it\n      - id: phase\n"
    try:
        repository.write(WORKFLOW, text.replace("      - id: phase\n", step))
        assert violations(shop) == []
        repository.write(WORKFLOW, text.replace(guard, "true"))
        assert "condition of its job `phase_1`" in violations(shop)[0]["what"]
        stdout = shop.run("doctor", "--offline").stdout
        assert "job `phase_2` of leverframe.yml runs code of every pull request, also of a fork" in stdout
        assert f"add to the job: `if: {guard}`" in stdout
        repository.write(WORKFLOW, "jobs: [\n")
        assert violations(shop)[0]["reason"] == "settings-invalid"
    finally:
        repository.git("checkout", "--quiet", ".")


def test_a_workflow_of_ones_own_is_left_alone(shop: Shop) -> None:
    """One that runs no lever of ours under that name is nobody's to judge."""
    repository = shop.repository
    try:
        for path in (WORKFLOW, MERGE, JUDGE):
            repository.write(path, "name: mine\non: push\njobs: {mine: {runs-on: x, steps: [{run: make}]}}\n")
        assert violations(shop) == []
    finally:
        repository.git("checkout", "--quiet", ".")
