"""Clients that send requests to a model server, and the responses that they got."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import quantiles


@dataclass(frozen=True)
class TimedRequest:
    """One request: its start and duration in seconds, its status, and the release that responded.

    Status 0 is a connection that failed; ``version`` then says how.
    """

    began: float
    seconds: float
    status: int
    version: str


@dataclass(frozen=True)
class Times:
    """Response times in milliseconds."""

    requests: int
    p50: float
    p99: float
    longest: float

    @classmethod
    def of(cls, responses: Sequence[TimedRequest]) -> Times:
        """Return the response times of at least two requests."""
        took = [response.seconds * 1000 for response in responses]
        cuts = quantiles(took, n=100, method="inclusive")
        return cls(len(took), round(cuts[49], 2), round(cuts[98], 2), round(max(took), 2))


class Traffic:
    """``clients`` connections that send ``body`` to ``path`` over and over, ``pause`` seconds after each response.

    What a slow response delays is not asked twice. ``headers`` go with every request; ``connect`` makes a
    connection that is not plain HTTP to this machine.
    """

    def __init__(
        self, port: int, path: str, body: bytes, *, clients: int, pause: float = 0.03,
        connect: Callable[[], http.client.HTTPConnection] | None = None, **headers: str,
    ) -> None:  # fmt: skip
        self.responses: list[TimedRequest] = []
        self._connect = connect or (lambda: http.client.HTTPConnection("127.0.0.1", port, timeout=30))
        self._path, self._body, self._pause = path, body, pause
        self._headers = {"content-type": "application/json", **headers}
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send requests until the block ends; then wait for those still running."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for worker in self._threads:
                worker.join(30)

    @property
    def failed(self) -> list[TimedRequest]:
        """Every response other than 200."""
        return [response for response in self.responses if response.status != 200]

    def _ask(self) -> None:
        connection = self._connect()
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                connection.request("POST", self._path, self._body, self._headers)
                response = connection.getresponse()
                content = json.loads(response.read())
                status, version = response.status, str(content.get("model_version", content))
            except (OSError, http.client.HTTPException, ValueError) as error:
                status, version = 0, repr(error)
                connection.close()
            self.responses.append(TimedRequest(began, time.monotonic() - began, status, version))
            time.sleep(self._pause)
        connection.close()
