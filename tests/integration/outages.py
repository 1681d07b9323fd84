"""Clients that send requests to a server while commands are killed, and which of their failures a kill explains."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from tests.warm_server import KILLS

# Neither the machine nor another channel lets a client wait before it connects anew.
PROMPT = [("grpc.use_local_subchannel_pool", 1), ("grpc.initial_reconnect_backoff_ms", 100)]


@dataclass(frozen=True)
class Sent:
    """A request by REST or gRPC: its start and end on the clock of this machine, and how it failed, if it did."""

    how: str
    began: float
    over: float
    failure: str = ""


@dataclass(frozen=True)
class Kill:
    """When a server was killed, and its process."""

    at: float
    pid: int


@dataclass(frozen=True)
class Ready:
    """A check in which a server said by REST or gRPC that it is ready: start, end and the process.

    Each protocol for itself: gRPC listens when the last release is loaded, REST answers by the newest before that.
    """

    how: str
    began: float
    over: float
    pid: int


def unexplained(failed: Sequence[Sent], kills: Sequence[Kill], ready: Sequence[Ready]) -> list[Sent]:
    """Return the failed requests no part of which lies between a kill and the readiness of the next server."""
    outages = {(kill, how): _ready_after(kill, how, ready) for kill in kills for how in ("REST", "gRPC")}
    return [
        request
        for request in failed
        if not any(request.over >= kill.at and request.began <= outages[kill, request.how] for kill in kills)
    ]


def _ready_after(kill: Kill, how: str, ready: Sequence[Ready]) -> float:
    later = (
        check.over for check in ready if (check.how, check.pid != kill.pid) == (how, True) and check.began > kill.at
    )
    return min(later, default=float("inf"))


class Clients:
    """A client by REST and one by gRPC, each with a request every ``pause`` seconds to the server of a folder.

    They look up where it listens when they start and after each failure, as clients of a name in a network do.
    """

    def __init__(self, folder: Path, model: str, example: dict[str, Any], pause: float) -> None:
        self.sent: list[Sent] = []
        self._ready: list[Ready] = []
        self._folder, self._model, self._example, self._pause = folder, model, example, pause
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send requests until the block ends, then wait for those under way."""
        targets = (self._rest, self._grpc, self._check_rest, self._check_grpc)
        threads = [threading.Thread(target=target, daemon=True) for target in targets]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(60)

    @property
    def failed(self) -> list[Sent]:
        """The requests that got no prediction."""
        return [request for request in list(self.sent) if request.failure]

    @property
    def kills(self) -> list[Kill]:
        """How often the server was killed."""
        notes = self._folder / KILLS
        lines = notes.read_text(encoding="utf-8").splitlines() if notes.exists() else []
        return [Kill(float(at), int(pid)) for at, pid in map(str.split, lines)]

    @property
    def unexplained(self) -> list[Sent]:
        """The failed requests that no kill explains."""
        return unexplained(self.failed, self.kills, list(self._ready))

    def _at(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            server: dict[str, Any] = json.loads((self._folder / "server.json").read_bytes())
            return server
        return {"pid": 0, "port": 1, "grpc_port": 1}  # nothing listens there

    def _keep(self, how: str, request: Callable[[], None]) -> bool:
        """Send a request and keep how it went; return whether it failed."""
        began, failure = time.monotonic(), ""
        try:
            request()
        except (OSError, http.client.HTTPException, ValueError, InferenceServerException) as error:
            failure = f"{type(error).__name__}: {error}"[:300]
        self.sent.append(Sent(how, began, time.monotonic(), failure))
        return bool(failure)

    def _rest(self) -> None:
        body, path = json.dumps(self._example).encode(), f"/v2/models/{self._model}/infer"

        def ask() -> None:
            connection.request("POST", path, body, {"content-type": "application/json"})
            response = connection.getresponse()
            content = response.read()
            if response.status != 200:
                raise ValueError(f"{response.status} {content.decode()}")

        connection = self._connection()
        while not self._stop.wait(self._pause):
            if self._keep("REST", ask):
                connection.close()
                connection = self._connection()
        connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._at()["port"], timeout=30)

    def _grpc(self) -> None:
        inputs = []
        for column in self._example["inputs"]:
            tensor = triton.InferInput(column["name"], column["shape"], column["datatype"])
            kind = object if column["datatype"] == "BYTES" else np.float64
            inputs.append(tensor.set_data_from_numpy(np.array(column["data"], kind)))
        while not self._stop.is_set():
            with triton.InferenceServerClient(f"127.0.0.1:{self._at()['grpc_port']}", channel_args=PROMPT) as client:
                failed = False
                while not failed and not self._stop.wait(self._pause):
                    failed = self._keep("gRPC", lambda: client.infer(self._model, inputs, client_timeout=30))

    def _check_grpc(self) -> None:
        """Ask the server over and over by gRPC whether it is ready."""
        while not self._stop.wait(0.1):
            at, ready = self._at(), True
            with triton.InferenceServerClient(f"127.0.0.1:{at['grpc_port']}", channel_args=PROMPT) as client:
                while ready and not self._stop.is_set():
                    began, ready = time.monotonic(), False
                    with suppress(InferenceServerException):
                        ready = client.is_model_ready(self._model, client_timeout=30)
                    if ready:
                        self._ready.append(Ready("gRPC", began, time.monotonic(), at["pid"]))
                        self._stop.wait(0.2)

    def _check_rest(self) -> None:
        """Ask the server over and over by REST."""
        while not self._stop.wait(0.1):
            at, began = self._at(), time.monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", at["port"], timeout=30)
            with suppress(OSError, http.client.HTTPException):
                connection.request("GET", f"/v2/models/{self._model}/ready")
                if connection.getresponse().status == 200:
                    self._ready.append(Ready("REST", began, time.monotonic(), at["pid"]))
            connection.close()
