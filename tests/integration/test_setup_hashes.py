"""What the action `setup` installs, by the real uv: nothing is built by a tool that the lock has no hash for."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BACKEND = """
import pathlib, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "rooms-1.0-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as archive:
        archive.writestr("rooms.py", "")
        archive.writestr("rooms-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: rooms\\nVersion: 1.0\\n")
        archive.writestr("rooms-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n")
        archive.writestr("rooms-1.0.dist-info/RECORD", "")
    return name
"""


def _archive(folder: Path) -> str:
    """Make an archive of a package that has no wheel, and return its SHA-256."""
    path = folder / "rooms-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in {
            "rooms-1.0/pyproject.toml": '[build-system]\nrequires = ["mason"]\nbuild-backend = "mason"\n',
            "rooms-1.0/PKG-INFO": "Metadata-Version: 2.1\nName: rooms\nVersion: 1.0\n",
        }.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _tool(folder: Path) -> str:
    """Make the wheel of the tool that builds it, and return its SHA-256."""
    path, about = folder / "mason-1.0-py3-none-any.whl", "mason-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mason.py", BACKEND)
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: mason\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "".join(f"{name},,\n" for name in archive.namelist()))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("named", [True, False])
def test_a_package_is_built_by_tools_that_the_lock_has_a_hash_for(tmp_path: Path, *, named: bool) -> None:
    """Without one, nothing is installed, and the words say what to do; nothing is downloaded."""
    index = tmp_path / "index"
    index.mkdir()
    lock = f"rooms==1.0 --hash=sha256:{_archive(index)}\n"
    tool = f"mason==1.0 --hash=sha256:{_tool(index)}\n"
    (tmp_path / "requirements.lock").write_text(lock + tool * named, encoding="utf-8")
    uv = shutil.which("uv") or ""
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(tmp_path / "v")], check=True)
    environment = {
        **os.environ, "REQUIREMENTS": "requirements.lock", "PROJECT": "", "VIRTUAL_ENV": str(tmp_path / "v"),
        "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(index), "UV_CACHE_DIR": str(tmp_path / "cache"),
    }  # fmt: skip
    steps = yaml.safe_load((ROOT / "actions/setup/action.yml").read_text(encoding="utf-8"))["runs"]["steps"]
    (script,) = [step["run"] for step in steps if "uv pip sync" in step.get("run", "")]
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    installed = list((tmp_path / "v").glob("lib/*/site-packages/rooms.py"))
    assert (done.returncode == 0, bool(installed)) == (named, named), done.stderr
    words = " ".join(done.stderr.split())  # wrapped as wide as the terminal is
    assert ("no trusted hash was provided for: `mason`" in words) is not named
    assert done.stdout.startswith("::error title=Packages were not installed::uv says why.") is not named
