"""The snapshot file between processes: its pages are shared, a swap and a kill disturb no reader."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from leverframe.adapters.snapshot_file import SnapshotFile, write
from leverframe.domain.features.snapshot.store import SnapshotInfo, Table

COUNT = 200_000
READER = """
import sys
from pathlib import Path
from leverframe.adapters.snapshot_file import SnapshotFile
store = SnapshotFile(Path(sys.argv[1]))
print(store.find("t", [[7]]).matrix().tolist(), flush=True)
sys.stdin.readline()
"""
WRITER = """
import sys
from pathlib import Path
import leverframe.adapters.snapshot_file as module
from leverframe.domain.features.snapshot.store import SnapshotInfo
from tests.integration.test_snapshot_store import table
real = module._bytes
def held(array):
    print("writing", flush=True)
    sys.stdin.readline()
    return real(array)
module._bytes = held
module.write(Path(sys.argv[1]), SnapshotInfo("new", 2), [table(2.0)])
"""


def table(value: float) -> Table:
    """Return a table whose values are all the same."""
    columns = {f"f{number}": np.full(COUNT, value, np.float32) for number in range(12)}
    return Table("t", {"k": np.arange(COUNT)}, columns)


def started(script: str, path: Path) -> subprocess.Popen[str]:
    """Start a script on a snapshot and wait until it says something."""
    command = [sys.executable, "-c", script, str(path)]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def ended(*processes: subprocess.Popen[str]) -> None:
    """Let scripts run to their end."""
    for process in processes:
        process.communicate("\n", timeout=20)


def mapped(pid: int, path: Path) -> tuple[int, int]:
    """Return the kilobytes of ``path`` in the memory of a process, and its proportional share of them."""
    text = Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8")
    part = text[text.index(str(path)) :]
    sizes = {key: int(re.search(rf"^{key}:\s+(\d+) kB", part, re.MULTILINE)[1]) for key in ("Rss", "Pss")}  # type: ignore[index]
    return sizes["Rss"], sizes["Pss"]


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="only Linux tells what processes share")
def test_two_processes_share_the_pages(tmp_path: Path) -> None:
    """The file is in memory once: two readers hold half of it each."""
    path = tmp_path / "s"
    write(path, SnapshotInfo("old", 1), [table(1.0)])
    one = started(READER, path)
    alone = mapped(one.pid, path)
    two = started(READER, path)
    both = [mapped(process.pid, path) for process in (one, two)]
    ended(one, two)
    assert alone[0] * 1024 >= path.stat().st_size
    assert sum(share for _, share in both) <= 1.02 * alone[1]


def test_a_swap_leaves_an_open_reader_its_content(tmp_path: Path) -> None:
    """Who has the old snapshot open keeps it, who opens sees the new one, and nothing else is left."""
    path = tmp_path / "s"
    write(path, SnapshotInfo("old", 1), [table(1.0)])
    old = SnapshotFile(path)
    before = old.find("t", [[1, COUNT]])
    write(path, SnapshotInfo("new", 2), [table(2.0)])
    assert before.matrix()[0].tolist() == [1.0] * 12
    assert np.isnan(before.matrix()[1]).all()
    assert old.find("t", [[2]]).matrix()[0, 0] == 1.0
    old.close()
    assert before.matrix()[0, 0] == 1.0, "an answer outlives its store"
    assert SnapshotFile(path, spec="new").find("t", [[1]]).matrix()[0, 0] == 2.0
    assert [file.name for file in tmp_path.iterdir()] == ["s"]


def test_killed_while_writing_the_old_one_stays(tmp_path: Path) -> None:
    """kill -9 in the middle: the old snapshot opens, and the next writing sweeps the leftover away."""
    path = tmp_path / "s"
    write(path, SnapshotInfo("old", 1), [table(1.0)])
    writer = started(WRITER, path)
    writer.send_signal(signal.SIGKILL)
    writer.communicate(timeout=20)
    assert len(list(tmp_path.iterdir())) == 2
    assert SnapshotFile(path, spec="old").find("t", [[1]]).matrix()[0, 0] == 1.0
    write(path, SnapshotInfo("new", 2), [table(2.0)])
    assert [file.name for file in tmp_path.iterdir()] == ["s"]


def test_a_million_keys_are_written_and_found(tmp_path: Path) -> None:
    """One million keys in random order, of 12 values each."""
    keys = np.random.default_rng(0).permutation(1_000_000)
    columns = {f"f{number}": keys.astype(np.float32) for number in range(12)}
    write(tmp_path / "s", SnapshotInfo("s", 1), [Table("t", {"k": keys}, columns)])
    asked = np.array([0, 999_999, 500_000])
    assert SnapshotFile(tmp_path / "s").find("t", [asked]).matrix()[:, 11].tolist() == asked.tolist()
