"""`leverframe init` on a real repository, and two branches that both trained, merged by git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.integration.shop import Shop, copied, finished


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A finished shop of one's own."""
    return copied(finished(tmp_path_factory), tmp_path)


def test_init_says_what_it_would_do_does_it_and_has_nothing_left(shop: Shop) -> None:
    """A dry run changes nothing; a second run has nothing to do; what stood there is kept."""
    shop.repository.write(".gitattributes", "*.bin binary")
    before = shop.repository.git("status", "--porcelain")
    planned = shop.run("init", "--dry-run")
    assert planned.code == 0
    assert ".github/workflows/leverframe.yml" in planned.stdout
    assert shop.repository.git("status", "--porcelain") == before
    assert shop.run("init").stdout == planned.stdout
    assert shop.repository.read(".gitattributes").splitlines()[:2] == ["*.bin binary", "dvc.lock merge=leverframe"]
    assert shop.run("init").stdout == "nothing to do\n"
    assert shop.run("init", "--json").stdout == "[]\n"


def test_a_workflow_that_is_there_is_kept(shop: Shop) -> None:
    """A file that somebody edited is theirs."""
    shop.repository.write(".github/workflows/leverframe.yml", "name: mine\n")
    shop.run("init")
    assert shop.repository.read(".github/workflows/leverframe.yml") == "name: mine\n"


def test_init_outside_of_git_is_one_clear_error(tmp_path: Path, shop: Shop) -> None:
    """No traceback, and nothing written."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "params.yaml").write_text("{}", encoding="utf-8")
    environment = shop.repository.environment
    ended = subprocess.run(
        ["leverframe", "init"], cwd=elsewhere, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 19
    assert "Traceback" not in ended.stderr
    assert list(elsewhere.iterdir()) == [elsewhere / "params.yaml"]


def test_two_branches_that_trained_merge_without_markers(shop: Shop) -> None:
    """Git takes what one side ran, drops what both ran, and `dvc repro` runs just that."""
    repository = shop.repository
    shop.run("init")
    repository.commit("Ready for pull requests")
    repository.git("branch", "other")
    shop.replace("params.yaml", "iterations: 5", "iterations: 7")
    repository.dvc("repro")
    repository.commit("More trees")
    repository.git("checkout", "--quiet", "other")
    shop.replace("params.yaml", "minimum_slice_rows: 50", "minimum_slice_rows: 60")
    repository.dvc("repro")
    repository.commit("Larger slices")
    repository.git("merge", "--quiet", "--no-edit", "main")
    assert "<<<<<<<" not in repository.read("dvc.lock") + repository.read("reports/metrics.json")
    states = {name: each["state"] for name, each in shop.status().items()}
    assert states["evaluate"] == "new"
    assert {state for name, state in states.items() if name not in ("evaluate", "train", "bundle")} == {"fresh"}
    ran = shop.repro()
    assert "evaluate" in ran
    assert ran <= {"evaluate", "train", "bundle"}
    assert {each["state"] for each in shop.status().values()} == {"fresh"}
