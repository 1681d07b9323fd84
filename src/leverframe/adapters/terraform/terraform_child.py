"""How a command of Terraform runs and ends: interrupted, never killed before it could release the lock of the state.

This is not ``adapters/process.py``, whose groups end by SIGTERM within three seconds, by force when this process dies,
and with everything that they started. Terraform must have time to write its state, wants an interrupt, not two, and
dies of a closed pipe before it wrote anything; what its provisioners left running is meant to stay.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from leverframe.errors import InstallationError

GRACE = 20.0  # seconds from the interrupt to the end by force
_DRAIN = 1.0  # seconds to read what the program left in its pipes
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A pipe tells of the end of this process, whatever ended it, unless the guard was ended before. It then interrupts
# Terraform, unless a word in the pipe said that this was done, and reads what Terraform prints, which nobody else does
# any more. In the language of the shell: Python takes longer to start than Terraform to plan.
_GUARD = """
read -r word || kill -INT "$1"
[ -n "$word" ] && read -r word
cat "/dev/fd/$2" >/dev/null &
cat "/dev/fd/$3" >/dev/null
wait
"""


@dataclass
class ProgramResult:
    """How a program ended: its exit code, what it printed, and why it was stopped, where it was.

    ``stopped`` is ``timeout`` or the name of a signal that this process got; ``killed`` tells that it did not end by
    itself within the grace, so that a lock may be left.
    """

    code: int = 0
    stdout: list[str] = field(default_factory=list)
    stderr: list[str] = field(default_factory=list)
    stopped: str = ""
    killed: bool = False
    until: float = 0.0  # of the monotonic clock, once stopped: the end of the grace


@dataclass
class _Stop:
    """A wish to end that is noted at once and met by the loop, so that Terraform ends first."""

    signals: list[int] = field(default_factory=list)

    def note(self, number: int, _: FrameType | None) -> None:
        self.signals.append(number)


def run_child(
    arguments: Sequence[str],
    on_line: Callable[[str], None],
    *,
    folder: Path,
    environment: Mapping[str, str],
    timeout: float,
    guarded: bool,
) -> ProgramResult:
    """Run a program to its end and return how it ended; each line of its stdout goes to ``on_line`` as it comes.

    SIGINT, SIGTERM and SIGHUP of this process and ``timeout`` seconds interrupt the program once, and end its process
    group by force after ``GRACE``; then the signal has its usual effect here. ``guarded`` interrupts it also where this
    process is killed. Raises ``InstallationError`` where the program cannot be started.
    """
    with _noted_signals() as stop:
        child = _started(arguments, folder, environment)
        running = _Running(child, _guarded(child) if guarded else None)
        try:
            _stream(running, on_line, stop, time.monotonic() + timeout)
        finally:
            running.end()
    running.ended.code = child.returncode
    if stop.signals:
        _obey(stop.signals[0])
    return running.ended


def _obey(number: int) -> None:
    """Let a signal do what it does without us, except that a death by default unwinds the stack."""
    if signal.getsignal(number) is signal.SIG_DFL:
        raise SystemExit(128 + number)
    signal.raise_signal(number)


def _started(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            list(arguments),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a signal to our group, as Ctrl-C sends it, would be a second interrupt
            text=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise InstallationError(
            f"cannot start `{arguments[0]}` in {folder}",
            why=error.strerror or str(error),
            next="see that the folder of the root module exists, and that the program is made for this machine",
        ) from error


def _guarded(child: subprocess.Popen[str]) -> subprocess.Popen[bytes]:
    pipes = [pipe.fileno() for pipe in (child.stdout, child.stderr) if pipe is not None]
    arguments = ["/bin/sh", "-c", _GUARD, "guard", str(child.pid), *map(str, pipes)]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, pass_fds=pipes, start_new_session=True)


@dataclass
class _Running:
    """A program, its guard, and how it ends."""

    child: subprocess.Popen[str]
    guard: subprocess.Popen[bytes] | None
    ended: ProgramResult = field(default_factory=ProgramResult)

    def interrupt(self, why: str) -> None:
        """Interrupt the program, which then has the grace to end."""
        self.ended.stopped, self.ended.until = why, time.monotonic() + GRACE
        if self.guard and self.guard.stdin:
            with contextlib.suppress(BrokenPipeError):
                self.guard.stdin.write(b"interrupted\n")  # a second interrupt would make it drop everything
                self.guard.stdin.flush()
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGINT)

    def end(self) -> None:
        """Wait for the end of the program, interrupting it where nothing did so far, by force after the grace."""
        try:
            if not self.ended.stopped:
                self._wait(_DRAIN)  # its pipes are closed, so it is about to end, or an exception left the loop
            if self.child.poll() is None and not self.ended.stopped:
                self.interrupt("exception")
            self._wait(max(0.0, self.ended.until - time.monotonic()))
            if self.child.poll() is None:
                self.ended.killed = True
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait()
        finally:
            if self.guard:
                self.guard.kill()
                self.guard.communicate()

    def _wait(self, seconds: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(seconds)


def _stream(running: _Running, on_line: Callable[[str], None], stop: _Stop, deadline: float) -> None:
    """Read until both pipes are closed, or the program is gone and somebody else holds them open."""
    ended, lines = running.ended, _pumped(running.child)
    open_pipes, gone = 2, 0.0
    while open_pipes:
        now = time.monotonic()
        if not ended.stopped and (stop.signals or now > deadline):
            running.interrupt(signal.Signals(stop.signals[0]).name if stop.signals else "timeout")
        if ended.stopped and now > ended.until:
            return
        try:
            kept, line = lines.get(timeout=0.1)
        except queue.Empty:
            gone = gone or (now if running.child.poll() is not None else 0.0)
            if gone and now - gone > _DRAIN:
                return
            continue
        if line is None:
            open_pipes -= 1
            continue
        (ended.stdout if kept == "stdout" else ended.stderr).append(line)
        if kept == "stdout":
            on_line(line)


def _pumped(child: subprocess.Popen[str]) -> queue.SimpleQueue[tuple[str, str | None]]:
    lines: queue.SimpleQueue[tuple[str, str | None]] = queue.SimpleQueue()

    def pump(name: str) -> None:
        for line in getattr(child, name):
            lines.put((name, line.rstrip("\r\n")))
        child.wait()  # here, since a wait with a time looks only now and then
        lines.put((name, None))

    for name in ("stdout", "stderr"):
        threading.Thread(target=pump, args=(name,), daemon=True).start()
    return lines


@contextlib.contextmanager
def _noted_signals() -> Iterator[_Stop]:
    """Note the signals that end this process instead of obeying them in the block; only the main thread gets any."""
    stop = _Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    heeded = [number for number in _STOPS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop.note) for number in heeded}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
