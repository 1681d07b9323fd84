"""Health checks of a server over both protocols, as a process of its own: ``python -m ... PID PORT GRPC_PORT``.

It checks until its input ends, and prints for how long the server worked until each answer, how long each took, and
what went wrong. Beside it a fuzzer may hold its own process for as long as it likes.
"""

from __future__ import annotations

import http.client
import json
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc

LIVE = "/inference.GRPCInferenceService/ServerLive"


class Health:
    """What checks found meanwhile: seconds of the server's processors, and by the clock, until each answer."""

    def __init__(self, running: Mapping[str, Any]) -> None:
        self._running = running
        self.worked: list[float] = []  # whatever else the machine does
        self.took: list[float] = []

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Check meanwhile."""
        ports = [str(self._running[name]) for name in ("pid", "port", "grpc_port")]
        command = [sys.executable, "-m", "tests.integration.serve_health", *ports]
        folder = Path(__file__).parents[2]
        with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as checks:
            assert checks.stdout is not None
            assert json.loads(checks.stdout.readline()) == []  # it has begun
            try:
                yield
            finally:
                stdout, _ = checks.communicate()
        result = json.loads(stdout)
        self.worked, self.took = result["worked"], result["took"]
        assert result["faults"] == []
        assert self.worked

    def figures(self) -> dict[str, float]:
        """Return the middle, the 99th percentile and the most of both, in seconds."""
        return {
            f"{name} {share}": round(percentile(values, share), 4)
            for name, values in (("worked", self.worked), ("took", self.took))
            for share in (0.5, 0.99, 1.0)
        }


def percentile(values: list[float], share: float) -> float:
    """Return the value below which that share of the values is."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def spent(pid: int) -> float:
    """Return the seconds that threads worked that may hold Python; those of gRPC's core, which move bytes, do not."""
    process, nanoseconds = Path(f"/proc/{pid}"), 0
    name = (process / "comm").read_text()
    for task in (process / "task").iterdir():
        with suppress(OSError):  # one that has just ended
            if (task / "comm").read_text() == name:
                nanoseconds += int((task / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


def rest(port: int) -> Callable[[], bool]:
    """Return how REST is asked, over a new connection each time."""

    def ask() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("GET", "/v2/health/live")
            return connection.getresponse().status == 200
        finally:
            connection.close()

    return ask


def check(pid: int, port: int, grpc_port: int) -> dict[str, list[Any]]:
    """Check until the input ends."""
    result: dict[str, list[Any]] = {"worked": [], "took": [], "faults": []}
    with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
        live = channel.unary_unary(LIVE)
        kinds = (rest(port), lambda: live(b"", timeout=20) == b"\x08\1")
        assert all(ask() for ask in kinds)
        print("[]", flush=True)
        while not select.select([sys.stdin], [], [], 0.02)[0]:
            for ask in kinds:
                before, began = spent(pid), time.monotonic()
                try:
                    assert ask()
                except Exception as error:
                    result["faults"].append(repr(error))
                result["worked"].append(spent(pid) - before)
                result["took"].append(time.monotonic() - began)
    return result


if __name__ == "__main__":
    print(json.dumps(check(*map(int, sys.argv[1:]))))
