"""The judge over real git and DVC: a small pipeline of one's own, changes of each kind, and their cards."""

from __future__ import annotations

import polars as pl
import pytest

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
    found = court.judge("honest")
    assert found["card"]["judged"]["ran"] == ["build"], found
    assert found["card"]["judged"]["found"] == [], found


def test_a_readme_alone_runs_nothing(court: Court) -> None:
    """A text for people passes."""
    court.branch("readme")
    court.repository.write("README.md", "A pipeline of three stages.\n")
    found = court.judge("readme")
    assert (found["verdict"], found["card"]["judged"]["ran"]) == ("passed", []), found


def test_code_is_for_an_owner(court: Court) -> None:
    """The command of a stage is code."""
    court.branch("code")
    text = court.repository.read("dvc.yaml")
    court.repository.write("dvc.yaml", text.replace('"auc":0.8', '"auc":0.9'))
    court.repository.dvc("repro", "--no-run-cache")
    found = court.judge("code")
    assert "needs-owner" in found["reasons"], found
    assert found["card"]["judged"]["owed"]["missing"] == ["dvc.yaml"], found


def test_flipped_labels_are_found(court: Court) -> None:
    """A table that no stage wrote is a mismatch."""
    court.branch("flipped")
    court.repository.write("params.yaml", "build: 3\n")
    (court.root / "table.parquet").unlink()
    pl.DataFrame(FLIPPED).write_parquet(court.root / "table.parquet")
    court.repository.dvc("commit", "--force")
    found = court.judge("flipped")
    assert "lock-mismatch" in found["reasons"], found
