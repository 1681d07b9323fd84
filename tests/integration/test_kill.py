"""Killed at any timestamp, the pipeline leaves nothing running and nothing half written.

Every process that is ended here is one that the test itself started, told by number and start.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.integration.shop import Shop, alive, copied, family, finished, leftovers, wait_for
from tests.warm import PATIENCE

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
        repro.communicate(timeout=PATIENCE)
        wait_for(lambda processes=processes: not alive(processes))  # type: ignore[misc]
        hold.unlink()
        outputs = shop.outputs()
        time.sleep(0.5)
        assert shop.outputs() == outputs, "something still writes"
    assert shop.repro() == {"train"}
    assert shop.repository.read("dvc.lock") == undisturbed.repository.read("dvc.lock")
    assert shop.outputs() == undisturbed.outputs()
    assert leftovers(shop.root) == []


@pytest.mark.deep
def test_a_killed_stage_fails_its_repro_and_spoils_nothing(tmp_path: Path, undisturbed: Shop) -> None:
    """kill -9 of the stage itself: DVC ends with an error, the lock stays, the next run goes on from there."""
    shop = copied(undisturbed, tmp_path)
    lock = shop.repository.read("dvc.lock")
    shop.replace("params.yaml", "iterations: 5", "iterations: 7")
    hold = shop.hold("train")
    repro = shop.start("dvc", "repro")
    shop.held("train").kill()
    _, stderr = repro.communicate(timeout=PATIENCE)
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


@pytest.mark.deep
def test_demo_says_that_its_stage_was_killed(tmp_path: Path, undisturbed: Shop) -> None:
    """A stage that could not say anything is named all the same, exit 18."""
    shop = copied(undisturbed, tmp_path)
    shop.replace("params.yaml", "iterations: 5", "iterations: 7")
    shop.hold("train")
    demo = shop.start("leverframe", "demo")
    shop.held("train").kill()
    _, stderr = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 18
    assert "error: stage `train` failed" in stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("stage", "output"), [("ingest", "data/raw/orders/2024-02.parquet"), ("build", "data/features/2024-02.parquet")]
)
def test_a_stage_killed_while_it_writes_leaves_the_old_file(
    stage: str, output: str, tmp_path: Path, undisturbed: Shop
) -> None:
    """kill -9 when it has begun, and when it has written half a file: the old one stays, the next run sweeps."""
    shop = copied(undisturbed, tmp_path)
    good = shop.outputs()
    command = ("leverframe", stage, "--partition", "2024-02")
    log = shop.root / f".leverframe/stages/{stage}@2024-02.log"
    log.unlink(missing_ok=True)
    begun = shop.start(*command)
    wait_for(log.exists)
    killed(begun)
    assert shop.outputs() == good
    killed(writing(shop, output, command))
    written = {path: content for path, content in shop.outputs().items() if not path.endswith(".part")}
    assert written == good
    assert leftovers(shop.root) != []
    assert shop.run(*command[1:]).code == 0
    assert shop.outputs() == good
    assert leftovers(shop.root) == []


def writing(shop: Shop, output: str, command: tuple[str, ...]) -> subprocess.Popen[str]:
    """Start a stage and return it when it has written the first 4 kB of an output, and can write no more.

    Its temporary file is a pipe that nobody empties: the name tells the process, which therefore waits, stopped,
    until the pipe is there.
    """
    process = shop.start("sh", "-c", 'kill -STOP $$; exec "$@"', "sh", *command)
    wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
    path = shop.root / output
    pipe = path.with_name(f".{path.name}.{process.pid}.part")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    process.send_signal(signal.SIGCONT)
    wait_for(lambda: select.select([reader], [], [], 0)[0])
    return process


def killed(process: subprocess.Popen[str]) -> None:
    """Kill a process that runs."""
    process.kill()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL


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
