"""A lock file by uv: for every system, with hashes and no path; without uv, or versions, the reason and what to run."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from leverframe.adapters.uv import locked
from leverframe.errors import InstallationError

SUPPORTED = "<3.13,>=3.11"


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel that needs a package on one system alone; nothing is downloaded."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return _packed(tmp_path / "far/away", "clinic", "Requires-Dist: rooms; sys_platform == 'win32'\n")


def _packed(folder: Path, name: str, more: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path, about = folder / f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": "",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{more}",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{about}/RECORD": "".join(f"{file},,\n" for file in files)}.items():
            archive.writestr(file, text)
    return path


def test_a_lock_has_hashes_every_system_and_no_path_of_this_machine(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wheel is named as it will lie in the repository; what only another system needs is in it, too."""
    _packed(tmp_path / "index", "rooms")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "index"))
    line = f"clinic @ ./vendor/{wheel.name}"
    lock = locked(line, ["rooms==1.0"], {f"vendor/{wheel.name}": wheel}, SUPPORTED)
    assert f"./vendor/{wheel.name}" in lock
    assert lock.count("--hash=sha256:") == 2
    assert "rooms==1.0" in lock
    assert "win32" in lock
    assert str(tmp_path) not in lock


def test_uv_says_which_versions_do_not_go_together(wheel: Path) -> None:
    """A constraint that nobody can keep: uv's own reason, in one error."""
    with pytest.raises(InstallationError) as refused:
        locked(f"clinic @ ./vendor/{wheel.name}", ["clinic==2.0"], {f"vendor/{wheel.name}": wheel}, "")
    assert refused.value.what == "uv finds no versions"
    assert "clinic" in refused.value.why


def test_without_uv_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in this environment nor on PATH."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin/python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InstallationError) as refused:
        locked("clinic", [], {}, SUPPORTED)
    assert refused.value.next == "`pip install uv`"
