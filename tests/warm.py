"""`leverframe` and `dvc` without their start: a server that has imported what they need, and forks for each call.

A start and the imports of scikit-learn, ONNX and DVC are most of what a quick command costs. What is forked is a
process of its own, in the folder and with the environment, limits and files of its caller; it runs the program's
own ``main`` and ends as the program does. Modules of a case are imported in it, never before. What tests kill,
measure or watch they start for real.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import fcntl
import functools
import gc
import hashlib
import importlib
import io
import json
import marshal
import os
import pickle
import pkgutil
import resource
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, starmap
from pathlib import Path
from typing import Any, NoReturn, TextIO

from leverframe.local.repository import CommandFailedError, TemporaryRepository

HEAVY = (
    "dvc.cli", "dvc.cli.parser", "dvc.repo", "dvc.repo.reproduce", "dvc.repo.push", "dvc.stage.run", "dvc.cachemgr",
    "dvc.data_cloud", "dvc.lock", "dvc.repo.artifacts", "dvc.repo.datasets", "dvc.repo.metrics", "dvc.repo.params",
    "dvc.repo.plots", "dvc.repo.stage", "dvc.repo.index", "dvc.repo.graph", "dvc.repo.open_repo", "dvc.rwlock",
    "dvc.scm", "dvc.utils.strictyaml", "dvc_data.hashfile.db.local", "dvc_data.hashfile.status",
    "dvc_data.index.checkout", "dulwich.ignore", "dulwich.index", "dulwich.repo", "dulwich.worktree", "email.policy",
    "configobj", "dvc.dirs", "dvc.repo.brancher", "dvc.repo.trie", "dvc.repo.worktree", "dvc_data.hashfile.db.index",
    "dvc_data.index.collect", "dvc_data.index.fetch", "dvc_data.index.push", "fsspec.implementations.memory",
    "requests", "networkx", "platformdirs.unix", "pyparsing", "ruamel.yaml", "scmrepo.git",
    "hypothesis.strategies", "narwhals._polars.namespace", "narwhals.stable.v2", "pandera.backends.polars.container",
    "pandera.backends.polars.builtin_checks", "pandera.polars", "pandera.strategies.base_strategies",
    "pydantic.dataclasses",
    "aiohttp", "pygit2", "s3fs", "tomlkit",
    "leverframe.cli", "leverframe.case", "leverframe.adapters.github", "leverframe.adapters.onnx.convert",
    "leverframe.adapters.onnx.session", "leverframe.adapters.oidc", "leverframe.adapters.terraform",
    "sklearn.compose", "sklearn.ensemble", "sklearn.preprocessing", "skl2onnx", "onnxruntime",
)  # fmt: skip
PATIENCE = 240.0  # seconds that a test waits for anything at most
LONGEST = 1 << 17  # bytes of a request: arguments and environment
WORKER = "PYTEST_XDIST_WORKER"  # the variable that a worker of pytest-xdist has
SOCKET = "WARM_SOCKET"  # the variable of the environment that tells where the server listens
KILLED_AT = "WARM_KILLED_AT"  # the variable that says at which call of these a command is killed, or who else is
KILLS = "kills"  # the file beside that one, where each kill of a server is noted: time on the machine's clock, process
_LARGE = 2 << 20  # bytes of a large page
_COLLAPSE = 25  # MADV_COLLAPSE of Linux
CALLS: Mapping[str, Sequence[str]] = {
    "leverframe.adapters.releases.Releases": (
        "record", "put_bundle", "put_release", "remove_release", "discard_release", "remove_model", "keep_bundles",
    ),
    "leverframe.adapters.mlserver.V2": ("load", "unload"),
    "leverframe.adapters.git.Git": ("tag",),
    "pathlib.Path": ("rename", "replace"),  # between what is written beside a file and its place
    "http.client.HTTPConnection": ("getresponse",),
}  # fmt: skip
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
            command = [sys.executable, __file__, str(listening.fileno()), str(held), str(self.folder)]
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
            said = f"{done.stdout}{done.stderr}"
            raise CommandFailedError(f"{program} {' '.join(arguments)}: {done.returncode}\n{said}")
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


@dataclass(frozen=True)
class _Call:
    """A program that runs: who waits for it, and what it is to be counted for."""

    connection: socket.socket
    process: int
    environment: Mapping[str, str]

    def ended(self) -> None:
        """Note what it cost, and report how it ended."""
        _, status, used = os.wait4(self.process, 0)
        with _costs(Path(sys.argv[3]), self.environment).open("a", encoding="utf-8") as costs:
            costs.write(f"{used.ru_utime + used.ru_stime} {self.environment.get('PYTEST_CURRENT_TEST', '')}\n")
        with contextlib.suppress(OSError), self.connection:
            self.connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _serve(listening: socket.socket, held: int) -> Callable[[], object] | None:
    """Fork for each request until the process ``held`` is over; return the program to run in one that was forked.

    A process of this size is not forked quickly: one fork a request, and all of them are waited for here.
    """
    with selectors.DefaultSelector() as selector:
        selector.register(listening, selectors.EVENT_READ)
        selector.register(held, selectors.EVENT_READ)
        while True:
            key, _ = selector.select()[0]  # one at a time: what is done for it may end another
            call: _Call | None = key.data
            if key.fileobj is listening:
                if program := _forked(listening.accept()[0], selector):
                    return program
            elif call is None:  # the run is over
                for each in selector.get_map().values():
                    if each.data and each.fileobj is each.data.connection:
                        os.kill(each.data.process, signal.SIGKILL)
                return None
            elif key.fileobj is call.connection:  # who asked was killed
                selector.unregister(call.connection)
                os.kill(call.process, signal.SIGKILL)
            else:
                selector.unregister(key.fileobj)
                os.close(key.fd)
                with contextlib.suppress(KeyError):
                    selector.unregister(call.connection)
                call.ended()


def _forked(connection: socket.socket, selector: selectors.BaseSelector) -> Callable[[], object] | None:
    """Fork for a request, and wait for the process by the selector; in the process, return its program."""
    message, files, _, _ = socket.recv_fds(connection, LONGEST, 3)
    if not message:  # who asked was killed before it did
        connection.close()
        return None
    program, arguments, folder, environment, limit = marshal.loads(message)  # noqa: S302 - of a client of our own
    process = os.fork()
    if process == 0:
        connection.close()
        for key in selector.get_map().values():  # closed, and not taken out of what the server waits for
            key.fileobj.close() if isinstance(key.fileobj, socket.socket) else os.close(key.fd)
        return functools.partial(_become, program, arguments, Path(folder), environment, limit, files)
    for file in files:
        os.close(file)
    call = _Call(connection, process, environment)
    selector.register(connection, selectors.EVENT_READ, call)
    selector.register(os.pidfd_open(process), selectors.EVENT_READ, call)
    return None


def costs_of(environment: Mapping[str, str]) -> dict[str, float]:
    """Return the seconds that warm programs computed for a worker of pytest, by the file of its tests."""
    found, costs = dict[str, float](), _costs(_folder(), environment)
    for line in costs.read_text(encoding="utf-8").splitlines() if costs.exists() else ():
        seconds, _, test = line.partition(" ")
        file = test.partition("::")[0]
        found[file] = found.get(file, 0.0) + float(seconds)
    return found


def _costs(folder: Path, environment: Mapping[str, str]) -> Path:
    return folder / f"cost-{environment.get(WORKER, 'alone')}"


def _folder() -> Path:
    """Return the folder that all workers of a run of pytest share."""
    run = os.environ["PYTEST_XDIST_TESTRUNUID"] if WORKER in os.environ else os.getpid()
    return Path(tempfile.gettempdir(), f"warm-{run}")


def _become(
    program: str,
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    limit: int | None,
    files: Sequence[int],
) -> object:
    """Let this process be as it was asked for, and run its program."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    binaries = Path(sys.executable).parent
    sys.argv = [str(binaries / program), *arguments]
    sys.path[0] = str(binaries)
    sys.executable = str(Path(os.environ[SOCKET]).parent / "bin" / "python")
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    main: Callable[[], object] = importlib.import_module(f"{program}.cli").main
    if KILLED_AT in os.environ:
        _kill_at(*os.environ[KILLED_AT].split(maxsplit=1))
    return main()


def _kill_at(number: str, server: str = "") -> None:
    """Kill this process before its ``number``-th call that changes or asks something, or once a request is sent.

    Where ``server`` is a file that names a process, that one is killed instead, if it runs.
    """
    calls = count()

    def kill() -> None:
        if not server:
            os.kill(os.getpid(), signal.SIGKILL)
        with contextlib.suppress(OSError, ValueError):
            killed = json.loads(Path(server).read_bytes())["pid"]
            with Path(server).with_name(KILLS).open("a", encoding="utf-8") as notes:
                notes.write(f"{time.monotonic()} {killed}\n")
            os.kill(killed, signal.SIGKILL)

    for place, names in CALLS.items():
        module, _, kind = place.rpartition(".")
        owner = getattr(importlib.import_module(module), kind)
        for name in names:
            setattr(owner, name, _counted(getattr(owner, name), calls, int(number), kill))


def _counted(
    method: Callable[..., object], calls: Iterator[int], number: int, kill: Callable[[], None]
) -> Callable[..., object]:
    def call(*arguments: object, **named: object) -> object:
        if next(calls) == number:
            kill()
        return method(*arguments, **named)

    return call


def _end(run: Callable[[], object]) -> NoReturn:
    """Run the program, and end this process as Python does, without the libraries' own ends.

    Those wait for threads that stayed in the process that forked.
    """
    code: object = 1
    try:
        code = run()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)


def _load() -> None:
    """Import what commands need, and no module of a case."""
    with _no_look_for_leaks():
        for name in HEAVY:
            importlib.import_module(name)
        for package in ("commands", "application"):
            path = importlib.import_module(f"leverframe.{package}").__path__
            for module in pkgutil.iter_modules(path, f"leverframe.{package}."):
                importlib.import_module(module.name)
    if os.environ.get("HYPOTHESIS_PROFILE") != "deep":  # at night DVC runs as it is installed
        _keep_what_dvc_wrote()
    gc.freeze()  # what is imported stays: no collection of a forked process walks it, and its pages stay shared
    _in_large_pages()


def _in_large_pages() -> None:
    """Let the kernel put what is here into pages of 2 MB, where it can: a fork copies the tables of all pages.

    What a program writes to is parted into small pages again, which it does for each of few.
    """
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        addresses, rights, _, _, _, *named = line.split()
        if rights == "rw-p" and named in ([], ["[heap]"]):
            first, end = (int(each, 16) for each in addresses.split("-"))
            first, end = -(-first // _LARGE) * _LARGE, end // _LARGE * _LARGE
            if first < end:
                advise(first, end - first, _COLLAPSE)


@contextlib.contextmanager
def _no_look_for_leaks() -> Iterator[None]:
    """Let modules that are imported meanwhile leave out what nanobind does at the end: a walk through all objects.

    Programs end without the end of Python (``_end``), and none of them would be told.
    """
    register = atexit.register

    def registered(run: Callable[..., Any], *arguments: Any, **named: Any) -> Callable[..., Any]:
        code = getattr(run, "__code__", None)
        return run if code and code.co_filename == "<internal>" else register(run, *arguments, **named)

    atexit.register = registered  # type: ignore[assignment]
    try:
        yield
    finally:
        atexit.register = register


def _keep_what_dvc_wrote() -> None:
    """Spare DVC its parser, which is Python: a text that it wrote itself, or read before, says what it said.

    For each stage DVC reads and writes the whole lock file, and reads the settings: most of what `dvc repro` costs.
    Each of its commands reads both anew, twice and more: what one process read is kept for all of this server.
    """
    yaml: Any = importlib.import_module("dvc.utils.serialize._yaml")
    strict: Any = importlib.import_module("dvc.utils.strictyaml")  # which has the parser by a name of its own
    parse, dump = yaml.parse_yaml, yaml._dump
    written: dict[str, object] = {}
    known: dict[tuple[str, str], bytes] = {}
    entries: dict[bytes, str] = {}

    def parsed(text: str, path: str, typ: str = "safe") -> object:
        if typ != "safe" and text in written:
            return written.pop(text)
        if (text, typ) not in known:
            kept = Path(os.environ[SOCKET]).with_name(hashlib.sha256(f"{typ} {text}".encode()).hexdigest())
            if not kept.exists():
                part = kept.with_suffix(f".{os.getpid()}")
                part.write_bytes(pickle.dumps(parse(text, path, typ)))
                part.replace(kept)
            known[text, typ] = kept.read_bytes()
        return pickle.loads(known[text, typ])  # noqa: S301 - of our own

    def entry(name: str, value: object) -> str:
        """Return the lines of one stage in a lock: of one that did not change they are known."""
        key = pickle.dumps((name, value))
        if key not in entries:
            text = io.StringIO()
            dump({"stages": {name: value}}, text)
            entries[key] = text.getvalue().removeprefix("stages:\n")
        return entries[key]

    def dumped(data: Any, stream: TextIO) -> None:
        if list(data) == ["schema", "stages"] and data["stages"] and not _is_more_than_its_parts(data):
            text = f"schema: '{data['schema']}'\nstages:\n" + "".join(starmap(entry, data["stages"].items()))
        else:
            kept = io.StringIO()
            dump(data, kept)
            text = kept.getvalue()
        stream.write(text)
        written.clear()
        written[text] = data

    yaml.parse_yaml = strict.parse_yaml = parsed
    yaml._dump = dumped


def _is_more_than_its_parts(lock: Mapping[str, Any]) -> bool:
    """Tell whether the text of a lock has more than that of its stages: comments, or one value at two places."""
    if any((kept := getattr(part, "ca", None)) and (kept.comment or kept.items) for part in (lock, lock["stages"])):
        return True
    seen, left = set[int](), [lock["stages"]]
    while left:
        each = left.pop()
        if id(each) in seen:
            return True
        seen.add(id(each))
        left += [
            value for value in (each.values() if isinstance(each, dict) else each) if isinstance(value, dict | list)
        ]
    return False


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        _load()
        program = _serve(requests, int(sys.argv[2]))
    if program:
        _end(program)
    shutil.rmtree(sys.argv[3], ignore_errors=True)
