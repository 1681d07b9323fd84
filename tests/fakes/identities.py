"""What a runner of GitHub Actions has to give a job its identity: on the loopback, answering as told."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

BEARER = "bearer-of-the-runner-5f1d"


def jwt(number: int, lives: float) -> str:
    """Return a token that says how long it lives; its number tells it from others."""
    payload = json.dumps({"exp": time.time() + lives, "jti": number}).encode()
    return ".".join(
        base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b'{"alg":"RS256"}', payload, b"signature")
    )


@dataclass
class Issuer:
    """The state; ``answers`` are status and body of the next requests, a token that ``lives`` after that."""

    address: str = ""
    lives: float = 300.0
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a job with the permission."""
        return {"ACTIONS_ID_TOKEN_REQUEST_URL": self.address, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": BEARER}


@contextmanager
def issuing() -> Iterator[Issuer]:
    """Run an issuer until the block ends."""
    state = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query).get("audience", [""])[0]
            state.asked.append((asked, self.headers.get("Authorization", "")))
            status, body = state.answers.pop(0) if state.answers else (200, b"")
            if not body and status == 200:
                state.tokens.append(jwt(len(state.tokens), state.lives))
                body = json.dumps({"value": state.tokens[-1]}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.address = f"http://127.0.0.1:{server.server_address[1]}/idtoken?api-version=2.0"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
