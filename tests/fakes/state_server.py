"""A server for the http backend of Terraform that is as strict about locks as the real ones."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class StateServer:
    """States and locks by path: a second LOCK gets 423 and who holds it, an UNLOCK with another id gets 409.

    A state is written only by who holds the lock. An UNLOCK without a body frees any lock, as GitLab's does:
    `force-unlock` of Terraform 1.11 sends none, whatever id it was given.
    """

    def __init__(self) -> None:
        self.states: dict[str, bytes] = {}
        self.broken = 0  # requests to write a state that fail, from now on
        self.locks: dict[str, dict[str, Any]] = {}
        self._guard = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> StateServer:
        """Begin to listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/state"

    def answer(self, method: str, path: str, lock_id: str, body: bytes) -> tuple[int, bytes]:
        """Return status and body of a request."""
        with self._guard:
            if method == "GET":
                return (200, self.states[path]) if path in self.states else (404, b"")
            held = self.locks.get(path)
            sent = json.loads(body)["ID"] if method == "UNLOCK" and body else lock_id
            if method == "UNLOCK" and (not held or (body and sent != held["ID"])):
                return 409, json.dumps(held or {}).encode()
            if held and method != "UNLOCK" and (method == "LOCK" or sent != held["ID"]):
                return 423, json.dumps(held).encode()
            if method == "POST" and self.broken:
                self.broken -= 1
                return 500, b"out of order"
            self._write(method, path, body)
            return 200, b""

    def _write(self, method: str, path: str, body: bytes) -> None:
        if method == "LOCK":
            self.locks[path] = json.loads(body)
        elif method == "UNLOCK":
            del self.locks[path]
        else:
            self.states[path] = body

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                path, _, query = self.path.partition("?")
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, answer = server.answer(self.command, path, query.removeprefix("ID="), body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_LOCK = do_UNLOCK = _serve  # noqa: N815 - as http.server names them

            def log_message(self, *_: object) -> None:
                return None

        return Handler
