"""Killed at any moment, the pipeline leaves nothing running and nothing half written.

Every process that is ended here is one that the test itself started, told by number and start.
"""

from __future__ import annotations

import re
import shutil
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.integration.shop import Shop, alive, copied, family, finished, leftovers, wait_for

HELD = {"ingest@2024-03": "2024-03", "train": "train"}


@pytest.fixture
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return the shop that nothing disturbed."""
    return finished(tmp_path_factory)


def forget(shop: Shop, stage: str) -> None:
    """Make one stage stale and nothing else: its entry in the lock says that it read another file."""
    head, mark, tail = shop.repository.read("dvc.lock").partition(f"\n  {stage}:\n")
    assert mark
    shop.repository.write("dvc.lock", head + mark + re.sub("md5: [0-9a-f]{32}", f"md5: {'f' * 32}", tail, count=1))


def test_no_child_survives_a_killed_repro_and_the_next_one_mends_all(tmp_path: Path, undisturbed: Shop) -> None:
    """kill -9 of `dvc repro` in the middle of ingest, then of train: survivors none, then the undisturbed lock."""
    shop = copied(undisturbed, tmp_path)
    shutil.rmtree(shop.root / ".dvc/cache/runs")  # nothing may come from there
    for stage in HELD:
        forget(shop, stage)
    for stage in HELD.values():
        hold = shop.hold(stage)
        repro = shop.start("dvc", "repro")
        held = shop.held(stage)
        processes = family(psutil.Process(repro.pid))
        assert held in processes
        repro.kill()
        repro.communicate(timeout=20)
        assert wait_for(lambda processes=processes: not alive(processes), 3.0) < 3.0  # type: ignore[misc]
        hold.unlink()
        outputs = shop.outputs()
        time.sleep(0.5)
        assert shop.outputs() == outputs, "something still writes"
    assert shop.repro() == {"train"}
    assert shop.repository.read("dvc.lock") == undisturbed.repository.read("dvc.lock")
    assert shop.outputs() == undisturbed.outputs()
    assert leftovers(shop.root) == []


def test_a_killed_stage_fails_its_repro_and_spoils_nothing(tmp_path: Path, undisturbed: Shop) -> None:
    """kill -9 of the stage itself: DVC ends with an error, the lock stays, the next run goes on from there."""
    shop = copied(undisturbed, tmp_path)
    lock = shop.repository.read("dvc.lock")
    shop.replace("params.yaml", "iterations: 5", "iterations: 7")
    hold = shop.hold("train")
    repro = shop.start("dvc", "repro")
    shop.held("train").kill()
    _, stderr = repro.communicate(timeout=20)
    assert repro.returncode not in (0, 1)
    assert "failed to reproduce 'train'" in stderr
    assert shop.repository.read("dvc.lock") == lock
    hold.unlink()
    assert shop.repro() == {"train", "evaluate", "bundle"}
    assert leftovers(shop.root) == []
    shop.replace("params.yaml", "iterations: 7", "iterations: 5")
    shop.repro()
    assert shop.repository.read("dvc.lock") == lock
    assert shop.outputs() == undisturbed.outputs()


def test_demo_says_that_its_stage_was_killed(tmp_path: Path, undisturbed: Shop) -> None:
    """A stage that could not say anything is named all the same, exit 18."""
    shop = copied(undisturbed, tmp_path)
    shop.replace("params.yaml", "iterations: 5", "iterations: 7")
    shop.hold("train")
    demo = shop.start("leverframe", "demo")
    shop.held("train").kill()
    _, stderr = demo.communicate(timeout=20)
    assert demo.returncode == 18
    assert "error: stage `train` failed" in stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize("stage", ["ingest", "build"])
def test_a_stage_killed_while_it_writes_leaves_the_old_file_or_the_new_one(
    stage: str, tmp_path: Path, undisturbed: Shop
) -> None:
    """kill -9 at moments spread over the whole run: never half a file, and the next run sweeps what was left."""
    shop = copied(undisturbed, tmp_path)
    good = shop.outputs()
    command = ("leverframe", stage, "--partition", "2024-02")
    started = time.monotonic()
    assert shop.run(*command[1:]).code == 0
    took = time.monotonic() - started
    killed = 0
    for eighth in range(3, 9):
        process = shop.start(*command)
        time.sleep(took * eighth / 8)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=20)
        killed += process.returncode == -signal.SIGKILL
        written = {path: content for path, content in shop.outputs().items() if not path.endswith(".part")}
        assert written == good
    assert killed > 0
    assert shop.run(*command[1:]).code == 0
    assert shop.outputs() == good
    assert leftovers(shop.root) == []


def test_what_a_killed_stage_left_is_swept_by_the_next(tmp_path: Path, undisturbed: Shop) -> None:
    """A temporary file of a process that is gone disappears, one of a living process stays."""
    shop = copied(undisturbed, tmp_path)
    gone = shop.start("true")
    gone.communicate()
    dead = shop.repository.write(f"data/features/.2024-02.parquet.{gone.pid}.part", "half a fi")
    ours = shop.repository.write(f"data/features/.2024-02.parquet.{psutil.Process().pid}.part", "being written")
    assert shop.run("build", "--partition", "2024-02").code == 0
    assert not dead.exists()
    assert ours.exists()
