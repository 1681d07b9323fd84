"""MLServer from outside: its process, started and ended here, and a client of the V2 protocol."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from leverframe.documents import parsed, plain
from leverframe.domain.release.serve import Running
from leverframe.errors import ServerBusyError, ServerError
from leverframe.files import private_folder, write_json, write_text
from leverframe.locks import held
from leverframe.private_files import for_us_alone, own_folder
from leverframe.redaction import for_server, redacted

_START = 90.0  # seconds; a machine under load takes long to import what MLServer is made of
_STOP = 30.0
_UNRECORDED = 8.0  # seconds in which a server that its record no longer names has ended by itself
_TRIES = 3
_METRIC = re.compile(r"^(\w+?)(?:_total)?\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Ports:
    """Where a server listens; 0 takes a free port."""

    host: str = "127.0.0.1"
    rest: int = 0
    grpc: int = 0
    metrics: int = 0


class Processes(Protocol):
    """Tells processes apart: a number alone may belong to another one by now."""

    def start_time(self, pid: int) -> int | None:
        """Return when a process was started; None where it is gone."""

    def alive(self, pid: int, start: int) -> bool:
        """Tell whether the process that was started then still runs."""


class ServerFolder:
    """The folder of one server: its releases, key, log and process.

    ``passed`` are names of environment variables that it is given beside those that every program needs.
    """

    def __init__(self, folder: Path, processes: Processes, passed: Collection[str] = ()) -> None:
        self.folder, self._processes, self._passed = folder, processes, passed
        self.models = folder / "models"
        self.bundles = folder / "bundles"
        self.log = folder / "server.log"
        self._state, self._key = folder / "server.json", folder / "key"
        self._starts = False  # this very object holds the folder

    def running(self) -> Running | None:
        """Return the server that lives, None where none does."""
        known = self.recorded()
        return known if known and self._processes.alive(known.pid, known.start_time) else None

    def recorded(self) -> Running | None:
        """Return the server that was started last, whether it lives or not; None after it was stopped."""
        try:
            return parsed(Running, self._state.read_bytes())
        except (OSError, ValueError):
            return None

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Hold the folder while a server is started in it, also around ``start``; raises ``ServerBusyError``."""
        if self._starts:
            yield
            return
        path = own_folder(self.folder) / "starting"
        busy = ServerBusyError(
            f"another command starts the server `{self.folder.name}`",
            why=f"it holds {path}, and two servers of one folder would replace each other's releases and record",
            next=f"wait until it has ended, then `leverframe serve --status --name {self.folder.name}`",
        )
        with for_us_alone():
            path.touch()
        with held(path, busy):
            self._starts = True
            try:
                yield
            finally:
                self._starts = False

    def start(
        self, ports: Ports, *, log: Mapping[str, Any] | None, requests: Mapping[str, Any],
        online: Mapping[str, Any] | None = None,
        mark: str = "", code: Path | None = None,
    ) -> Running:  # fmt: skip
        """Start a server and wait until it listens; one that lives is returned as it is.

        Own types of a model are imported from ``code``, where nothing installed has their name. It goes on when this
        process ends. Raises ``ServerError`` where it does not start.
        """
        with self.starting(), for_us_alone():
            known = self.running()
            if known is not None:
                return known
            private_folder(self.folder)
            settings = {**requests, "log": log, "online": online, "code": code and str(code)}
            return self._start(ports, settings, mark)

    def _start(self, ports: Ports, settings: Mapping[str, Any], mark: str) -> Running:
        self.models.mkdir(exist_ok=True)
        if not self._key.exists():
            write_text(self._key, secrets.token_urlsafe(32) + "\n")
        for left in reversed(range(_TRIES)):
            rest, grpc, metrics = _own_ports(ports)
            config = {
                "models": str(self.models), "host": ports.host, "port": rest, "grpc_port": grpc,
                "metrics_port": metrics, "key_file": str(self._key), **settings,
            }  # fmt: skip
            write_json(self.folder / "config.json", config)
            running = self._started(ports.host, (rest, grpc, metrics), mark, last=left == 0)
            if running is not None:
                return running
        raise AssertionError("the last try returns or raises")  # pragma: no cover

    def _started(self, host: str, ports: tuple[int, int, int], mark: str, *, last: bool) -> Running | None:
        """Start the process and wait until it listens; None where it ended and should be tried once more."""
        process = self._spawn()
        running = Running(process.pid, self._processes.start_time(process.pid) or 0, host, *ports, mark)
        write_json(self._state, plain(running))
        client = self.client(running)
        until = time.monotonic() + _START
        while not client.live():
            if process.poll() is not None or time.monotonic() > until:
                self.stop()
                if not last and "address already in use" in _last_lines(self.log).lower():
                    return None  # somebody took a port between our look and its start
                raise ServerError(
                    "the server did not start",
                    why=_last_lines(self.log).splitlines()[-1] if _last_lines(self.log) else "it printed nothing",
                    next=f"read {self.log}",
                )
            time.sleep(0.05)
        return running

    def stop(self) -> bool:
        """End the server: requests under way get their response first. Return whether one was running."""
        known = self.running()
        if known is None:
            self._state.unlink(missing_ok=True)  # of one that was killed
            return False
        with suppress(ProcessLookupError):
            os.kill(known.pid, signal.SIGTERM)
        until = time.monotonic() + _STOP
        while self._processes.alive(known.pid, known.start_time):
            if time.monotonic() > until:
                with suppress(ProcessLookupError):
                    os.kill(known.pid, signal.SIGKILL)
            time.sleep(0.02)
        self._state.unlink(missing_ok=True)
        return True

    def client(self, running: Running, timeout: float = 60.0) -> V2:
        """Return a client of the server, with the key to its repository; a call takes ``timeout`` seconds at most."""
        key = self._key.read_text(encoding="utf-8").strip() if self._key.exists() else ""
        return V2(running.host, running.port, running.metrics_port, key, timeout)

    def _spawn(self) -> subprocess.Popen[bytes]:
        config, record = ((self.folder / name).resolve() for name in ("config.json", self._state.name))
        arguments = [str(config), str(record), str(os.getpid())]
        # It imports nothing from where it is started (-P), and is started where nobody but this user puts anything.
        command = [sys.executable, "-P", "-m", "leverframe.serving.server", *arguments]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(self._passed),
                cwd=self.folder, start_new_session=True,
            )  # fmt: skip


class V2:
    """A client of one server; every call is one connection, so that none can be left over from before."""

    def __init__(self, host: str, port: int, metrics_port: int, key: str, timeout: float = 60.0) -> None:
        self._at, self._metrics, self._timeout = (host, port), (host, metrics_port), timeout
        self._key = {"authorization": f"Bearer {key}"}

    def live(self) -> bool:
        """Tell whether the server responds at all."""
        try:
            return self._call(self._at, "GET", "/v2/health/live")[0] == 200
        except ServerError:
            return False

    def ours(self) -> bool:
        """Tell whether what responds is a server of Leverframe, of whatever folder."""
        try:
            return self._call(self._at, "GET", "/v2")[1].get("name") == "leverframe"
        except ServerError:
            return False

    def loaded(self) -> bool:
        """Tell whether the server has loaded what it began with, and listens on all its ports."""
        return self._call(self._at, "GET", "/v2/health/ready")[0] == 200

    def ready(self, model: str, version: int | None = None) -> bool:
        """Tell whether a release is ready; without a number, whether the model is."""
        path = f"/v2/models/{model}" + (f"/versions/{version}" if version else "")
        return self._call(self._at, "GET", f"{path}/ready", b"", self._key)[0] == 200

    def load(self, model: str) -> str:
        """Let the server load the releases of a model that are in its folder; return why not, empty if it did."""
        status, body = self._call(self._at, "POST", f"/v2/repository/models/{model}/load", b"{}", self._key)
        return "" if status == 200 else str(body.get("error", f"status {status}"))

    def unload(self, model: str) -> bool:
        """Let the server unload a model; return whether it knew it."""
        return self._call(self._at, "POST", f"/v2/repository/models/{model}/unload", b"{}", self._key)[0] == 200

    def infer(self, model: str, body: bytes, version: int | None = None) -> tuple[int, dict[str, Any]]:
        """Return the status and the content of the response to a prediction request."""
        path = f"/v2/models/{model}" + (f"/versions/{version}" if version else "")
        return self._call(self._at, "POST", f"{path}/infer", body, self._key)  # the key opens candidates, too

    def metrics(self, model: str) -> dict[tuple[str, ...], float]:
        """Return the metrics of Leverframe for a model: (name, version, outcome) or the like, by the labels it has."""
        text = self._raw(self._metrics, "GET", "/metrics")[1].decode(errors="replace")
        metrics: dict[tuple[str, ...], float] = {}
        for name, labels, value in _METRIC.findall(text):
            known = dict(_LABEL.findall(labels))
            if name.startswith("leverframe_") and known.pop("model", "") == model:
                metrics[name, *(known[label] for label in sorted(known))] = float(value)
        return metrics

    def _call(
        self, at: tuple[str, int], method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        status, data = self._raw(at, method, path, body, headers)
        try:
            content = json.loads(data) if data else {}
        except ValueError:
            content = {}
        return status, content if isinstance(content, dict) else {}

    def _raw(
        self, at: tuple[str, int], method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(*at, timeout=self._timeout)
        try:
            connection.request(method, path, body, {"content-type": "application/json", **(headers or {})})
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ServerError(
                f"the server at {at[0]}:{at[1]} does not answer",
                why=f"{type(error).__name__}: {error}",
                next="`leverframe serve` starts one, its log tells why one ended",
            ) from error
        finally:
            connection.close()


def _own_ports(wanted: Ports) -> tuple[int, int, int]:
    """Return three ports as ``_ports`` does; one that a server holds whose record is gone is waited for."""
    until = time.monotonic() + _UNRECORDED
    while True:
        try:
            return _ports(wanted)
        except ServerError as error:
            if not V2(wanted.host, wanted.rest, 0, "", timeout=2).ours():
                raise
            if time.monotonic() > until:
                raise ServerError(
                    error.what,
                    why=f"a server of Leverframe listens at {wanted.host}:{wanted.rest}: of another name, or folder",
                    next="end it there by `leverframe serve --stop --name NAME`, or name another port, or 0",
                ) from error
        time.sleep(0.2)


def _ports(wanted: Ports) -> tuple[int, int, int]:
    """Return three ports, free ones for 0; raises ``ServerError`` for one that is taken."""
    with ExitStack() as held:  # all at once, so that no two are the same
        rest, grpc, metrics = (_port(wanted.host, port, held) for port in (wanted.rest, wanted.grpc, wanted.metrics))
    return rest, grpc, metrics


def _port(host: str, wanted: int, held: ExitStack) -> int:
    probe = held.enter_context(socket.socket())
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((host, wanted))
    except OSError as error:
        raise ServerError(
            f"port {wanted} of {host} cannot be used",
            why=error.strerror or str(error),
            next="name another one, or 0 for a free one",
        ) from error
    return int(probe.getsockname()[1])


def _environment(passed: Collection[str]) -> dict[str, str]:
    """Return what a server finds in its environment: nothing that opens the forge or a remote, unless it is passed."""
    ours = for_server(os.environ, [name for name in passed if not name.startswith("MLSERVER_")])
    return ours | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def _last_lines(log: Path) -> str:
    """Return the last few lines that a server wrote."""
    with suppress(OSError):
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        return "\n".join(line[:300] for line in redacted("\n".join(lines[-20:])).splitlines())
    return ""
