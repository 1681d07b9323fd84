"""A real Redis server on a free port of this machine, for tests."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

PASSWORD = "open-sesame"  # noqa: S105 - of a server that lives for one test
needed = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="redis-server is not installed: tests/debian-packages.sh redis-server"
)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Start a server that keeps nothing on disk, yield its URL and its process, and end it."""
    port = free_port()
    options = f"--port {port} --bind 127.0.0.1 --save --appendonly no --requirepass {PASSWORD}".split()
    options.insert(options.index("--save") + 1, "")
    server = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    address = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
    client = redis.Redis.from_url(address)
    try:
        for _ in range(200):
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.05)
        yield address, server
    finally:
        client.close()
        server.kill()
        server.wait(timeout=10)
