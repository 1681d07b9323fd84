"""What a request says is taken by its word or refused: timestamps, parameters, repeated keys, packed values."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.http as web
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from tests.integration.serve_fuzz import fuzz_grpc, fuzz_rest
from tests.integration.shop import copied, finished, wait_for
from tests.integration.test_serve_server import MODEL, Server

FIELDS = {"BYTES": "bytes_contents", "FP64": "fp64_contents", "INT64": "int64_contents", "BOOL": "bool_contents"}


DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
EXAMPLES = 18_000 if DEEP else 150  # deep: some ten minutes for both protocols


class Strict(Server):
    """A server that is asked over both protocols."""

    def with_input(self, name: str, **changes: Any) -> dict[str, Any]:
        """Return the request that works, with one of its inputs changed."""
        inputs = [
            {**tensor, **changes} if tensor["name"] == name else tensor for tensor in self.served["example"]["inputs"]
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
    server = Strict(shop)
    yield server
    assert "Traceback" not in (server.folder / "server.log").read_text()
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
        "\uff12\uff10\uff12\uff14-06-03T22:38Z": "RFC 3339",
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


def test_a_key_stands_once_and_a_field_is_one_of_the_protocol(server: Strict) -> None:
    """A parser takes the one or the other of two, and what is written wrong would be left out silently."""
    good = server.served["example"]
    text = json.dumps(good).encode()
    for body, why in (
        (b'{"inputs": [], ' + text[1:], "`inputs` stands twice"),
        (b'{"id": "a:b", "id": "", ' + text[1:], "`id` stands twice"),
        (text.replace(b'"name": "quantity"', b'"name": "x", "name": "quantity"'), "`name` stands twice"),
        (text.replace(b'"name": "quantity"', b'"na\\u006de": "x\\u003a", "name": "quantity"'), "`name` stands twice"),
        (b'{"parameters": {"a": 1, "a": ":"}, ' + text[1:], "`a` stands twice"),
        (json.dumps({**good, "output": []}).encode(), "`output` is no field"),
        (json.dumps(server.with_input("quantity", value=1)).encode(), "`inputs.1.value` is no field"),
        (json.dumps({**good, "outputs": [{"name": "label", "kind": 1}]}).encode(), "`outputs.0.kind` is no field"),
    ):
        status, error = server.rest(body)
        assert (status, why in error) == (400, True), (body, error)
    for fine in ({"id": "a:b"}, {"id": "\u003a"}, {"parameters": {"a:b": "c:d"}}, {"model_name": MODEL}):
        assert server.rest({**good, **fine}) == (200, "")
    assert server.rest(json.dumps({**good, "id": "a:b"}).replace("a:b", "a\\u003ab").encode()) == (200, "")


WRONG = {
    "sequence_start": 3, "sequence_end": "x", "priority": "high", "timeout": True, "binary_data": 1,
    "binary_data_output": "x", "shared_memory_region": "a", "shared_memory_offset": 1, "classification": 3,
    "binary_data_size": 8,
}  # fmt: skip


def test_a_parameter_of_the_protocol_is_of_its_kind_and_one_that_is_there(server: Strict) -> None:
    """Of a request, an input and an output, over both protocols; others are the client's own."""
    good = server.served["example"]

    def asked(own: dict[str, Any]) -> Iterator[tuple[dict[str, Any], messages.ModelInferRequest]]:
        message = server.message(good)
        _add(message.parameters, own)
        yield {**good, "parameters": own}, message
        message = server.message(good)
        _add(message.inputs[1].parameters, own)
        yield server.with_input("quantity", parameters=own), message
        message = server.message(good)
        _add(message.outputs.add(name="label").parameters, own)
        yield {**good, "outputs": [{"name": "label", "parameters": own}]}, message

    for name, value in WRONG.items():
        for content, message in asked({name: value}):
            status, error = server.rest(content)
            assert (status, f"`{name}`" in error) == (400, True), (content, error)
            code, error = server.remote(message)
            assert (code, f"`{name}`" in error) == (grpc.StatusCode.INVALID_ARGUMENT, True), (name, error)
    for content, message in asked({"priority": 1, "sequence_id": "a", "mine": True}):
        assert server.rest(content) == (200, "")
        assert server.remote(message)[0] == grpc.StatusCode.OK
    empty = server.message(good)
    empty.parameters["mine"].SetInParent()
    assert server.remote(empty)[0] == grpc.StatusCode.INVALID_ARGUMENT


def _add(parameters: Any, values: dict[str, Any]) -> None:
    kinds = {bool: "bool_param", int: "int64_param", str: "string_param"}
    for name, value in values.items():
        setattr(parameters[name], kinds[type(value)], value)


def test_values_over_grpc_are_in_one_place(server: Strict) -> None:
    """In contents or packed, never some here and some there; a packed truth is 0 or 1."""
    mixed = server.message(server.served["example"])
    mixed.inputs[1].ClearField("contents")
    mixed.raw_input_contents.append(b"\0" * 8)
    code, error = server.remote(mixed)
    assert (code, "in one of them alone" in error) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    truth = messages.ModelInferRequest(model_name=MODEL, raw_input_contents=[b"\2"])
    truth.inputs.add(name="quantity", shape=[1], datatype="BOOL")
    assert "neither 0 nor 1" in server.remote(truth)[1]


def test_a_client_of_triton_works_by_default_over_http(server: Strict) -> None:
    """It sends and wants values as bytes behind the JSON; what does not fit together is refused."""
    example = server.served["example"]
    expected = {tensor["name"]: tensor["data"] for tensor in server.ask(json.dumps(example).encode())[1]["outputs"]}
    client = web.InferenceServerClient(f"127.0.0.1:{server.running['port']}")
    inputs = []
    for tensor in example["inputs"]:
        values = np.array(tensor["data"], object if tensor["datatype"] == "BYTES" else np.float64)
        inputs.append(web.InferInput(tensor["name"], tensor["shape"], tensor["datatype"]))
        inputs[-1].set_data_from_numpy(values, binary_data=tensor["name"] != "amount")
    for outputs in (
        None,
        [web.InferRequestedOutput("label", binary_data=False), web.InferRequestedOutput("probability")],
    ):
        reply = client.infer(MODEL, inputs, outputs=outputs)
        assert {name: reply.as_numpy(name).ravel().tolist() for name in expected} == expected
    client.close()
    assert "binary_tensor_data" in server.get("/v2")[1]["extensions"]

    size = {"binary_data_size": 8}
    number = {"name": "quantity", "shape": [1], "datatype": "FP64"}
    for part, tail, why in (
        ({**number, "parameters": size}, b"\0" * 7, "7 bytes are left"),
        ({**number, "parameters": size}, b"\0" * 9, "behind the last input"),
        ({**number, "parameters": size, "shape": [2]}, b"\0" * 8, "2 values of FP64 have 16"),
        ({**number, "parameters": size, "data": [1]}, b"\0" * 8, "values stand in one place"),
        ({**number, "parameters": {"binary_data_size": True}}, b"\0", "bytes are left"),
        ({**number, "parameters": size, "datatype": "BYTES"}, b"\7\0\0\0abcd", "end within a text"),
        ({**number, "parameters": size, "datatype": "INT64", "shape": [-1]}, b"\0" * 8, "8 bytes"),
        (number, b"", "`quantity` has no list of values"),
    ):
        head = json.dumps({"inputs": [part, *server.with_input("quantity")["inputs"]][:1]}).encode()
        status, error = server.rest(head + tail, **{"inference-header-content-length": str(len(head))})
        assert (status, why in error or "entity keys" in error) == (400, True), (part, error)
    for length in ("-1", "x", "99999", "\xb2", "9" * 30):
        assert server.rest(example, **{"inference-header-content-length": length})[0] == 400


def test_a_missing_number_has_a_form_in_each_protocol(server: Strict) -> None:
    """Null in JSON, NaN in bytes and over gRPC, or a row that `nulls` names: one prediction. JSON has no NaN."""
    inputs = server.get(f"/v2/models/{MODEL}")[1]["inputs"]
    name = next(
        field["name"] for field in inputs
        if field["datatype"] == "FP64" and field["parameters"]["nullable"] and field["parameters"]["form"] == "columns"
    )  # fmt: skip
    good, number = server.served["example"], {"name": name, "shape": [1], "datatype": "FP64"}

    def asked(part: dict[str, Any], tail: bytes = b"") -> tuple[int, dict[str, Any]]:
        head = json.dumps({"inputs": [*good["inputs"], {**number, **part}]}).encode()
        return server.ask(head + tail, **({"inference-header-content-length": str(len(head))} if tail else {}))

    replies = [
        asked({"data": [None]}),
        asked({"data": [7.5], "parameters": {"nulls": "0"}}),
        asked({"parameters": {"binary_data_size": 8}}, np.array([np.nan]).tobytes()),
    ]
    assert [status for status, _ in replies] == [200] * 3
    expected = replies[0][1]["outputs"]
    assert [reply["outputs"] for _, reply in replies] == [expected] * 3
    code, reply = server.remote(server.message({"inputs": [*good["inputs"], {**number, "data": [np.nan]}]}))
    assert code == grpc.StatusCode.OK, reply
    outputs = {output.name: list(output.contents.fp64_contents) for output in reply.outputs}
    assert [outputs["probability"]] == [output["data"] for output in expected if output["name"] == "probability"]
    assert asked({"data": [float("nan")]})[0] == 400


def test_metadata_and_readiness_are_those_of_the_protocol(server: Strict) -> None:
    """Versions are releases of the model, over both protocols; an unknown one is not ready."""
    metadata = server.get(f"/v2/models/{MODEL}")[1]
    assert metadata["versions"] == ["1"]
    assert any(library.startswith("scikit-learn/") for library in metadata["parameters"]["libraries"])
    code, reply = server.remote(messages.ModelMetadataRequest(name=MODEL), "ModelMetadata")
    assert (code, list(reply.versions)) == (grpc.StatusCode.OK, ["1"])
    for name, version in ((MODEL, "9"), (MODEL, "\u00e9"), ("nobody", ""), (f"{MODEL}-candidate", "")):
        code, ready = server.remote(messages.ModelReadyRequest(name=name, version=version), "ModelReady")
        assert (code, getattr(ready, "ready", None)) == (grpc.StatusCode.OK, False)


def test_an_id_may_be_any_text_and_every_client_is_logged(server: Strict) -> None:
    """Letters and control characters in an id; and an id of our own checks hides nothing without the key."""
    good = server.served["example"]
    ids = ["\u00e9", "a\nb\0", "leverframe-check", "leverframe-check-x"]
    for name in ids:
        assert server.ask(json.dumps({**good, "id": name}).encode())[1]["id"] == name
        code, reply = server.remote(server.message(good, id=name))
        assert (code, getattr(reply, "id", "")) == (grpc.StatusCode.OK, name)
    key = (server.folder / "key").read_text().strip()
    body = json.dumps({**good, "id": "leverframe-check-y"}).encode()
    assert server.ask(body, authorization=f"Bearer {key}")[0] == 200
    assert server.ask(body, authorization="Bearer x")[0] == 200
    wait_for(lambda: [sum(record.get("id") == name for record in server.log()) for name in ids] == [2] * len(ids))
    wait_for(lambda: sum(record.get("id") == "leverframe-check-y" for record in server.log()) == 1)


def test_heads_that_are_of_another_server_or_kind_are_refused(server: Strict) -> None:
    """Names that lead here, other content types and versions of HTTP, two lengths; the metrics are alone."""
    good = server.served["example"]
    for headers, expected in (
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:80"}, 421),
        ({"host": "localhost@evil"}, 421),
        ({"host": "LOCALHOST:1"}, 200),
        ({"host": "[::1]:80"}, 200),
        ({"host": "leverframe"}, 200),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "application/json; charset=latin-1"}, 415),
        ({"content-type": "application/json; charset=UTF-8"}, 200),
        ({"content-type": ""}, 200),
    ):
        assert server.rest(good, **headers)[0] == expected, headers
    form = server.rest(good, **{"content-type": "application/x-www-form-urlencoded"})[1]  # what `curl --data` sends
    assert "send `content-type: application/json`" in form
    port = server.running["metrics_port"]
    for path, host, expected in (
        ("/metrics", "localhost", 200), ("/metrics", "evil.example", 421), ("/docs", "localhost", 404),
        ("/openapi.json", "localhost", 404), ("/redoc", "localhost", 404), ("/", "localhost", 404),
    ):  # fmt: skip
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", path, headers={"host": host})
        assert connection.getresponse().status == expected, path
        connection.close()
    both = "content-length: 5\r\ntransfer-encoding: chunked"
    for head, answer in (("HTTP/9.9\r\nhost: localhost", b"505"), (f"HTTP/1.1\r\nhost: localhost\r\n{both}", b"400")):
        with socket.create_connection(("127.0.0.1", server.running["port"]), timeout=20) as wire:
            wire.sendall(f"POST /v2/models/{MODEL}/infer {head}\r\n\r\n0\r\n\r\n".encode())
            assert wire.recv(100)[9:12] == answer


def test_a_release_that_is_being_loaded_is_503(server: Strict, tmp_path: Path) -> None:
    """From the first answer of a server on: not ready, ask again, over both protocols, until it predicts."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(3)]
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        ports = [sock.getsockname()[1] for sock in sockets]
    names = ("port", "grpc_port", "metrics_port")
    config = json.loads((server.folder / "config.json").read_text()) | dict(zip(names, ports, strict=True))
    (tmp_path / "config.json").write_text(json.dumps({**config, "log": None}))
    command = [sys.executable, "-m", "leverframe.serving.server", str(tmp_path / "config.json")]
    body, seen = json.dumps(server.served["example"]).encode(), []
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_for(lambda: seen.append(_first(ports[0], body)) or seen[-1][0] == (200, 200, 200))  # type: ignore[func-returns-value]
        finally:
            process.terminate()
    answered = [(statuses, after) for statuses, after in seen if statuses[0]]
    assert answered[0] == ((503, 503, 503), "1")
    assert {status for statuses, _ in answered for status in statuses} == {200, 503}


def _first(port: int, body: bytes) -> tuple[tuple[int, int, int], str | None]:
    """Return the status of a prediction, of the model and of the server, 0 for no answer; and when to ask again."""
    statuses, after = [], None
    for method, path in (
        ("POST", f"/v2/models/{MODEL}/infer"),
        ("GET", f"/v2/models/{MODEL}/ready"),
        ("GET", "/v2/health/ready"),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request(method, path, body if method == "POST" else None)
            reply = connection.getresponse()
            statuses.append(reply.status)
            after = after or reply.headers["retry-after"]
        except OSError:
            return (0, 0, 0), None
        finally:
            connection.close()
    return (statuses[0], statuses[1], statuses[2]), after


def test_nothing_over_rest_is_an_error_of_the_server(server: Strict) -> None:
    """Whatever is changed in a request: an answer, or a refusal with words, and soon."""
    fuzz_rest(server.running["port"], MODEL, server.served["example"], EXAMPLES)


def test_nothing_over_grpc_is_an_error_of_the_server(server: Strict) -> None:
    """Whatever a message holds: an answer, or a status that says that it is the client's fault."""
    fuzz_grpc(server.running["grpc_port"], MODEL, server.served["example"], EXAMPLES)


def test_grpc_refuses_connections_until_the_models_are_loaded() -> None:
    """So a proxy asks another server. The port is taken all the while, and a server that ends never listens.

    What has come when it ends is answered, and then connections are cut: CANCELLED, which gRPC itself says, is a
    response that a proxy hands to its client.
    """
    command = [sys.executable, "-m", "tests.integration.grpc_late"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    outcomes = json.loads(done.stdout)
    assert outcomes == ["UNAVAILABLE", True, "NOT_FOUND", "UNAVAILABLE", False, ["NOT_FOUND"] * 3, "NOT_FOUND"]
