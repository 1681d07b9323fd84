"""Files are replaced whole or not at all, and what a killed run left is swept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from leverframe.errors import DiskError
from leverframe.files import replacing, write_json, write_text


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    """The old content stays and no temporary file is left."""
    path = tmp_path / "a/file.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:  # noqa: PT012 - the block is the point
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == ["file.txt"]


def test_leftovers_of_dead_processes_are_swept_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    """A pid in the name tells whose a temporary file is."""
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    dead = tmp_path / f".file.txt.{int(done.stdout)}.part"
    living, odd = tmp_path / f".file.txt.{os.getppid()}.part", tmp_path / ".file.txt.x.part"
    for leftover in (dead, living, odd):
        leftover.write_text("half")
    write_text(tmp_path / "file.txt", "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["file.txt", living.name])


def test_a_file_in_the_way_of_a_folder_is_a_disk_error(tmp_path: Path) -> None:
    """The error of the system becomes ours, whole."""
    (tmp_path / "a").write_text("a file")
    with pytest.raises(DiskError, match="cannot write"):
        write_text(tmp_path / "a/file.txt", "new")


def test_json_keeps_order_and_refuses_nan(tmp_path: Path) -> None:
    """What JSON cannot say is refused rather than written."""
    path = tmp_path / "x.json"
    write_json(path, {"b": 1, "a": "é"})
    assert path.read_text(encoding="utf-8") == '{\n "b": 1,\n "a": "é"\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
