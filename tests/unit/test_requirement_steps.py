"""What `init` still leaves to a person: each with the file that is missing, why, and what to run."""

from __future__ import annotations

import json
from importlib.metadata import distribution
from pathlib import Path

import pytest

from leverframe import package
from leverframe.application.requirements_lock import requirement_steps
from leverframe.domain.pipeline.init import Todo, described


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder before all others on the path that says where Leverframe came from: from a wheel that is gone."""
    about = tmp_path / "packages/leverframe-0.1.0.dist-info"
    about.mkdir(parents=True)
    real = distribution("leverframe").read_text("METADATA")
    (about / "METADATA").write_text(real or "", encoding="utf-8")
    direct = {"url": f"file://{tmp_path}/leverframe-0.1.0-py3-none-any.whl", "archive_info": {}}
    (about / "direct_url.json").write_text(json.dumps(direct), encoding="utf-8")
    monkeypatch.syspath_prepend(about.parent)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    assert distribution("leverframe").read_text("direct_url.json") == json.dumps(direct)
    return about


def todo(root: Path) -> Todo:
    """Return the only thing that is left to do, which is the last step."""
    *_, last = requirement_steps(root, ["github"])
    assert isinstance(last, Todo)
    assert last.path == "requirements.lock"
    assert described(last).endswith("then `leverframe init` again")
    return last


def test_a_lock_that_is_there_is_kept(tmp_path: Path, installed: Path) -> None:
    assert package.origin() == json.loads((installed / "direct_url.json").read_text(encoding="utf-8"))
    (tmp_path / "requirements.lock").touch()
    assert requirement_steps(tmp_path, ["github"]) == []


def test_a_wheel_that_is_gone_is_named(tmp_path: Path, installed: Path) -> None:
    assert installed.is_dir()
    assert "leverframe-0.1.0-py3-none-any.whl, which is gone" in todo(tmp_path).why


def test_requirements_of_somebody_without_leverframe_are_theirs(tmp_path: Path, installed: Path) -> None:
    """Nothing is written into the file; the line to add is printed."""
    assert installed.is_dir()
    (tmp_path / "requirements.in").write_text("polars\n", encoding="utf-8")
    assert "add the line `leverframe[" in todo(tmp_path).next
    assert (tmp_path / "requirements.in").read_text(encoding="utf-8") == "polars\n"


def test_an_index_without_leverframe_is_no_dead_end(tmp_path: Path, installed: Path) -> None:
    """Nothing is reached here, so that uv knows no version of it."""
    (installed / "direct_url.json").unlink()
    left = todo(tmp_path)
    assert "uv finds no versions" in left.why
    assert "install it from its wheel file" in left.next
