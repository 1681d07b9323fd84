"""What a request says is taken by its word or refused: timestamps, parameters, repeated keys, packed values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from tests.integration.shop import copied, finished
from tests.integration.test_serve_server import MODEL, Server

FIELDS = {"BYTES": "bytes_contents", "FP64": "fp64_contents", "INT64": "int64_contents", "BOOL": "bool_contents"}


class Strict(Server):
    """A server that is asked over both protocols."""

    def with_input(self, name: str, **changes: Any) -> dict[str, Any]:
        """Return the request that works, with one of its inputs changed."""
        inputs = [
            {**tensor, **changes} if tensor["name"] == name else tensor for tensor in self.told["example"]["inputs"]
        ]
        return {"inputs": inputs}

    def rest(self, content: Any, **headers: str) -> tuple[int, str]:
        """Return status and error of a request over REST."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        status, reply = self.ask(body, **headers)
        return status, reply.get("error", "")

    def message(self, content: dict[str, Any], **more: Any) -> messages.ModelInferRequest:
        """Return a request as a message."""
        made = messages.ModelInferRequest(model_name=MODEL, **more)
        for tensor in content["inputs"]:
            part = made.inputs.add(name=tensor["name"], shape=tensor["shape"], datatype=tensor["datatype"])
            values = [value.encode() if isinstance(value, str) else value for value in tensor["data"]]
            getattr(part.contents, FIELDS[tensor["datatype"]]).extend(values)
        return made

    def remote(self, message: Any, method: str = "ModelInfer") -> tuple[grpc.StatusCode, Any]:
        """Return the status of a call over gRPC, and the response or what the error says."""
        with grpc.insecure_channel(f"127.0.0.1:{self.running['grpc_port']}") as channel:
            try:
                return grpc.StatusCode.OK, getattr(GRPCInferenceServiceStub(channel), method)(message, timeout=20)
            except grpc.RpcError as error:
                return error.code(), error.details()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strict]:
    """Return a server that the tests of this file share; nothing of them is an error of the server."""
    shop = copied(finished(tmp_path_factory), tmp_path_factory.mktemp("strict"))
    found = Strict(shop)
    yield found
    assert "Traceback" not in (found.folder / "server.log").read_text()
    assert shop.run("serve", "--stop").code == 0


def test_a_timestamp_is_one_of_the_standard_and_has_features(server: Strict) -> None:
    """Over both protocols; edges of the calendar and of zones, other forms of ISO 8601, the future and the past."""
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    for text, why in {
        "0001-01-01T00:00:00+14:00": "years 2 to 9998",
        "9999-12-31T23:59:59.999999-12:00": "years 2 to 9998",
        "9998-12-31T23:59:59-23:59": "after now",
        "0002-01-01T00:00:00+23:59": "keep what timestamps from",
        "1999-01-01T00:00Z": "keep what timestamps from",
        soon: "after now",
        "2024-06-03X22:38Z": "RFC 3339",
        "2024-06-03\n22:38Z": "RFC 3339",
        "2024-06-03T22:38Z\n": "RFC 3339",
        "20240603T2238Z": "RFC 3339",
        "2024-W23-1T22:38Z": "RFC 3339",
        "2024-06-03T22:38": "RFC 3339",
        "2024-06-03T22:38:14,5Z": "RFC 3339",
        "2024-06-03T22:38+0200": "RFC 3339",
        "2024-06-03T22:38+02:00:30": "RFC 3339",
        "２０２４-06-03T22:38Z": "RFC 3339",
        "2024-06-03T24:00Z": "hour must be in",
        "2024-06-31T22:38Z": "day is out of range",
        "": "RFC 3339",
    }.items():
        content = server.with_input("as_of", data=[text])
        status, error = server.rest(content)
        assert (status, "`as_of` in row 0" in error, why in error) == (400, True, True), (text, error)
        if text:  # over gRPC no bytes are a missing text, which means now
            code, error = server.remote(server.message(content))
            assert (code, why in error) == (grpc.StatusCode.INVALID_ARGUMENT, True), (text, error)
    for text in ("2024-06-03t22:38:14.123456789z", "2024-06-03 22:38-05:00", datetime.now(UTC).isoformat()):
        assert server.rest(server.with_input("as_of", data=[text])) == (200, "")
