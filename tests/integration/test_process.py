"""No process outlives the one that answers for it: real DVC, real shells, real signals.

Every process that a test ends is one whose number the test itself recorded.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from leverframe.adapters.dvc import (
    Event,
    Repro,
    StageFailed,
    StageFinished,
    StageSkipped,
    StageStarted,
)
from leverframe.adapters.process import Processes, run_group
from leverframe.errors import PipelineBusyError, PipelineError
from leverframe.local.repository import TemporaryRepository
from tests.profiles import by_day

STAGE = """
import os, pathlib, subprocess, sys, time
from leverframe.adapters.process import end_with_parent
end_with_parent()
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path("pids.txt").write_text(f"{os.getpid()} {helper.pid}")
with open("out.txt", "a", buffering=1) as out:
    while not pathlib.Path("go").exists():
        out.write("unfinished\\n")
        time.sleep(0.05)
helper.kill()
pathlib.Path("out.txt").write_text("finished\\n")
"""
FAILING = """
import sys
print("error: the table is empty\\n  why:  nobody filled it\\n  next: fill it", file=sys.stderr)
sys.exit(13)
"""


def wait_for(condition: Callable[[], object], seconds: float = 240.0) -> float:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, "waited too long"
        time.sleep(0.02)
    return time.monotonic() - started


def runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def pids(root: Path) -> list[int]:
    path = root / "pids.txt"
    return [int(pid) for pid in path.read_text().split()] if path.exists() else []


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TemporaryRepository:
    made = TemporaryRepository.create(tmp_path)
    made.write("stage.py", STAGE)
    made.write("failing.py", FAILING)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.mark.parametrize("shell", by_day(["/bin/sh", "/bin/bash"], "/bin/bash"))
@pytest.mark.parametrize(
    "command",
    by_day(
        ["python stage.py", "python stage.py && echo done", "(python stage.py); touch next"],
        "(python stage.py); touch next",
    ),
)  # fmt: skip
def test_a_stage_ends_when_dvc_is_killed(repository: TemporaryRepository, shell: str, command: str) -> None:
    root = repository.root
    repository.write("dvc.yaml", f"stages:\n  slow:\n    cmd: {command}\n    deps: [stage.py]\n    outs: [out.txt]\n")
    environment = {**repository.environment, "SHELL": shell}
    dvc = subprocess.Popen([sys.executable, "-m", "dvc", "repro"], cwd=root, env=environment, stdout=subprocess.DEVNULL)
    wait_for(lambda: len(pids(root)) == 2 and (root / "out.txt").exists())
    stage, helper = pids(root)
    dvc.kill()
    dvc.wait()
    wait_for(lambda: not runs(stage))
    if "&&" in command or ";" in command:  # without a shell between, the kernel ends the stage before it can act
        wait_for(lambda: not runs(helper))
    elif runs(helper):
        os.kill(helper, signal.SIGKILL)
    size = (root / "out.txt").stat().st_size
    time.sleep(0.3)
    assert (root / "out.txt").stat().st_size == size
    assert not (root / "next").exists()
    repository.write("go", "")
    repository.dvc("repro")
    assert repository.read("out.txt") == "finished\n"
    assert repository.dvc("status", "--quiet") == ""


def test_outside_of_dvc_nothing_is_watched() -> None:
    code = (
        "import threading; from leverframe.adapters import process\n"
        "process.end_with_parent(); print(threading.active_count())"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DVC_")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_a_process_is_told_by_its_number_and_its_start() -> None:
    """The clock may be set and the number may be taken again: neither makes two processes one."""
    processes = Processes()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        start = processes.start_time(child.pid)
        assert start is not None
        assert processes.start_time(child.pid) == start
        assert processes.alive(child.pid, start)
        assert not processes.alive(child.pid, start - 1000)
        stat = Path(f"/proc/{child.pid}/stat")
        if stat.exists():
            ticks = int(stat.read_text().rpartition(")")[2].split()[19])
            assert abs(start - ticks * 100 // os.sysconf("SC_CLK_TCK")) <= 1
    finally:
        child.kill()
    wait_for(lambda: not processes.alive(child.pid, start))  # dead, though nobody has asked how it ended
    assert processes.start_time(child.pid) is None
    child.wait()
    assert processes.start_time(child.pid) is None
    assert not processes.alive(child.pid, start)
    assert not processes.alive(2**22 + 1, start)


def group_program(tmp_path: Path) -> list[str]:
    """Return a program that starts another one, writes both numbers, and stays."""
    code = (
        "import os, subprocess, sys, time, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(tmp_path / 'pids.txt')!r}).write_text(f'{{os.getpid()}} {{child.pid}}')\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    return [sys.executable, "-c", code]


def gone(tmp_path: Path) -> None:
    assert len(pids(tmp_path)) == 2
    for pid in pids(tmp_path):
        wait_for(lambda pid=pid: not runs(pid))  # type: ignore[misc]


def test_lines_arrive_and_the_code_is_returned(tmp_path: Path) -> None:
    lines: list[str] = []
    code = "import sys; print('out'); sys.stdout.flush(); print('err', file=sys.stderr); sys.exit(7)"
    assert run_group([sys.executable, "-c", code], lines.append, folder=tmp_path, environment=os.environ) == 7
    assert lines == ["out", "err"]


def test_a_child_left_behind_ends_with_the_program(tmp_path: Path) -> None:
    code = (
        group_program(tmp_path)[2]
        .replace("time.sleep(60)\n", "", 1)
        .replace("print('ready', flush=True)", "sys.exit(0)")
    )
    assert run_group([sys.executable, "-c", code], print, folder=tmp_path, environment=os.environ) == 0
    gone(tmp_path)


def test_an_exception_of_the_listener_ends_the_group(tmp_path: Path) -> None:
    def refuse(line: str) -> None:
        raise ValueError(line)

    with pytest.raises(ValueError, match="ready"):
        run_group(group_program(tmp_path), refuse, folder=tmp_path, environment=os.environ)
    gone(tmp_path)


def test_time_that_is_up_ends_the_group(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="took too long"):
        run_group(group_program(tmp_path), lambda _: None, folder=tmp_path, environment=os.environ, timeout=1.5)
    gone(tmp_path)


def test_a_program_that_ignores_sigterm_ends_by_force(tmp_path: Path) -> None:
    program = group_program(tmp_path)
    program[2] = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + program[2]
    with pytest.raises(PipelineError):
        run_group(program, lambda _: None, folder=tmp_path, environment=os.environ, timeout=1.5)
    gone(tmp_path)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 1), (signal.SIGKILL, -9)]
)
def test_a_signal_to_us_ends_the_group(tmp_path: Path, number: signal.Signals, code: int) -> None:
    script = (
        "import os, sys; from pathlib import Path; from leverframe.adapters.process import run_group\n"
        f"run_group({group_program(tmp_path)!r}, print, folder=Path({str(tmp_path)!r}), environment=os.environ)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: len(pids(tmp_path)) == 2)
    time.sleep(0.1)
    parent.send_signal(number)
    assert parent.wait(240) == (code if number is not signal.SIGINT else -signal.SIGINT)
    gone(tmp_path)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="cannot start"):
        run_group(["no-such-program"], print, folder=tmp_path, environment=os.environ)


PIPELINE = """
stages:
  first: {cmd: echo 1 > one.txt, outs: [one.txt]}
  second: {cmd: cp one.txt two.txt, deps: [one.txt], outs: [two.txt]}
"""


def test_repro_tells_events(repository: TemporaryRepository) -> None:
    repository.write("dvc.yaml", PIPELINE)
    events: list[Event] = []
    Repro(repository.root, run_group)(on_event=events.append)
    started, finished, *rest = events
    assert started == StageStarted("first")
    assert isinstance(finished, StageFinished)
    assert finished.seconds >= 0
    assert [type(event) for event in rest] == [StageStarted, StageFinished]
    assert "Running stage 'second':" in repository.read(".leverframe/repro.log")
    (repository.root / "two.txt").unlink()
    events.clear()
    Repro(repository.root, run_group)(on_event=events.append)
    assert events == [StageSkipped("first"), StageSkipped("second", restored=True)]


def test_repro_carries_the_words_of_the_stage(repository: TemporaryRepository) -> None:
    repository.write("dvc.yaml", "stages:\n  bad: {cmd: python failing.py, outs: [x]}\n")
    events: list[Event] = []
    with pytest.raises(PipelineError) as caught:
        Repro(repository.root, run_group)(on_event=events.append)
    assert caught.value.what == "stage `bad` failed: the table is empty"
    assert (caught.value.why, caught.value.next) == ("nobody filled it", "fill it")
    assert isinstance(events[-1], StageFailed)


def test_repro_of_a_stage_without_words(repository: TemporaryRepository) -> None:
    repository.write("dvc.yaml", "stages:\n  bad: {cmd: echo oh no && false, outs: [x]}\n")
    with pytest.raises(PipelineError) as caught:
        Repro(repository.root, run_group)("bad")
    assert "exited with 1" in caught.value.why
    assert "oh no" in caught.value.why
    assert "dvc repro bad" in caught.value.next


LEAKING = """
import os
seen = sorted(name for name in os.environ if name.endswith("_TOKEN") or name in ("AWS_ACCESS_KEY_ID", "PAGER_KEY"))
raise SystemExit(f"{','.join(seen)}; {os.environ['PAGER_KEY']}: postgresql://admin:hunter2@db.internal/x?token=opensesame")
"""


def test_a_stage_gets_no_token_of_the_forge_and_its_secrets_are_not_told(
    repository: TemporaryRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_TOKEN", "REPO_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "AWS_ACCESS_KEY_ID"):
        monkeypatch.setenv(name, "a-token")
    monkeypatch.setenv("PAGER_KEY", "correct horse")
    repository.write("leaking.py", LEAKING)
    repository.write("dvc.yaml", "stages:\n  bad: {cmd: python leaking.py, outs: [x]}\n")
    with pytest.raises(PipelineError) as caught:
        Repro(repository.root, run_group)("bad")
    assert caught.value.why.endswith(
        "; its last words: AWS_ACCESS_KEY_ID,PAGER_KEY; ***: postgresql://***@db.internal/x?***"
    )


def test_repro_of_a_stage_that_is_not_there(repository: TemporaryRepository) -> None:
    repository.write("dvc.yaml", PIPELINE)
    with pytest.raises(PipelineError, match="failed"):
        Repro(repository.root, run_group)("nothing")


def test_repro_names_the_process_that_is_in_the_way(repository: TemporaryRepository) -> None:
    root = repository.root
    repository.write("dvc.yaml", "stages:\n  slow: {cmd: python stage.py, outs: [out.txt]}\n")
    other = subprocess.Popen([sys.executable, "-m", "dvc", "repro"], cwd=root, env=repository.environment)
    try:
        wait_for(lambda: len(pids(root)) == 2)
        with pytest.raises(PipelineBusyError) as caught:
            Repro(root, run_group)()
        assert str(other.pid) in caught.value.why
        assert caught.value.transient
    finally:
        (root / "go").touch()
        assert other.wait(20) == 0


def test_repro_can_run_in_a_thread(repository: TemporaryRepository) -> None:
    repository.write("dvc.yaml", PIPELINE)
    thread = threading.Thread(target=Repro(repository.root, run_group))
    thread.start()
    thread.join(30)
    assert (repository.root / "two.txt").exists()
