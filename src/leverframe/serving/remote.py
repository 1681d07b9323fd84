"""gRPC: what cannot be read is the client's fault, the repository is shut, nothing is streamed.

And nobody listens before the releases are loaded.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from mlserver.errors import MLServerError, ModelNotFound, ModelNotReady
from mlserver.grpc.converters import (
    ModelInferRequestConverter,
    ModelInferResponseConverter,
    ModelMetadataResponseConverter,
)
from mlserver.grpc.dataplane_pb2 import ModelReadyResponse
from mlserver.grpc.dataplane_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from mlserver.grpc.server import GRPCServer
from mlserver.grpc.servicers import InferenceServicer
from mlserver.grpc.utils import STATUS_CODE_MAPPING, to_metadata
from mlserver.utils import extract_headers

from leverframe.domain.model.bundle.bundle_manifest import CANDIDATE
from leverframe.serving.arrivals import Arrivals, RefusedMessageError
from leverframe.serving.content_types import plain_parameters
from leverframe.serving.draining import Calls, drained
from leverframe.serving.envelope import misplaced_in, too_much_of
from leverframe.serving.guard import CLOSED
from leverframe.serving.off_loop import off_loop
from leverframe.serving.room import SMALL
from leverframe.serving.wire import FIELDS, too_many_fields

Method = Callable[[Any, Any, Any], Awaitable[Any]]

_UNREADABLE = "the request cannot be read: its bytes are no message of this method"
_EMPTY = ("ServerLive", "ServerReady", "ServerMetadata")  # methods whose request has no field
_HEALTH = ("ServerLive", "ServerReady")  # those that wait behind no call of another method
_CODES = {**STATUS_CODE_MAPPING, 503: grpc.StatusCode.UNAVAILABLE}
_VALUE = re.compile("[ -~]*")  # of the metadata of a response
_log = logging.getLogger("mlserver")


def _with_status(method: Method) -> Method:
    """Return a method whose errors have the status that tells whose fault it is; only the server's own are logged."""

    async def respond(self: Any, request: Any, context: Any) -> Any:
        try:
            return await method(self, request, context)
        except ModelNotReady:
            code, why = grpc.StatusCode.UNAVAILABLE, "the model is being loaded; ask again"
        except MLServerError as error:
            code = _CODES.get(error.status_code, grpc.StatusCode.UNKNOWN)
            why = str(error)
            if error.status_code >= 500 and code is not grpc.StatusCode.UNAVAILABLE:
                _log.exception("a request in gRPC failed")
        except Exception:
            _log.exception("a request in gRPC failed")
            code, why = grpc.StatusCode.INTERNAL, "internal error"
        return await context.abort(code, why)

    return respond


class Servicer(InferenceServicer):  # type: ignore[misc]
    """MLServer's servicer, whose errors are the client's where the client's bytes cause them."""

    @_with_status
    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """Respond to a request; its model is looked for and its size looked at before anything is unpacked."""
        _refuse_candidate(request.model_name)
        await self._data_plane.model_ready(request.model_name, request.model_version)  # before its name is counted
        large = request.ByteSize() > SMALL
        payload = await off_loop(_payload, request) if large else _payload(request)
        result = await self._data_plane.infer(payload=payload, name=request.model_name, version=request.model_version)
        headers = to_metadata(extract_headers(result) or {})
        context.set_trailing_metadata(
            tuple(pair for pair in headers if _VALUE.fullmatch(pair[1]))
        )  # ids may be anything
        return ModelInferResponseConverter.from_types(result, use_raw=self._GetReturnRaw(request))

    @_with_status
    async def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """Return whether a model is ready; one that nobody knows is not."""
        try:
            _refuse_candidate(request.name)
            return await InferenceServicer.ModelReady(self, request, context)
        except ModelNotFound:
            return ModelReadyResponse(ready=False)

    @_with_status
    async def ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - the protocol's name
        """Tell what a model takes and gives."""
        _refuse_candidate(request.name)
        metadata = await self._data_plane.model_metadata(name=request.name, version=request.version)
        fields = plain_parameters(metadata.model_dump())
        for side in ("inputs", "outputs"):
            fields[side] = [plain_parameters(tensor) for tensor in fields[side] or ()]
        return ModelMetadataResponseConverter.from_types(type(metadata)(**fields))

    async def ModelStreamInfer(self, requests_stream: Any, context: Any) -> Any:  # noqa: N802, ARG002 - as above
        """Refuse: a request is one message."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "one request, one response: use ModelInfer")
        yield None

    async def RepositoryModelLoad(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - as above
        """Refuse: a deployment loads."""
        await _closed(context)

    async def RepositoryModelUnload(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - as above
        """Refuse: a deployment unloads."""
        await _closed(context)

    async def RepositoryIndex(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - as above
        """Refuse: a deployment knows."""
        await _closed(context)


class LateServer(GRPCServer):  # type: ignore[misc]
    """MLServer's server, at a port that is taken at once and on which it listens after ``listen``.

    It refuses connections until then, for which a proxy asks another server: a status of gRPC comes with HTTP 200, and
    a proxy hands that to the client. Raises ``OSError`` for a port of somebody else.
    """

    _server: Any = None

    def __init__(self, calls: Calls, settings: Any, *more: Any) -> None:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host  # as an address of gRPC has it
        super().__init__(settings.model_copy(update={"host": host}), *more)
        self._calls = calls
        self._decided, self._reserved = asyncio.Event(), _reserved(settings.host, settings.grpc_port)

    def listen(self) -> None:
        """Let clients come, unless the server ends already."""
        if not self._decided.is_set():
            self._create_server()
            self._decided.set()

    async def start(self) -> None:
        """Wait for ``listen``, then serve until ``stop``."""
        await self._decided.wait()
        if self._server is not None:
            await self._server.start()
            await self._server.wait_for_termination()

    async def stop(self, sig: int | None = None) -> None:
        """Finish what is under way, where anything is."""
        self._decided.set()
        if self._server is not None:
            await drained(self._settings.grpc_port, self._calls)
            await super().stop(sig)
        self._reserved.close()


def _reserved(host: str, port: int) -> socket.socket:
    """Return a socket that holds a port for the listener of gRPC, which shares it, and that takes no connection."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    holder = socket.socket(family, kind, protocol)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        holder.bind(address)
    except OSError:
        holder.close()
        raise
    return holder


def _refuse_candidate(model: str) -> None:
    """Raise ``MLServerError`` 404: what is tried is there for deployments alone, which ask over REST with the key."""
    if model.endswith(CANDIDATE):
        raise ModelNotFound(model)


async def _closed(context: Any) -> None:
    await context.abort(grpc.StatusCode.PERMISSION_DENIED, CLOSED)


def _payload(request: Any) -> Any:
    """Return a message as MLServer's request; raises ``MLServerError`` 400 for one that holds too much or is wrong."""
    why = too_much_of(request) or misplaced_in(request)
    if why:
        raise MLServerError(why, 400)
    try:
        return ModelInferRequestConverter.to_types(request)  # without the metadata of the call: nobody reads them
    except Exception as error:  # whatever unpacking bytes that do not fit raises
        raise MLServerError("the request cannot be read: its parts do not fit together", 400) from error


def register(servicer: Any, server: Any, arrivals: Arrivals, calls: Calls) -> None:
    """Register the inference service: its messages are read as ``arrivals`` lets them, its ``calls`` are counted.

    The core of gRPC lets calls wait in one queue for all methods, but for those that are registered by their names.
    """
    recorder = _Handlers()
    add_GRPCInferenceServiceServicer_to_server(servicer, recorder)
    handlers = {
        name: handler if handler.request_streaming else _reading(handler, arrivals, calls, empty=name in _EMPTY)
        for name, handler in recorder.handlers.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(recorder.service, handlers),))
    server.add_registered_method_handlers(recorder.service, {name: handlers[name] for name in _HEALTH})


def nothing(servicer: Any, server: Any) -> None:
    """Register no service: MLServer's second way to the repository stays shut."""


class _Handlers:
    """A server that only remembers what is registered."""

    service = ""
    handlers: dict[str, Any]

    def add_generic_rpc_handlers(self, handlers: Any) -> None: ...

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        self.service, self.handlers = service, handlers


def _reading(handler: Any, arrivals: Arrivals, calls: Calls, *, empty: bool) -> Any:
    """Return a method that reads its message itself; bytes that are none are refused as an argument.

    Of an ``empty`` message nothing is read: a health check waits for nobody's message.
    """
    parse, respond = handler.request_deserializer, handler.unary_unary

    async def behaviour(messages: Any, context: Any) -> Any:  # noqa: ARG001 - read from the context
        calls.begin(context)
        try:
            data = b"" if empty else await arrivals.read(context.read)
            with arrivals.held(data):
                request = _parsed(parse, data) if len(data) <= SMALL else await off_loop(_parsed, parse, data)
                return await respond(request, context)
        except RefusedMessageError as error:
            await context.abort(error.code, error.why)

    return grpc.stream_unary_rpc_method_handler(behaviour, None, handler.response_serializer)


def _parsed(parse: Callable[[bytes], Any], data: bytes) -> Any:
    """Return a message; raises ``RefusedMessageError`` for bytes that are none, and for too many fields."""
    if len(data) > SMALL and too_many_fields(data):
        why = f"a message and its tensors have at most {FIELDS:,} fields"
        raise RefusedMessageError(grpc.StatusCode.INVALID_ARGUMENT, why)
    try:
        return parse(data)
    except Exception as error:  # protobuf has several, none of which is its own
        raise RefusedMessageError(grpc.StatusCode.INVALID_ARGUMENT, _UNREADABLE) from error
