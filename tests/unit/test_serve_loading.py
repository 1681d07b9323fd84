"""While a server loads: which requests wait, and what gRPC says to them."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from mlserver.errors import ModelNotFound
from mlserver.grpc import dataplane_pb2 as messages
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub

from leverframe.serving import process
from leverframe.serving.loading import Loading
from leverframe.serving.remote import Servicer, register


def test_a_model_serves_from_the_first_release_on_that_is_loaded() -> None:
    """A request for a version waits for that one; what cannot be loaded is waited for no longer."""
    loading = Loading()
    assert not loading
    loading.begin([("shop", "3"), ("shop", "2"), ("shop", "1")])
    assert loading.waits("shop", None)
    assert loading.waits("shop", "")
    assert not loading.waits("shop", "9")
    assert not loading.waits("other", None)
    loading.end("shop", "3", loaded=False)
    assert (loading.waits("shop", None), loading.waits("shop", "3")) == (True, False)
    loading.end("shop", "2", loaded=True)
    assert (loading.waits("shop", None), loading.waits("shop", "1"), bool(loading)) == (False, True, True)
    loading.end("shop", "1", loaded=False)
    assert (loading.waits("shop", "1"), bool(loading)) == (False, False)


class _Empty:
    """A data plane of MLServer that has no model."""

    async def model_ready(self, name: str, version: str) -> bool:
        raise ModelNotFound(name, version)


def test_grpc_says_unavailable_and_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client tries that again by itself; what is not to be loaded is not found."""
    monkeypatch.setattr(process, "_loading", Loading())
    process.loading().begin([("shop", "1")])

    async def statuses() -> list[Any]:
        server = grpc.aio.server()
        register(Servicer(_Empty(), None), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        found: list[Any] = []
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = GRPCInferenceServiceStub(channel)
            for name in ("shop", "other"):
                with pytest.raises(grpc.RpcError) as refused:
                    await stub.ModelInfer(messages.ModelInferRequest(model_name=name))
                found += [refused.value.code(), (await stub.ModelReady(messages.ModelReadyRequest(name=name))).ready]
        await server.stop(0)
        return found

    unavailable, unknown = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND
    assert asyncio.run(statuses()) == [unavailable, False, unknown, False]
