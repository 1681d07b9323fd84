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
from pathlib import Path
from types import FrameType

import psutil

from leverframe.errors import PipelineError

_WATCH = 0.5  # seconds between two looks at the ancestors
_GRACE = 3.0  # seconds from a polite end to a forced one
_DRAIN = 1.0  # seconds to read what a child left in the pipe
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux
# A pipe tells of the end of this process, whatever ended it: a word in it means that the group has ended before.
_GUARD = "import os, sys; os.read(0, 1) or os.killpg(int(sys.argv[1]), 9)"
TIMED_OUT = 124  # the exit code of a program that took too long, as that of `timeout`
_JITTER = 100  # hundredths of a second between two looks at when a machine started


class Processes:
    """Tells processes apart by their start, in hundredths of a second since the machine started."""

    def start_time(self, pid: int) -> int | None:
        """Return when a process was started; None where it is gone."""
        try:
            process = psutil.Process(pid)
            return _started_at(process) if _alive(process) else None
        except psutil.Error:
            return None

    def alive(self, pid: int, start: int) -> bool:
        """Tell whether the process that was started then still runs."""
        began = self.start_time(pid)
        return began is not None and abs(began - start) <= _JITTER


def _started_at(process: psutil.Process) -> int:
    # Both move with the clock of the machine, so that their difference does not.
    seconds: float = process.create_time() - psutil.boot_time()
    return round(seconds * 100)


def _alive(process: psutil.Process) -> bool:
    """Tell whether the very process still runs: neither a zombie nor a later one with the same number."""
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    return False


def end_with_parent() -> None:
    """End this process soon after the `dvc repro` that started it is gone, however it went.

    DVC leaves its stages running when it is killed, and a stage that goes on writing spoils
    what the next run made. Nothing happens outside a stage of DVC: who starts a stage by hand
    may close the terminal. Shells between DVC and this process end as well, and so do processes
    that this one started, unless the kernel, which asks nobody, was quicker.
    """
    if "DVC_STAGE" not in os.environ:
        return
    ancestors = _ancestors(os.environ["DVC_STAGE"])
    if ancestors and sys.platform == "linux":
        _die_with(ancestors[0])
    threading.Thread(target=_watch, args=(ancestors, os.getppid()), name="end-with-parent", daemon=True).start()


def _die_with(parent: psutil.Process) -> None:
    """Ask the kernel for the end, which comes even while compiled code keeps every thread waiting."""
    import ctypes  # noqa: PLC0415 - 3 ms that only a stage has to spend

    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if not _alive(parent):  # it went before the kernel knew
        os._exit(128 + signal.SIGKILL)


def _watch(ancestors: Sequence[psutil.Process], parent: int) -> None:
    while os.getppid() == parent and all(map(_alive, ancestors)):
        time.sleep(_WATCH)
    for child in psutil.Process().children(recursive=True):
        _kill(child)
    for ancestor in itertools.takewhile(_alive, ancestors):
        _kill(ancestor)  # a shell of the same stage: it would start the next command of its line
    os._exit(128 + signal.SIGTERM)


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.Error):
        process.kill()


def _ancestors(stage: str) -> list[psutil.Process]:
    """Return the processes from the parent up to DVC: those with the stage in their environment, and one more."""
    ancestors: list[psutil.Process] = []
    for process in psutil.Process().parents():
        if process.pid == 1:
            break
        ancestors.append(process)
        with contextlib.suppress(psutil.Error):
            if process.environ().get("DVC_STAGE") == stage:
                continue
        break
    return ancestors


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
    also ends every process of the group; so does the end of this process by force. Raises
    ``PipelineError`` when the time is up or the program cannot be started.
    """
    with signals_as_exceptions():
        child, guard = _started(arguments, folder, environment), None
        try:
            guard = _guarded(child)
            _stream(child, on_line, None if timeout is None else time.monotonic() + timeout)
        finally:
            _end_group(child)
            if guard:
                guard.communicate(b".")
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
            next="install it, or fix the permission of the file",
        ) from error


def _guarded(child: subprocess.Popen[str]) -> subprocess.Popen[bytes]:
    """Start a process that ends the group once our end of its pipe is closed by our death, and return it."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _GUARD, str(child.pid)], stdin=subprocess.PIPE, start_new_session=True
    )


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
        code=TIMED_OUT,
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
def signals_as_exceptions() -> Iterator[None]:
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
