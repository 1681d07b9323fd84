"""What stands before MLServer's routes: which of them are open, how large and how slow a request may be.

MLServer reads and unpacks a body of any size before it looks at it, lets anyone who reaches the
port unload a model, keeps a metric for every name that anybody asks for, and has routes that
respond with 200 without content. This is plain ASGI, so that a request costs a few microseconds more.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from leverframe.domain.release.server_plan import CANDIDATE

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Knows = Callable[[str, str | None], bool]

CLOSED = "the model repository is closed: deploying is what changes it"
HEADERS = 100
BODY_SECONDS = 30.0  # from the head of a request to the end of its body
_SMALL = 65_536  # bytes of a body that always finds room
_ROOM = 64  # bodies of the largest size that are in memory at once
_ROUTE = re.compile(
    r"/v2(?:|/health/(?:live|ready)|/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?(?:/(?:infer|ready))?"
    r"|/repository/(?:index|models/[^/]+/(?:load|unload)))"
)


class Guard:
    """ASGI middleware: bodies up to ``limit`` bytes, unpacked; the repository only with the ``key``.

    ``knows`` tells whether there is a model, and a version of it, before MLServer counts its name.
    """

    def __init__(self, app: App, limit: int, key: str, knows: Knows = lambda model, version: True) -> None:  # noqa: ARG005
        self._app, self._limit, self._key, self._knows = app, limit, key, knows
        self._held = 0  # bytes of large bodies that are in memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it with the status that tells why."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = self._refused(scope)
        if refused is not None:
            await _refuse(send, *refused)
            return
        held = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body, held = await self._whole(receive)
        except TimeoutError:
            await _refuse(send, 408, f"the body did not arrive within {BODY_SECONDS:.0f} s")
            return
        try:
            if body is None:  # who asked has gone
                return
            if len(body) > self._limit:
                await _refuse(send, 413, f"a body has at most {self._limit:,} bytes; send the rows in parts")
            elif self._held > _ROOM * self._limit:
                await _refuse(send, 429, "too many large bodies at once; try again, or send fewer rows")
            else:
                await self._app(_as_json(scope), _replayed(body, receive), send)
        finally:
            self._held -= held

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        """Return status and reason of a request whose head alone is wrong."""
        return self._closed(scope) or self._too_large(scope["headers"])

    def _closed(self, scope: Scope) -> tuple[int, str] | None:
        path = scope["path"]
        if scope.get("method", "GET") not in ("GET", "POST"):
            return 405, "the protocol has GET and POST only"
        if path.startswith("/v2/repository") and not self._may(_last(scope["headers"], b"authorization")):
            return 403, CLOSED
        route = _ROUTE.fullmatch(path)
        if route is None:
            return 404, "there is no such path: ask /v2/models/<model>/infer"
        if route["model"] is not None and not self._open(scope, route["model"], route["version"]):
            return 404, f"there is no model `{path.removeprefix('/v2/models/')[:60]}`"
        return None

    def _open(self, scope: Scope, model: str, version: str | None) -> bool:
        """Tell whether there is a model for who asks: a candidate is there for deployments alone."""
        if model.endswith(CANDIDATE) and not self._may(_last(scope["headers"], b"authorization")):
            return False
        return self._knows(model, version)

    def _too_large(self, headers: list[tuple[bytes, bytes]]) -> tuple[int, str] | None:
        if len(headers) > HEADERS:
            return 431, f"a request has at most {HEADERS} headers"
        for name, value in headers:  # each of them: MLServer unpacks what any of several says
            if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
                return 415, "a body is sent as it is, without content-encoding"
        declared = _last(headers, b"content-length") or "0"
        if not (declared.isascii() and declared.isdigit()) or int(declared[:20]) > self._limit:
            return 413, f"a body has at most {self._limit:,} bytes; send the rows in parts"
        return None

    def _may(self, authorization: str) -> bool:
        return bool(self._key) and hmac.compare_digest(authorization.encode(), f"Bearer {self._key}".encode())

    async def _whole(self, receive: Receive) -> tuple[bytes | None, int]:
        """Return a body and how much of the room it takes; it is cut off as soon as it is larger than either."""
        body, held = bytearray(), 0
        try:
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return None, held
                body += message.get("body", b"")
                if len(body) > _SMALL:
                    self._held += len(body) - held
                    held = len(body)
                over = len(body) > self._limit or (held and self._held > _ROOM * self._limit)
                if over or not message.get("more_body", False):
                    return bytes(body), held
        except BaseException:  # a body that was too slow, or a server that ends
            self._held -= held
            raise


def _last(headers: list[tuple[bytes, bytes]], wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in reversed(headers) if name == wanted), "")


def _as_json(scope: Scope) -> Scope:
    """Return a request as JSON; without that header MLServer would say that it has no fields."""
    others = [each for each in scope["headers"] if each[0] != b"content-type"]
    return {**scope, "headers": [*others, (b"content-type", b"application/json")]}


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
