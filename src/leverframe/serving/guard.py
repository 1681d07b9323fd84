"""What stands before MLServer's routes: which of them are open, how large and how slow a request may be.

MLServer reads and unpacks a body of any size before it looks at it, lets anyone who reaches the
port unload a model, keeps a metric for every name that anybody asks for, and has routes that
respond with 200 without content. This is plain ASGI, so that a request costs a few microseconds more.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from leverframe.domain.model.bundle.bundle_manifest import CANDIDATE
from leverframe.serving.arriving import BODY_SECONDS, ENDING, Arriving
from leverframe.serving.counted import UNCOUNTED, Limits, Watch
from leverframe.serving.loading import AFTER, Loading
from leverframe.serving.room import Room, Share

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
LimitsOf = Callable[[str, str | None], Limits | None]
Route = re.Match[str] | None

CLOSED = "the model repository is closed: deploying is what changes it"
OWNER = "leverframe.owner"  # in a scope: whether who asks has the key
HEADERS = 100
JSON_BYTES = b"inference-header-content-length"  # how many bytes of a body are JSON, where values stand behind it
_TYPE = b"content-type"
_HOST = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_ROUTE = re.compile(
    r"/v2(?:|/health/(?:live|ready)|/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?(?:/(?:infer|ready))?"
    r"|/repository/(?:index|models/[^/]+/(?:load|unload)))"
)


class Guard:
    """ASGI middleware: bodies for which there is ``room``, unpacked; the repository only with the ``key``.

    ``limits`` are what a request to a model, or a version of it, may hold, None where there is none: MLServer would
    count its name. ``loading`` are those that are not loaded yet.
    """

    def __init__(
        self, app: App, room: Room, key: str, limits: LimitsOf = lambda model, version: Limits(),  # noqa: ARG005
        loading: Loading | None = None, arriving: Arriving | None = None,
    ) -> None:  # fmt: skip
        self._app, self._room, self._key, self._limits = app, room, key, limits
        self._loading = Loading() if loading is None else loading
        self._arriving = Arriving() if arriving is None else arriving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it with the status that tells why."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        route = _ROUTE.fullmatch(scope["path"])
        refused = self._refused(scope, route)
        if refused is not None:
            await _refuse(send, *refused)
            return
        with Share(self._room) as share:
            try:
                with self._arriving.deadline() as deadline:
                    async with deadline:
                        body, refused = await self._whole(scope, route, receive, share)
            except TimeoutError:
                late = (408, f"the body did not arrive within {BODY_SECONDS:.0f} s")
                body, refused = None, (503, ENDING) if self._arriving.ending else late
            if refused is not None:
                await _refuse(send, *refused)
            elif body is not None:  # None where who asked has gone
                authorization = dict(scope["headers"]).get(b"authorization")
                owner = authorization is not None and self._may(authorization.decode("latin-1"))
                await self._app({**_as_json(scope), OWNER: owner}, _replayed(body, receive), send)

    def _refused(self, scope: Scope, route: Route) -> tuple[int, str] | None:
        """Return status and reason of a request whose head alone is wrong."""
        return self._closed(scope, route) or self._too_large(scope["headers"]) or _ambiguous(scope)

    def _closed(self, scope: Scope, route: Route) -> tuple[int, str] | None:
        path = scope["path"]
        if scope.get("method", "GET") not in ("GET", "POST"):
            return 405, "the protocol has GET and POST only"
        if path.startswith("/v2/repository") and not self._may(_last(scope["headers"], b"authorization")):
            return 403, CLOSED
        if route is None:
            return 404, "there is no such path: ask /v2/models/<model>/infer"
        if path == "/v2/health/ready" and self._loading:
            return 503, "releases are being loaded"
        return None if route["model"] is None else self._hidden(scope, route["model"], route["version"])

    def _hidden(self, scope: Scope, model: str, version: str | None) -> tuple[int, str] | None:
        """Return why there is no model for who asks: a candidate is there for deployments alone."""
        secret = model.endswith(CANDIDATE) and not self._may(_last(scope["headers"], b"authorization"))
        if not secret and self._loading.waits(model, version):
            return 503, f"model {model} is being loaded"
        if secret or self._limits(model, version) is None:
            return 404, f"there is no model `{scope['path'].removeprefix('/v2/models/')[:60]}`"
        return None

    def _too_large(self, headers: list[tuple[bytes, bytes]]) -> tuple[int, str] | None:
        if len(headers) > HEADERS:
            return 431, f"a request has at most {HEADERS} headers"
        for name, value in headers:  # each of them: MLServer unpacks what any of several says
            if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
                return 415, "a body is sent as it is, without content-encoding"
        declared = _last(headers, b"content-length") or "0"
        if not (declared.isascii() and declared.isdigit()) or int(declared[:20]) > self._room.limit:
            return self._too_long()
        return None

    def _may(self, authorization: str) -> bool:
        return bool(self._key) and hmac.compare_digest(authorization.encode(), f"Bearer {self._key}".encode())

    async def _whole(
        self, scope: Scope, route: Route, receive: Receive, share: Share
    ) -> tuple[bytes | None, tuple[int, str] | None]:
        """Return a body, or why it is refused: as soon as it is too large or holds too much, before it is parsed."""
        pieces, size, watch = list[bytes](), 0, None
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None, None
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > self._room.limit:
                return None, self._too_long()
            if not share.grow(size):
                return None, (429, "too many large bodies at once; try again, or send fewer rows")
            refused = None
            if size > UNCOUNTED:
                news = pieces[-1]
                if watch is None:
                    watch = Watch(self._limits_of(scope, route), _json_bytes(scope["headers"]))
                    news = b"".join(pieces)
                refused = watch.refusal(news)
            if refused is not None or not message.get("more_body", False):
                return b"".join(pieces), refused

    def _limits_of(self, scope: Scope, route: Route) -> Limits:
        asked = route is not None and route["model"] is not None and scope.get("method") == "POST"
        limits = self._limits(route["model"], route["version"]) if route and asked else None
        return limits or Limits()

    def _too_long(self) -> tuple[int, str]:
        return 413, f"a body has at most {self._room.limit:,} bytes; send the rows in parts"


class Hosts:
    """ASGI middleware of a server for this machine alone: a name that leads here is none of a page in a browser.

    A name that its owner lets point to 127.0.0.1 would let that page ask us as if we were its own server.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through that is for this machine."""
        if scope["type"] == "http" and not _here(dict(scope["headers"]).get(b"host", b"").decode("latin-1")):
            await _refuse(send, 421, "this server is asked by an address, as `localhost` or, by a proxy, `leverframe`")
        else:
            await self._app(scope, receive, send)


def is_local(host: str) -> bool:
    """Tell whether a server that listens there is for this machine alone."""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


@lru_cache(maxsize=128)
def _here(host: str) -> bool:
    """Tell whether a host is an address, or a name that nobody can let point to this machine; none is from HTTP/1.0."""
    match = _HOST.fullmatch(host)
    if match is None:
        return not host
    name = match[1].strip("[]").lower()
    with suppress(ValueError):
        return bool(ip_address(name))
    return name in ("localhost", "leverframe") or name.endswith(".localhost")


def _ambiguous(scope: Scope) -> tuple[int, str] | None:
    """Return why a head can be read in two ways."""
    if scope.get("http_version", "1.1") not in ("1.0", "1.1"):
        return 505, "the server speaks HTTP/1.1"
    headers = dict(scope["headers"])
    if b"transfer-encoding" in headers and b"content-length" in headers:
        return 400, "a body is sent in chunks or has a length, not both"
    if scope.get("method") == "POST" and not _is_json(headers.get(_TYPE, b"")):
        return 415, "a body is JSON in UTF-8: send `content-type: application/json`"
    return None


def _json_bytes(headers: list[tuple[bytes, bytes]]) -> int | None:
    """Return how many bytes of a body are JSON, None for all; what is no number is refused where the body is read."""
    header = next((value for name, value in headers if name == JSON_BYTES), b"")
    return int(header) if header.isdigit() and len(header) < 20 else None


@lru_cache(maxsize=128)
def _is_json(content_type: bytes) -> bool:
    """Tell whether a content type is that of the protocol, or of values behind JSON."""
    kind, *parameters = content_type.lower().replace(b" ", b"").split(b";")
    charsets = [part[8:].strip(b'"') for part in parameters if part.startswith(b"charset=")]
    known = kind in (b"", b"application/json", b"application/octet-stream") or kind.endswith(b"+json")
    return known and all(charset in (b"utf-8", b"utf8") for charset in charsets)


def _last(headers: list[tuple[bytes, bytes]], wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in reversed(headers) if name == wanted), "")


def _as_json(scope: Scope) -> Scope:
    """Return a request as JSON; without that header MLServer would say that it has no fields."""
    others = [header for header in scope["headers"] if header[0] != _TYPE]
    return {**scope, "headers": [*others, (_TYPE, b"application/json")]}


def _replayed(body: bytes, receive: Receive) -> Receive:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> MutableMapping[str, Any]:
        return waiting.pop() if waiting else await receive()

    return replay


async def _refuse(send: Send, status: int, why: str) -> None:
    body = json.dumps({"error": why}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()),
               (b"connection", b"close")]  # fmt: skip
    if status == 503:
        headers.append((b"retry-after", AFTER.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
