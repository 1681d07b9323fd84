"""Prints what gRPC says of a model that is being loaded, and of another: two statuses, each with whether it is ready.

In a process of its own, as the messages of MLServer and those of Triton's client have the same names.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import grpc
from mlserver.errors import ModelNotFound
from mlserver.grpc import dataplane_pb2 as messages
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub

from leverframe.serving import process
from leverframe.serving.arrivals import Arrivals
from leverframe.serving.draining import Calls
from leverframe.serving.remote import Servicer, register
from leverframe.serving.room import Room


class _Empty:
    """A data plane of MLServer that has no model."""

    async def model_ready(self, name: str, version: str) -> bool:
        raise ModelNotFound(name, version)


async def statuses() -> list[Any]:
    """Ask a server that is loading the model `shop`."""
    process.loading().begin([("shop", "1")])
    server = grpc.aio.server()
    register(Servicer(_Empty(), None), server, Arrivals(Room(4_000_000)), Calls())
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    replies: list[Any] = []
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = GRPCInferenceServiceStub(channel)
        for name in ("shop", "other"):
            try:
                await stub.ModelInfer(messages.ModelInferRequest(model_name=name))
            except grpc.RpcError as refused:
                replies.append(refused.code().name)
            replies.append((await stub.ModelReady(messages.ModelReadyRequest(name=name))).ready)
    await server.stop(0)
    return replies


if __name__ == "__main__":
    print(json.dumps(asyncio.run(statuses())))
