"""The process that has imported what `leverframe` and `dvc` need, and becomes one of them for each call.

It is started as a script by ``tests/warm.py``, so that nothing of the tests is a module in the programs: LISTENING HELD
FOLDER are the number of a socket, that of a process that it ends with, and the folder of the run.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
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
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, starmap
from pathlib import Path
from typing import Any, NoReturn, TextIO

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


def cost_file(folder: Path, environment: Mapping[str, str]) -> Path:
    """Return the file that tells what programs of a worker of pytest computed, a line each."""
    return folder / f"cost-{environment.get(WORKER, 'alone')}"


@dataclass(frozen=True)
class _Call:
    """A program that runs: who waits for it, and what it is to be counted for."""

    connection: socket.socket
    process: int
    environment: Mapping[str, str]

    def ended(self) -> None:
        """Note what it cost, and report how it ended."""
        _, status, used = os.wait4(self.process, 0)
        with cost_file(Path(sys.argv[3]), self.environment).open("a", encoding="utf-8") as costs:
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
                for registration in selector.get_map().values():
                    if registration.data and registration.fileobj is registration.data.connection:
                        os.kill(registration.data.process, signal.SIGKILL)
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
            first, end = (int(bound, 16) for bound in addresses.split("-"))
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
        node = left.pop()
        if id(node) in seen:
            return True
        seen.add(id(node))
        left += [
            value for value in (node.values() if isinstance(node, dict) else node) if isinstance(value, dict | list)
        ]
    return False


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        _load()
        program = _serve(requests, int(sys.argv[2]))
    if program:
        _end(program)
    shutil.rmtree(sys.argv[3], ignore_errors=True)
