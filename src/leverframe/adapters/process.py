"""How processes end together: a stage with the program that started it, a child with all it started."""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from leverframe.errors import PipelineError

_WATCH = 0.5  # seconds between two looks at the ancestors
_GRACE = 3.0  # seconds from a polite end to a forced one
_DRAIN = 1.0  # seconds to read what a child left in the pipe
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux
_PROC = Path("/proc")


@dataclass(frozen=True)
class _Process:
    """A process, told from a later one with the same number by its start, in ticks since the machine started."""

    pid: int
    parent: int
    start: int

    def alive(self) -> bool:
        """Tell whether the process still runs."""
        now = _process(self.pid)
        return now is not None and now.start == self.start


class Processes:
    """Tells processes apart by their start, in ticks since the machine started."""

    def born(self, pid: int) -> int | None:
        """Return when a process was started; None where it is gone or there is no `/proc`."""
        found = _process(pid)
        return None if found is None else found.start

    def alive(self, pid: int, start: int) -> bool:
        """Tell whether the process that was started then still runs; without `/proc`, whether any has its number."""
        if _PROC.is_dir():
            return _Process(pid, 0, start).alive()
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def end_with_parent() -> None:
    """End this process soon after the `dvc repro` that started it is gone, however it went.

    DVC leaves its stages running when it is killed, and a stage that goes on writing spoils
    what the next run made. Nothing happens outside a stage of DVC: who starts a stage by hand
    may close the terminal. Shells between DVC and this process end as well, and so do processes
    that this one started, unless the kernel, which asks nobody, was quicker. Where there is no
    `/proc`, only the direct parent is watched.
    """
    if "DVC_STAGE" not in os.environ:
        return
    ancestors = _ancestors(f"DVC_STAGE={os.environ['DVC_STAGE']}".encode())
    if ancestors and sys.platform == "linux":
        _die_with(ancestors[0])
    threading.Thread(target=_watch, args=(ancestors, os.getppid()), name="end-with-parent", daemon=True).start()


def _die_with(parent: _Process) -> None:
    """Ask the kernel for the end, which comes even while compiled code keeps every thread waiting."""
    import ctypes  # noqa: PLC0415 - 3 ms that only a stage has to spend

    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if not parent.alive():  # it went before the kernel knew
        os._exit(128 + signal.SIGKILL)


def _watch(ancestors: Sequence[_Process], parent: int) -> None:
    while os.getppid() == parent and all(each.alive() for each in ancestors):
        time.sleep(_WATCH)
    for child in _descendants(os.getpid()):
        _kill(child)
    for each in itertools.takewhile(_Process.alive, ancestors):
        _kill(each.pid)  # a shell of the same stage: it would start the next command of its line
    os._exit(128 + signal.SIGTERM)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _ancestors(mark: bytes) -> list[_Process]:
    """Return the processes from the parent up to DVC: those with ``mark`` in their environment, and one more."""
    found: list[_Process] = []
    pid = os.getppid()
    while (process := _process(pid)) is not None and pid > 1:
        found.append(process)
        if not _carries(pid, mark):
            break
        pid = process.parent
    return found


def _carries(pid: int, mark: bytes) -> bool:
    try:
        return mark in (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _process(pid: int) -> _Process | None:
    """Return what Linux knows of a process; None where it is gone, a zombie, or there is no `/proc`."""
    try:
        tail = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2]
    except OSError:
        return None
    state, parent, *rest = tail.split()
    return None if state in "ZX" else _Process(pid, int(parent), int(rest[17]))


def _descendants(pid: int) -> list[int]:
    if not _PROC.is_dir():
        return []
    found = [_process(int(entry.name)) for entry in _PROC.iterdir() if entry.name.isdigit()]
    known = [each for each in found if each is not None]
    family = [pid]
    for member in family:  # grows while it is walked
        family.extend(each.pid for each in known if each.parent == member)
    return family[1:]


def run_group(
    arguments: Sequence[str],
    on_line: Callable[[str], None],
    *,
    folder: Path,
    environment: Mapping[str, str],
    timeout: float | None = None,
) -> int:
    """Run a program in a process group of its own and return its exit code, its lines going to ``on_line``.

    Stdout and stderr arrive together, without line ends. Whatever ends this call (the end of
    the program, an exception of ``on_line``, SIGINT, SIGTERM, SIGHUP, or ``timeout`` seconds)
    also ends every process of the group. Raises ``PipelineError`` when the time is up or the
    program cannot be started.
    """
    with _signals_as_exceptions():
        child = _started(arguments, folder, environment)
        try:
            _stream(child, on_line, None if timeout is None else time.monotonic() + timeout)
        finally:
            _end_group(child)
    if child.returncode is None:  # pragma: no cover - _end_group waits
        raise AssertionError("a child outlived its group")
    return child.returncode


def _started(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            list(arguments),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise PipelineError(
            f"cannot start `{arguments[0]}`",
            why=f"{error.strerror or error}",
            next="install it, or mend the permission of the file",
        ) from error


def _stream(child: subprocess.Popen[str], on_line: Callable[[str], None], deadline: float | None) -> None:
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        assert child.stdout is not None  # noqa: S101 - a pipe was asked for
        for line in child.stdout:
            lines.put(line.rstrip("\r\n"))
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    ended: float | None = None
    while True:
        try:
            line = lines.get(timeout=0.1)
        except queue.Empty:
            now = time.monotonic()
            if deadline is not None and now > deadline:
                raise _too_late(child) from None
            if child.poll() is not None:
                ended = ended or now
                if now - ended > _DRAIN:  # somebody else holds the pipe open
                    return
            continue
        if line is None:
            break
        on_line(line)
        if deadline is not None and time.monotonic() > deadline:
            raise _too_late(child)
    _wait(child, deadline)


def _wait(child: subprocess.Popen[str], deadline: float | None) -> None:
    try:
        child.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise _too_late(child) from None


def _too_late(child: subprocess.Popen[str]) -> PipelineError:
    name = " ".join(map(str, child.args)) if isinstance(child.args, list) else str(child.args)
    return PipelineError(
        f"`{name}` took too long",
        why="it did not end within the time it was given; it and all it started were ended",
        next="look at its log for where it stood, or give it more time",
    )


def _end_group(child: subprocess.Popen[str]) -> None:
    """End what is left of the group: politely first, by force after a grace."""
    for how, patience in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, _GRACE)):
        try:
            os.killpg(child.pid, how)
        except (ProcessLookupError, PermissionError):  # macOS refuses where only zombies are left
            break
        until = time.monotonic() + patience
        while time.monotonic() < until and _group_lives(child):
            time.sleep(0.02)
    child.wait()


def _group_lives(child: subprocess.Popen[str]) -> bool:
    child.poll()  # takes the leader away, which would count as living otherwise
    try:
        os.killpg(child.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


@contextlib.contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the stack as SIGINT does, so that children are ended; main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
