"""The judge over real git and DVC: a small pipeline of one's own, changes of each kind, and their cards."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import polars as pl
import pytest

from leverframe.adapters.bounds import Bounded
from leverframe.adapters.process import run_group
from leverframe.errors import PipelineError
from tests.integration.judged import Court
from tests.integration.test_reproduce_claims import FLIPPED, HONEST, STAGES
from tests.warm import WarmRepository


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory) -> Court:
    """Return a repository whose stages have run."""
    repository = WarmRepository.create(tmp_path_factory.mktemp("court"))
    pl.DataFrame(HONEST).write_parquet(repository.root / "source.parquet")
    repository.dvc("add", "source.parquet")
    repository.write("dvc.yaml", STAGES)
    repository.write("params.yaml", "build: 1\n")
    repository.write("README.md", "A pipeline.\n")
    repository.write("leverframe.yaml", "gate: {metrics: {auc: {maximum_drop: 0.1}}}\n")
    repository.write(".gitignore", "/.leverframe/\n/table.parquet\n/source.parquet\n")
    repository.dvc("repro")
    repository.commit("A pipeline")
    return Court(repository)


def test_an_honest_change_of_a_setting_is_run_and_passes(court: Court) -> None:
    """The judge runs what it made stale, and finds what was committed."""
    court.branch("honest")
    court.repository.write("params.yaml", "build: 2\n")
    court.repository.dvc("repro", "--no-run-cache")
    outcome = court.judge("honest")
    assert outcome["card"]["judged"]["ran"] == ["build"], outcome
    assert outcome["card"]["judged"]["found"] == [], outcome


def test_a_readme_alone_runs_nothing(court: Court) -> None:
    """A text for people passes."""
    court.branch("readme")
    court.repository.write("README.md", "A pipeline of three stages.\n")
    outcome = court.judge("readme")
    assert (outcome["verdict"], outcome["card"]["judged"]["ran"]) == ("passed", []), outcome


def test_code_is_for_an_owner(court: Court) -> None:
    """The command of a stage is code."""
    court.branch("code")
    text = court.repository.read("dvc.yaml")
    court.repository.write("dvc.yaml", text.replace('"auc":0.8', '"auc":0.9'))
    court.repository.dvc("repro", "--no-run-cache")
    outcome = court.judge("code")
    assert "needs-owner" in outcome["reasons"], outcome
    assert outcome["card"]["judged"]["owed"]["missing"] == ["dvc.yaml"], outcome
    assert "ran its code, which the judge does not" in outcome["card"]["gated"]["because"], outcome
    assert outcome["card"]["gated"]["metrics"] == [], outcome


def test_flipped_labels_are_found(court: Court) -> None:
    """A table that no stage wrote is a mismatch."""
    court.branch("flipped")
    court.repository.write("params.yaml", "build: 3\n")
    (court.root / "table.parquet").unlink()
    pl.DataFrame(FLIPPED).write_parquet(court.root / "table.parquet")
    court.repository.dvc("commit", "--force")
    outcome = court.judge("flipped")
    assert "lock-mismatch" in outcome["reasons"], outcome


def test_what_does_not_merge_gets_a_card_all_the_same(court: Court) -> None:
    """The violation names the file; nothing is run."""
    court.branch("ahead")
    court.repository.write("README.md", "A pipeline, and more.\n")
    court.repository.commit("ahead")
    court.branch("behind")
    court.repository.write("README.md", "Another pipeline.\n")
    outcome = court.judge("behind", "--base", "ahead", checked_out="ahead")
    assert outcome["reasons"] == ["merge-conflict"], outcome
    assert "`README.md`" in outcome["card"]["judged"]["found"][0]["what"]


def test_data_come_by_their_digest_alone(court: Court, tmp_path: Path) -> None:
    """What is nowhere is missing, also where another file has its name; the right one is run with."""
    court.branch("data")
    pl.DataFrame({"label": [1, 0, 1], "value": [4.0, 5.0, 6.0]}).write_parquet(court.root / "source.parquet")
    court.repository.dvc("add", "source.parquet")
    court.repository.dvc("repro", "--no-run-cache")
    md5 = re.findall(r"md5: (\w+)", court.repository.read("source.parquet.dvc"))[0]
    kept = court.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    brought = tmp_path / "files/md5" / md5[:2] / md5[2:]
    brought.parent.mkdir(parents=True)
    content = kept.read_bytes()
    kept.unlink()
    assert court.judge("data")["reasons"] == ["data-missing"]
    brought.write_bytes(content + b"0")
    assert court.judged("data", "--objects", str(tmp_path))["reasons"] == ["data-missing"]
    brought.write_bytes(content)
    outcome = court.judged("data", "--objects", str(tmp_path))["card"]["judged"]
    assert (outcome["ran"], outcome["found"], outcome["owed"]) == (["build", "profile", "evaluate"], [], None)


def test_an_object_that_was_swapped_in_the_remote_is_missing(court: Court, tmp_path: Path) -> None:
    """Its bytes are not those of its digest, so it gets neither into the cache nor into a run."""
    court.branch("stored")
    court.repository.dvc("remote", "add", "--default", "store", str(tmp_path / "store"))
    court.repository.commit("stored")
    court.repository.git("checkout", "--quiet", "-b", "swapped")
    pl.DataFrame({"label": [0, 0, 1], "value": [7.0, 8.0, 9.0]}).write_parquet(court.root / "source.parquet")
    court.repository.dvc("add", "source.parquet")
    court.repository.dvc("repro", "--no-run-cache")
    md5 = re.findall(r"md5: (\w+)", court.repository.read("source.parquet.dvc"))[0]
    kept, stored = (
        folder / "files/md5" / md5[:2] / md5[2:] for folder in (court.root / ".dvc/cache", tmp_path / "store")
    )
    content = kept.read_bytes()
    kept.unlink()
    stored.parent.mkdir(parents=True)
    pl.DataFrame({"label": [1, 1, 0], "value": [7.0, 8.0, 9.0]}).write_parquet(stored)
    assert court.judge("swapped", checked_out="stored")["reasons"] == ["data-missing"]
    assert not kept.exists()
    stored.unlink(missing_ok=True)  # DVC removes it from a folder
    stored.write_bytes(content)
    assert court.judged("swapped")["card"]["judged"]["found"] == []


def test_a_run_beyond_its_time_is_ended(court: Court) -> None:
    """By the limit of the base, and the card says so."""
    court.branch("short")
    court.repository.write("leverframe.yaml", "judge: {minutes: 0.0001}\n")
    court.repository.commit("short")
    court.repository.git("checkout", "--quiet", "--force", "-b", "late", "short")
    court.repository.write("params.yaml", "build: 5\n")
    outcome = court.judge("late", checked_out="short")
    assert outcome["reasons"] == ["judge-timeout"], outcome
    assert "`judge.minutes`" in outcome["card"]["judged"]["found"][0]["what"]


def test_a_dry_run_lists_the_paths(court: Court) -> None:
    """What it would run with, and what is for an owner; the claim of the run is shown as unverified."""
    court.branch("mixed")
    court.repository.write("params.yaml", "build: 6\n")
    court.repository.write("tool.py", "print()\n")
    court.repository.write("README.md", "A pipeline of words.\n")
    court.repository.commit("mixed")
    court.repository.git("checkout", "--quiet", "--force", "main")
    printed = court.repository.run("leverframe", "judge", "mixed", "--dry-run").splitlines()[1:]
    assert printed == [
        "  runs with params.yaml",
        "  leaves aside README.md",
        "  asks an owner about tool.py: the judge runs no code of a change",
    ]
    court.branch("texts")
    court.repository.write("README.md", "A pipeline of texts.\n")
    court.judge("texts")
    claim = court.root / ".leverframe/judged.json"
    court.judged("texts", "--claim", str(claim), "--out", str(court.root / ".leverframe/other.json"))
    text = court.repository.read(".leverframe/other.md")
    assert "### Judge" in text
    assert "Unverified: what the run of the pull request says of itself" in text


@pytest.mark.parametrize(
    "lock",
    ["stages: [", "schema: '2.0'\nstages: {build: {outs: 1}}\n", "stages: " + "[" * 200_000, "stages: &a [*a]\n"],
    ids=["open", "wrong", "deep", "endless"],
)
def test_a_lock_that_is_none_is_a_violation(court: Court, lock: str) -> None:
    """The card says so; nothing breaks."""
    court.branch(f"lock-{len(lock)}")
    court.repository.write("dvc.lock", lock)
    outcome = court.judge(f"lock-{len(lock)}")
    assert outcome["reasons"][0] in ("definition-invalid", "settings-invalid"), outcome


def test_another_checkout_is_refused(court: Court) -> None:
    """The code that judges has to be that of the base."""
    court.branch("elsewhere")
    court.repository.write("README.md", "Elsewhere.\n")
    court.repository.commit("elsewhere")
    done = court.ended("elsewhere", "--base", "main")
    assert done.returncode != 0
    assert "the judge runs the code that is here" in done.stderr


def test_memory_is_bounded() -> None:
    """What takes more than it may is ended with all that it started."""
    hungry = "import time; held = bytearray(200_000_000); time.sleep(60)"
    bounded = Bounded(run_group, 60, 100_000_000)
    with pytest.raises(PipelineError, match="too much memory"):
        bounded([sys.executable, "-c", hungry], lambda _: None, folder=Path.cwd(), environment=dict(os.environ))


def test_a_base_without_a_pipeline_leaves_all_to_owners(tmp_path: Path) -> None:
    """The first pipeline is code, and nothing of the base can run it; a text alone passes."""
    repository = WarmRepository.create(tmp_path, dvc=False)
    repository.write("leverframe.yaml", "report: {slices: 8}\n")
    repository.commit("Settings")
    court = Court(repository)
    repository.git("checkout", "--quiet", "-b", "first")
    repository.write("dvc.yaml", STAGES)
    repository.write("dvc.lock", "schema: '2.0'\nstages: {}\n")
    assert court.judge("first")["card"]["judged"]["owed"]["missing"] == ["dvc.lock", "dvc.yaml"]
    repository.git("checkout", "--quiet", "-b", "text")
    repository.write("README.md", "To come.\n")
    assert court.judge("text")["verdict"] == "passed"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("leverframe.yaml", b"gate: {metrics: {auc: {floor: " + b"9" * 5000 + b"}}}\n"),
        ("params.yaml", b"build: " + b"9" * 5000 + b"\n"),
        ("params.yaml", b"build: 0x" + b"f" * 5000 + b"\n"),
        ("params.yaml", b"build: 2020-13-45\n"),
        ("source.parquet.dvc", b"outs:\n- md5: 0\n  size: 2020-13-45\n  path: source.parquet\n"),
        (b"caf\xe9.csv", b"a\n1\n"),
        ("line\nbreak.csv", b"a\n1\n"),
        ("\u202egnp.csv", b"a\n1\n"),
        ("dvc.lock", b"schema: '2.0'\nstages: {build: {cmd: 2020-13-45}}\n"),
    ],
)
def test_whatever_a_change_holds_it_gets_a_card_that_does_not_pass(
    court: Court, name: str | bytes, content: bytes, request: pytest.FixtureRequest
) -> None:
    """A number without end, a date that the calendar has not, names that are no text."""
    branch = f"odd-{request.node.callspec.id.encode('ascii', 'replace').hex()[:60]}"
    court.branch(branch)
    (court.root / os.fsdecode(name)).write_bytes(content)
    outcome = court.judge(branch)
    assert outcome["verdict"] == "failed", outcome
    assert (court.root / ".leverframe/judged.md").read_text(encoding="utf-8")
