"""The one route that most requests take, without the layers around it: a V2 request over REST becomes a response.

MLServer takes a body through a web framework, two middlewares and a model of the protocol that looks at
every value; our own check looks at every value anyway. Here the body is parsed once and handed to the
release that MLServer has loaded. Every other route, and gRPC, is MLServer's own.
"""

from __future__ import annotations

import logging
import re
import secrets
from typing import Any, Protocol

import orjson
from mlserver.errors import MLServerError

from leverframe.errors import RequestError
from leverframe.serving.binary import packed
from leverframe.serving.guard import JSON_BYTES, OWNER, App, Receive, Scope, Send
from leverframe.serving.loading import AFTER
from leverframe.serving.off_loop import off_loop
from leverframe.serving.room import SMALL
from leverframe.serving.v2_request import V2Request, read

_PATH = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
_log = logging.getLogger("mlserver")


class Registry(Protocol):
    """The models that are loaded."""

    async def get_model(self, name: str, version: str | None = None) -> Any:
        """Return a model; raises ``MLServerError`` 404."""


class Infer:
    """ASGI middleware that serves ``infer`` with a release of ours, and lets all else through."""

    def __init__(self, app: App, registry: Registry) -> None:
        self._app, self._registry = app, registry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond, or hand on another route."""
        asked = _PATH.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if asked is None:
            await self._app(scope, receive, send)
            return
        name, version = asked.groups()
        try:
            model = await self._registry.get_model(name, version)
            if not model.ready:
                raise MLServerError(f"model {name} is being loaded", 503)
            length = next((value for key, value in scope["headers"] if key == JSON_BYTES), None)
            arguments = (await _body(receive), length and length.decode("latin-1"), scope.get(OWNER, False))
            if len(arguments[0]) <= SMALL:
                request, fit = read(*arguments), None
            else:
                request, fit = await off_loop(_read_and_checked, model, *arguments)
            reply = await model.reply(request, fit)
            if request.parameters:
                await _send_packed(send, *packed(reply, request.parameters))
            else:
                await _send(send, 200, reply)
        except RequestError as error:
            await _send(send, 400, {"error": f"{error.what}: {error.why}"})
        except MLServerError as error:
            after = ((b"retry-after", AFTER.encode()),) if error.status_code == 503 else ()
            await _send(send, error.status_code, {"error": str(error)}, *after)
        except Exception:
            number = secrets.token_hex(6)
            _log.exception(f"request {number} to {name} failed")
            await _send(send, 500, {"error": f"the model failed; the server's log says more of request {number}"})


def _read_and_checked(model: Any, *arguments: Any) -> tuple[V2Request, Any]:
    """Return a request and what its model says of it, by one way to the thread and back: each costs as much as both."""
    request = read(*arguments)
    return request, model.check(request)


async def _body(receive: Receive) -> bytes:
    message = await receive()
    if not message.get("more_body", False):
        whole: bytes = message.get("body", b"")
        return whole
    parts = [message.get("body", b"")]
    while message.get("more_body", False):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)


async def _send(send: Send, status: int, content: Any, *more: tuple[bytes, bytes]) -> None:
    await _send_body(send, status, orjson.dumps(content), (b"content-type", b"application/json"), *more)


async def _send_packed(send: Send, body: bytes, json_bytes: int | None) -> None:
    """Send a response of which only the first bytes are JSON, or all where ``json_bytes`` is None."""
    kind = b"application/json" if json_bytes is None else b"application/octet-stream"
    length = () if json_bytes is None else ((JSON_BYTES, str(json_bytes).encode()),)
    await _send_body(send, 200, body, (b"content-type", kind), *length)


async def _send_body(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    every = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": every})
    await send({"type": "http.response.body", "body": body})
