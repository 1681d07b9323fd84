"""Folders of this machine that a path of the repository reaches by a link: what is somebody else's stays as it is."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.terraform.programs import PROGRAMS, ROOT, Stubs

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="neither terraform nor tofu is on PATH")


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """Return the module in a repository whose `storage` is a link to the folder `theirs` outside of it."""
    folder = tmp_path / "repository/terraform/modules/local_store"
    ignored = shutil.ignore_patterns("tests", ".terraform*")
    shutil.copytree(ROOT / "terraform/modules/local_store", folder, ignore=ignored)
    (tmp_path / "theirs").mkdir(mode=0o755)
    (tmp_path / "repository/storage").symlink_to(tmp_path / "theirs")
    variables = {"folders": {"remote": {"path": "storage"}}}
    (folder / "terraform.tfvars.json").write_text(json.dumps(variables), encoding="utf-8")
    return folder


def run(served: Stubs, module: Path, command: str) -> subprocess.CompletedProcess[str]:
    return served.run(PROGRAMS[0], module, command, "-auto-approve", "-input=false", "-no-color")


def test_a_folder_of_others_behind_a_link_is_left_alone(served: Stubs, module: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs/data").write_text("", encoding="utf-8")
    applied = run(served, module, "apply")
    assert applied.returncode != 0
    assert "with data that are not of this environment" in applied.stdout + applied.stderr
    assert stat.S_IMODE((tmp_path / "theirs").stat().st_mode) == 0o755
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["data"]


def test_a_link_to_an_empty_folder_survives_the_end(served: Stubs, module: Path, tmp_path: Path) -> None:
    assert run(served, module, "apply").returncode == 0
    assert (tmp_path / "theirs/.leverframe-folder").exists()
    destroyed = run(served, module, "destroy")
    assert destroyed.returncode == 0, destroyed.stderr
    assert (tmp_path / "repository/storage").is_symlink()
    assert list((tmp_path / "theirs").iterdir()) == []
