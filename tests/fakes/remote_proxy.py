"""What stands before a remote in real life: it counts requests, answers that it is busy, is slow, or hangs up."""

from __future__ import annotations

import http.client
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

SLOW_DOWN = (
    b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)
DROPPED = "dropped"

Fault = int | float | str | None
"""Of one request: a status to answer, seconds to wait before it goes on, ``DROPPED``, or nothing of all this."""


@dataclass
class Proxy:
    """A proxy before one server; ``fault`` decides by the number of the request and its path."""

    target: str  # host:port
    fault: Callable[[int, str], Fault] = lambda _number, _path: None
    requests: list[tuple[str, str]] = field(default_factory=list)
    address: str = ""
    lock: Any = field(default_factory=threading.Lock)

    def asked(self, method: str, path: str) -> Fault:
        """Count a request, and return what happens to it."""
        with self.lock:
            self.requests.append((method, path))
            number = len(self.requests)
        return self.fault(number, path)

    def objects(self) -> list[str]:
        """Return the paths of requests for objects of DVC, in the order in which they came."""
        return [path for _, path in self.requests if "/files/md5/" in path]


@contextmanager
def proxy(target: str) -> Iterator[Proxy]:
    """Yield a proxy that listens on a free port of this machine."""
    made = Proxy(target)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("_Bound", (_Handler,), {"proxy": made}))
    server.daemon_threads = True
    made.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def do_any(self) -> None:
        """Pass a request on, unless a fault comes first."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.proxy.asked(self.command, self.path)
        if fault == DROPPED:
            self.close_connection = True
            return
        if isinstance(fault, float):
            time.sleep(fault)
        if isinstance(fault, int) and not isinstance(fault, bool):
            self._answer(fault, {"Content-Type": "application/xml"}, SLOW_DOWN if fault == 503 else b"")
            return
        connection = http.client.HTTPConnection(self.proxy.target, timeout=60)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        content = answer.read()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
        self._answer(answer.status, kept, content)
        connection.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_any  # noqa: N815 - how the server finds them

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(content) if self.command != "HEAD" else 0))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


_HOP = ("connection", "transfer-encoding", "keep-alive", "date", "server")
