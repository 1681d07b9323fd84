"""Forged runs of a pull request against the workflow files that judge, over the fake GitHub server: no green check.

The runs are what somebody with a fork can make of them: a program of their own first on the path, artifacts written by
hand, workflows that do nothing. An honest change goes through the same jobs and passes.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from leverframe.local.github.state import PullRequest
from tests.integration.shop import Shop
from tests.loop.forge import SECRET, Forge, opened
from tests.profiles import by_day
from tests.workflows.judging import RUN, Judgement, after, claimed, judging

FORGER = """
import os, pathlib
if "GITHUB_PATH" in os.environ:
    pathlib.Path(os.environ["GITHUB_PATH"]).open("a").write(PLACE + "\\n")
"""
PROGRAM = """#!{python}
import json, os, pathlib, subprocess
out = pathlib.Path(".leverframe/report.json")
out.parent.mkdir(exist_ok=True)
card = json.loads(pathlib.Path({honest!r}).read_text())
card["head"] = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
out.write_text(json.dumps(card))
open(os.environ["GITHUB_OUTPUT"], "a").write("verdict=passed\\n")
"""
Forgery = Callable[[Path, dict[str, Any], PullRequest], None]


@dataclass
class Honest:
    """An honest pull request: what its own run left, and how it was judged."""

    pull: PullRequest
    artifacts: Path
    claim: dict[str, Any]
    pending: str
    judged: Judgement


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    """A fake GitHub server with the shop on it."""
    with opened(tmp_path_factory.mktemp("forge"), tmp_path_factory) as forge:
        yield forge


@pytest.fixture(scope="module")
def honest(forge: Forge, tmp_path_factory: pytest.TempPathFactory) -> Honest:
    """More trees, trained and pushed as it should be; its run began, ended, and was judged."""
    folder = tmp_path_factory.mktemp("honest")
    shop = forge.author()
    shop.replace("params.yaml", "iterations: 12", "iterations: 14")
    shop.repository.dvc("repro")
    shop.repository.commit("More trees")
    shop.repository.dvc("push")
    pull = forge.open(shop, "honest", fork="contributor/shop")
    judge = judging(forge, folder / "judge", {str(RUN): folder / "artifacts"})
    judge(*after(forge.repository, pull, action="requested"))
    pending = status(forge, pull)
    ended, _ = claimed(forge, pull, folder)
    assert ended.status == "success", ended.log
    claim = json.loads((folder / "artifacts/leverframe-report/report.json").read_bytes())
    return Honest(pull, folder / "artifacts", claim, pending, judge(*after(forge.repository, pull, "success")))


def status(forge: Forge, pull: PullRequest) -> str:
    """Return the conclusion of our check on the head of a pull request, or how far it is."""
    check = forge.repository.latest_checks(pull.head).get("leverframe")
    return "none" if check is None else check.conclusion or check.status


def dishonest(forge: Forge, name: str, shop: Shop | None = None) -> PullRequest:
    """Open a pull request of a fork whose parameters say what nobody ran."""
    shop = shop or forge.author()
    shop.replace("params.yaml", "iterations: 12", "iterations: 13")
    shop.repository.commit("A better model")
    return forge.open(shop, name, fork="stranger/shop")


@dataclass
class Dishonest:
    """A pull request of a fork whose parameters say what nobody ran, judged beside the oddest artifacts."""

    pull: PullRequest
    judged: Judgement
    left: Path


@pytest.fixture(scope="module")
def lying(forge: Forge, honest: Honest, tmp_path_factory: pytest.TempPathFactory) -> Dishonest:
    """The judge is asked once: what it says of a commit, no claim changes."""
    folder = tmp_path_factory.mktemp("lying")
    pull = dishonest(forge, "lying")
    judged_already(folder / "artifacts", honest.claim, pull)
    odd_outputs(folder / "artifacts", pull)
    judge = judging(forge, folder / "judge", {str(RUN): folder / "artifacts"})
    judged = judge(*after(forge.repository, pull, "success"))
    return Dishonest(pull, judged, folder / f"judge/run-{judge.count}/artifacts")


def by_hand(folder: Path, claim: dict[str, Any], pull: PullRequest) -> None:
    """A claim without any violation, of the right commit."""
    write(folder, claim | {"head": pull.head})


def judged_already(folder: Path, claim: dict[str, Any], pull: PullRequest) -> None:
    """A claim that says that it was judged, with nothing found; and the artifact that the judge would leave."""
    judged = {"base": "main", "tip": claim["base"], "head": pull.head, "merged": "", "ran": ["train"], "owed": None,
              "found": [], "notes": []}  # fmt: skip
    write(folder, claim | {"head": pull.head, "judged": judged})
    (folder / f"leverframe-judged-{pull.number}-1").mkdir()
    shutil.copy(folder / "leverframe-report/report.json", folder / f"leverframe-judged-{pull.number}-1/judged.json")


def of_another(folder: Path, claim: dict[str, Any], pull: PullRequest) -> None:
    """The claim of another pull request, as it is."""
    assert claim["head"] != pull.head
    write(folder, claim)


def giant(folder: Path, claim: dict[str, Any], pull: PullRequest) -> None:
    """A claim of thirty megabytes."""
    write(folder, claim | {"head": pull.head, "notes": ["x" * 30_000_000]})


def no_card(folder: Path, claim: dict[str, Any], pull: PullRequest) -> None:
    """A link where the claim should be, and what is no JSON."""
    assert claim["head"] != pull.head
    (folder / "leverframe-report").mkdir(parents=True)
    (folder / "leverframe-report/report.json").symlink_to("/etc/hostname")


def odd_outputs(folder: Path, pull: PullRequest) -> None:
    """Links out of the folder, names that DVC never gives, and other contents under the digests of the lock."""
    objects = folder / "leverframe-outputs/files/md5"
    for digest in re.findall(r"md5: (\w{32})", pull.source.git("show", f"{pull.head}:dvc.lock")):
        file = objects / digest[:2] / digest[2:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"not what the digest says")
    (objects / "zz").symlink_to("/etc")
    (objects / "zy").mkdir()
    (objects / "zy" / ("0" * 30)).symlink_to("/etc/hostname")
    (objects / "zx").write_text("a file where a folder should be", encoding="utf-8")
    (objects / "zy" / "..%2f..%2fescape").write_text("x", encoding="utf-8")


def write(folder: Path, claim: dict[str, Any]) -> None:
    """Write a claim as the artifact of a run."""
    (folder / "leverframe-report").mkdir(parents=True)
    (folder / "leverframe-report/report.json").write_text(json.dumps(claim), encoding="utf-8")


def test_an_honest_change_of_a_fork_passes(forge: Forge, honest: Honest) -> None:
    """The check is in progress as soon as the run begins; in the end it is green, with one card and no token in it."""
    assert honest.pending in ("in_progress", "queued")
    assert [job.status for job in honest.judged.publish.values()] == ["success"], honest.judged.log
    assert status(forge, honest.pull) == "success", forge.ours(honest.pull)
    (body,) = forge.ours(honest.pull)
    assert "ready to merge" in body
    assert SECRET not in honest.judged.log + body


@pytest.mark.deep
def test_a_case_that_puts_its_own_program_first_is_a_change_of_code(
    forge: Forge, honest: Honest, tmp_path: Path
) -> None:
    """Every step of its own run is green, and so is its claim; the verdict waits for an owner."""
    program = tmp_path / "forged/leverframe"
    program.parent.mkdir()
    path = tmp_path / "claim.json"
    path.write_text(json.dumps(honest.claim), encoding="utf-8")
    program.write_text(PROGRAM.format(python=sys.executable, honest=str(path)), encoding="utf-8")
    program.chmod(0o755)
    shop = forge.author()
    sources = shop.repository.read("pipelines/shop/sources.py")
    forger = FORGER.replace("PLACE", repr(str(program.parent)))
    shop.repository.write("pipelines/shop/sources.py", f"{sources}\n{forger}")
    pull = dishonest(forge, "path", shop)
    ended, _ = claimed(forge, pull, tmp_path)
    assert ended.steps["gate"]["outputs"]["verdict"] == "passed", ended.log
    claim = json.loads((tmp_path / "artifacts/leverframe-report/report.json").read_bytes())
    assert claim["head"] == pull.head
    judging(forge, tmp_path / "judge", {str(RUN): tmp_path / "artifacts"})(*after(forge.repository, pull, "success"))
    assert status(forge, pull) == "failure"
    (body,) = forge.ours(pull)
    assert "needs-owner" in body
    assert "pipelines/shop/sources.py" in body


@pytest.mark.deep
def test_the_judge_finds_what_nobody_ran_whatever_lies_beside_it(forge: Forge, lying: Dishonest) -> None:
    """Neither a claim that was judged already, nor an artifact named like the judge's own, nor odd outputs help."""
    assert [job.status for job in lying.judged.publish.values()] == ["success"], lying.judged.log
    assert status(forge, lying.pull) == "failure"
    assert all(body.startswith(("## ❌", "<!--")) and "do not merge" in body for body in forge.ours(lying.pull))


@pytest.mark.parametrize("forgery", by_day([by_hand, of_another, giant, no_card], by_hand))
def test_no_claim_turns_the_check_green(
    forge: Forge, honest: Honest, lying: Dishonest, tmp_path: Path, forgery: Forgery
) -> None:
    """It is a claim, or nothing; the check is in progress before, and that of another pull request stays."""
    forgery(tmp_path / "artifacts", honest.claim, lying.pull)
    judge = judging(forge, tmp_path / "judge", {str(RUN): tmp_path / "artifacts"})
    judge(*after(forge.repository, lying.pull, action="requested"))
    assert status(forge, lying.pull) in ("in_progress", "queued")
    judged = judge(*after(forge.repository, lying.pull, "success"), left=lying.left)
    assert status(forge, lying.pull) == "failure", judged.log
    assert all(body.startswith(("## ❌", "<!--")) and "do not merge" in body for body in forge.ours(lying.pull))
    assert status(forge, honest.pull) == "success"


def test_a_workflow_that_does_nothing_waits_for_an_owner(forge: Forge, tmp_path: Path) -> None:
    """It leaves no artifact; a job of it that is named like the check is GitHub's own, which the branch rule stops."""
    shop = forge.author()
    nothing = "on: pull_request\njobs: {leverframe: {runs-on: ubuntu-24.04, steps: [{run: 'true'}]}}\n"
    shop.repository.write(".github/workflows/pull-request.yml", nothing)
    shop.repository.commit("Nothing to see")
    pull = forge.open(shop, "nothing", fork="stranger/shop")
    judging(forge, tmp_path)(*after(forge.repository, pull, "success"))
    assert status(forge, pull) == "failure"
    assert "needs-owner" in forge.ours(pull)[0]


def test_what_is_cancelled_or_waits_for_an_approval_is_not_green(
    forge: Forge, honest: Honest, lying: Dishonest, tmp_path: Path
) -> None:
    """A run that was cancelled is judged as any other; a judge that was cancelled says so; before, it is pending."""
    judge = judging(forge, tmp_path)
    waiting = judge(*after(forge.repository, lying.pull, "action_required"))
    assert (waiting.judge, waiting.publish) == ({}, {})
    assert status(forge, lying.pull) in ("in_progress", "queued")
    judge(*after(forge.repository, lying.pull, "cancelled"), left=lying.left)
    assert status(forge, lying.pull) == "failure"
    judge(*after(forge.repository, lying.pull, "cancelled"), result="cancelled")
    assert status(forge, lying.pull) == "failure"
    assert "the judge was cancelled" in forge.ours(lying.pull)[-1]
    assert status(forge, honest.pull) == "success"
