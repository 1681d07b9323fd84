"""What stands before MLServer's routes: limits on size and encoding, and a key on what loads and unloads models.

MLServer reads and unpacks a body of any size before it looks at it, and lets anyone who reaches
the port unload a model. This is plain ASGI, so that a request costs a few microseconds more.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CLOSED = "the model repository is closed: deploying is what changes it"


class Guard:
    """ASGI middleware: bodies up to ``limit`` bytes, unpacked; the repository only with the ``key``."""

    def __init__(self, app: App, limit: int, key: str) -> None:
        self._app, self._limit, self._key = app, limit, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it with 413, 415 or 403."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if scope["path"].startswith("/v2/repository") and not self._may(headers.get(b"authorization", "")):
            await _refuse(send, 403, CLOSED)
            return
        if headers.get(b"content-encoding", "identity").strip().lower() not in ("", "identity"):
            await _refuse(send, 415, "a body is sent as it is, without content-encoding")
            return
        declared = headers.get(b"content-length", "0")
        if not declared.isdigit() or int(declared) > self._limit:
            await _refuse(send, 413, f"a body has at most {self._limit:,} bytes; send the rows in parts")
            return
        # JSON without its header is JSON all the same; MLServer would say that it has no fields.
        others = [each for each in scope["headers"] if each[0] != b"content-type"]
        scope = {**scope, "headers": [*others, (b"content-type", b"application/json")]}
        if b"transfer-encoding" in headers:
            body = await self._whole(receive)
            if body is None:
                await _refuse(send, 413, f"a body has at most {self._limit:,} bytes; send the rows in parts")
                return
            receive = _replayed(body, receive)
        await self._app(scope, receive, send)

    def _may(self, authorization: str) -> bool:
        return bool(self._key) and hmac.compare_digest(authorization.encode(), f"Bearer {self._key}".encode())

    async def _whole(self, receive: Receive) -> bytes | None:
        """Return a body that comes in pieces, None as soon as it is larger than the limit."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return bytes(body)
            body += message.get("body", b"")
            if len(body) > self._limit:
                return None
            if not message.get("more_body", False):
                return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> MutableMapping[str, Any]:
        return waiting.pop() if waiting else await receive()

    return replay


async def _refuse(send: Send, status: int, why: str) -> None:
    body = json.dumps({"error": why}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()),
               (b"connection", b"close")]  # fmt: skip
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
