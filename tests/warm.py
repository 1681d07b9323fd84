"""`leverframe` and `dvc` without their start: a server that has imported what they need, and forks for each call.

A start and the imports of scikit-learn, ONNX and DVC are most of what a quick command costs. What is forked is a
process of its own, in the folder and with the environment, limits and files of its caller; it runs the program's
own ``main`` and ends as the program does. Modules of a case are imported in it, never before. What tests kill,
measure or watch they start for real.
"""

from __future__ import annotations

import fcntl
import functools
import marshal
import os
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leverframe.local.repository import CommandFailedError, TemporaryRepository
from tests import warm_server
from tests.warm_server import SOCKET, WORKER, cost_file

PATIENCE = 240.0  # seconds that a test waits for anything at most
CLIENT = f"""\
#!{sys.executable} -SE
import _socket, array, marshal, os, sys
program, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]
if program == "python":
    named = arguments[1:] if arguments[:1] == ["-P"] else arguments
    known = named[:1] == ["-m"] and named[1:2] in (["dvc"], ["leverframe"])
    if not known or "PYTHONPATH" in os.environ or "{SOCKET}" not in os.environ:
        os.execv({sys.executable!r}, [{sys.executable!r}, *arguments])
    program, arguments = named[1], named[2:]
connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
connection.connect(os.environ["{SOCKET}"])
request = marshal.dumps((program, arguments, os.getcwd(), dict(os.environ), None))
connection.sendmsg([request], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
code = int(connection.recv(64) or 1)
sys.exit(code if code >= 0 else 128 - code)
"""  # what a warm program starts by its `sys.executable` is warm, too, where it is one of the two


class Warm:
    """The server that all workers of a run of pytest share; it ends with the run."""

    def __init__(self) -> None:
        """Start it where no other worker has, with programs that call it."""
        self.folder = _folder()
        if WORKER not in os.environ:  # a number of a process comes again
            shutil.rmtree(self.folder, ignore_errors=True)
        self.programs = self.folder / "bin"
        self.programs.mkdir(parents=True, exist_ok=True)
        self.address = str(self.folder / "socket")
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not Path(self.address).exists():
                self._start()

    def _start(self) -> None:
        for name in ("leverframe", "python"):
            client = self.programs / name
            client.write_text(CLIENT, encoding="utf-8")
            client.chmod(0o755)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
            listening.bind(self.address)
            listening.listen(64)
            # The run is the process that started the workers, or this one.
            held = os.pidfd_open(os.getppid() if WORKER in os.environ else os.getpid())
            environment = {**os.environ, "LC_ALL": "C.UTF-8", "PYDANTIC_DISABLE_PLUGINS": "__all__"}
            command = [sys.executable, warm_server.__file__, str(listening.fileno()), str(held), str(self.folder)]
            subprocess.Popen(
                command, env=environment, pass_fds=[listening.fileno(), held], stdin=subprocess.DEVNULL, cwd="/"
            )
            os.close(held)

    def around(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return an environment in which `leverframe`, started by anything, is this one."""
        path = os.pathsep.join([str(self.programs), environment["PATH"]])
        return {**environment, "PATH": path, SOCKET: self.address}

    def run(
        self,
        program: str,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        limit: int | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end in a folder; no file can be written beyond ``limit`` bytes."""
        request = (program, list(arguments), str(folder), self.around(environment), limit)
        (out, their_out), (error, their_error) = os.pipe(), os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.connect(self.address)
            socket.send_fds(connection, [marshal.dumps(request)], [nothing, their_out, their_error])
            for number in (nothing, their_out, their_error):
                os.close(number)
            stdout, stderr = _read(out, error)
            code = int(connection.recv(64))
        return subprocess.CompletedProcess([program, *arguments], code, stdout, stderr)


@dataclass(frozen=True)
class WarmRepository(TemporaryRepository):
    """A repository whose `dvc` and `leverframe` are the warm ones, also where DVC starts a stage."""

    def dvc(self, *arguments: str) -> str:
        """Run DVC and return what it printed; raises ``CommandFailedError`` when it failed."""
        return self._ended("dvc", arguments)

    def run(self, *command: str) -> str:
        """Run a command in the root and return its stdout; raises ``CommandFailedError`` when it failed."""
        return self._ended("leverframe", command[1:]) if command[0] == "leverframe" else super().run(*command)

    def _ended(self, program: str, arguments: Sequence[str]) -> str:
        done = warm().run(program, arguments, self.root, self.environment)
        if done.returncode != 0:
            output = f"{done.stdout}{done.stderr}"
            raise CommandFailedError(f"{program} {' '.join(arguments)}: {done.returncode}\n{output}")
        return done.stdout


@functools.cache
def warm() -> Warm:
    """Return the one of this run."""
    return Warm()


def _read(*pipes: int) -> list[str]:
    """Return what is written into each pipe until nobody has it open."""
    parts: dict[int, list[bytes]] = {pipe: [] for pipe in pipes}
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(PATIENCE)
            assert ready, "nothing was printed, and nothing ended, for too long"
            for key, _ in ready:
                part = os.read(key.fd, 1 << 16)
                parts[key.fd].append(part)
                if not part:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    return [b"".join(parts[pipe]).decode() for pipe in pipes]


def costs_of(environment: Mapping[str, str]) -> dict[str, float]:
    """Return the seconds that warm programs computed for a worker of pytest, by the file of its tests."""
    totals, costs = dict[str, float](), cost_file(_folder(), environment)
    for line in costs.read_text(encoding="utf-8").splitlines() if costs.exists() else ():
        seconds, _, test = line.partition(" ")
        file = test.partition("::")[0]
        totals[file] = totals.get(file, 0.0) + float(seconds)
    return totals


def _folder() -> Path:
    """Return the folder that all workers of a run of pytest share."""
    run = os.environ["PYTEST_XDIST_TESTRUNUID"] if WORKER in os.environ else os.getpid()
    return Path(tempfile.gettempdir(), f"warm-{run}")
