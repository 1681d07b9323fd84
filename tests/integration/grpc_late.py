"""Prints what gRPC says before its server listens, after, and when it ends, and who else may have its port.

In a process of its own, as the messages of MLServer and those of Triton's client have the same names.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import ExitStack
from functools import partial
from typing import Any

import grpc
import mlserver.grpc.server as mlserver_grpc
from mlserver.errors import ModelNotFound
from mlserver.grpc import dataplane_pb2 as messages
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub
from mlserver.settings import Settings

from leverframe.serving.arrivals import Arrivals
from leverframe.serving.draining import Calls
from leverframe.serving.remote import LateServer, Servicer, nothing, register
from leverframe.serving.room import Room


class _Empty:
    """A data plane of MLServer that has no model."""

    async def model_ready(self, name: str, version: str) -> bool:
        raise ModelNotFound(name, version)


CALLS, REQUEST = Calls(), messages.ModelInferRequest(model_name="other")


def late(host: str = "127.0.0.1") -> tuple[LateServer, int]:
    """Return a server that does not listen yet, and its port."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        port = probe.getsockname()[1]
    settings = Settings(host=host, grpc_port=port, metrics_endpoint=None)
    return LateServer(CALLS, settings, _Empty(), None), port


async def status(port: int, listens: bool = False, host: str = "127.0.0.1") -> str:
    """Return the status of a request for a model that there is not, of a server that ``listens`` in a moment."""
    async with grpc.aio.insecure_channel(f"{host}:{port}") as channel:
        try:
            await GRPCInferenceServiceStub(channel).ModelInfer(REQUEST, wait_for_ready=listens)
        except grpc.RpcError as refused:
            return str(refused.code().name)
        return "OK"


def taken(port: int) -> bool:
    """Tell whether somebody else cannot listen at a port."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


async def told() -> list[Any]:
    """Ask a server before and after it listens, and end one that never did."""
    server, port = late()
    running = asyncio.create_task(server.start())
    results: list[Any] = [await status(port), taken(port)]
    server.listen()
    results.append(await status(port, listens=True))
    await server.stop()
    await running
    never, port = late()
    running = asyncio.create_task(never.start())
    await never.stop()
    await running
    never.listen()
    return [*results, await status(port), taken(port), await at_the_end(), await of_version_six()]


async def of_version_six() -> str:
    """Return the status of a request to an address that has colons of its own."""
    if not socket.has_ipv6:
        return "NOT_FOUND"
    server, port = late("::1")
    running = asyncio.create_task(server.start())
    server.listen()
    code = await status(port, listens=True, host="[::1]")
    await server.stop()
    await running
    return code


async def at_the_end() -> list[str]:
    """Return the statuses of calls that come when the server is told to end, before it has looked at any of them."""
    server, port = late()
    running = asyncio.create_task(server.start())
    server.listen()
    with ExitStack() as stack:
        channels = [
            stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)]))
            for _ in range(3)
        ]  # each is a connection
        for channel in channels:
            await asyncio.to_thread(grpc.channel_ready_future(channel).result)
        calls = [GRPCInferenceServiceStub(channel).ModelInfer.future(REQUEST) for channel in channels]
        time.sleep(0.5)  # nobody looks at what has come
        await server.stop()
        await running
        return [str((await asyncio.to_thread(call.code)).name) for call in calls]


if __name__ == "__main__":
    mlserver_grpc.InferenceServicer = Servicer
    mlserver_grpc.add_GRPCInferenceServiceServicer_to_server = partial(
        register, arrivals=Arrivals(Room(4_000_000)), calls=CALLS
    )
    mlserver_grpc.add_ModelRepositoryServiceServicer_to_server = nothing
    print(json.dumps(asyncio.run(told())))
