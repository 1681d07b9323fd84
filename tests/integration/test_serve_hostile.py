"""Attacks on the server itself, without a proxy: what is wrong is the client's fault, and the others are answered."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import grpc
import numpy as np
import polars as pl
import psutil
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2 as messages
from tritonclient.utils import InferenceServerException

from tests.integration.shop import copied, finished, wait_for
from tests.integration.test_serve_server import MODEL, Server, tensors
from tests.profiles import by_day

INFER = f"/v2/models/{MODEL}/infer"
HALF = b"POST " + INFER.encode() + b" HTTP/1.1\r\nhost: localhost\r\nx-a: "
SERVICE = "/inference.GRPCInferenceService"
MEGABYTES = 1_000_000
REMOTE = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]


class Besieged(Server):
    """A server that is attacked, with somebody beside who asks what is right."""

    def raw(self, data: bytes, seconds: float = 5.0) -> bytes:
        """Send bytes over a connection of their own and return what comes back."""
        received = b""
        with socket.create_connection(("127.0.0.1", self.running["port"]), timeout=seconds) as connection:
            with suppress(OSError):
                connection.sendall(data)
            with suppress(OSError):
                while piece := connection.recv(65_536):
                    received += piece
        return received

    @contextmanager
    def others_are_answered(self, within: float = 2.0) -> Iterator[None]:
        """Hold that meanwhile every right request gets its answer, and that no memory is lost for long.

        While one waits the server may work for ``within`` seconds, of processors: a machine may be busy.
        """
        good, stop, took = json.dumps(self.served["example"]).encode(), threading.Event(), [0.0]
        faults: list[Any] = []

        def ask() -> None:
            while not stop.is_set():
                began = self.worked()
                try:
                    status, content = self.ask(good)
                except (OSError, http.client.HTTPException) as error:
                    status, content = 0, {"error": repr(error)}
                took.append(self.worked() - began)
                if status != 200:
                    faults.append(content)
                time.sleep(0.01)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        assert faults == []
        assert max(took) < within, f"one waited for {max(took):.2f} s of work"

    def megabytes(self) -> float:
        """Return how much memory the process has."""
        return float(psutil.Process(self.running["pid"]).memory_info().rss / MEGABYTES)

    def call(self, method: str, message: bytes, compression: Any = None, metadata: Any = ()) -> Any:
        """Call a method of gRPC with bytes as they are and return the status."""
        with grpc.insecure_channel(f"127.0.0.1:{self.running['grpc_port']}", options=REMOTE) as channel:
            try:
                channel.unary_unary(f"{SERVICE}/{method}")(
                    message, timeout=20, compression=compression, metadata=metadata
                )
            except grpc.RpcError as error:
                return error.code()
        return grpc.StatusCode.OK


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    """Return a server that the tests of this file share; it ends with fewer than 100 MB more than it had."""
    shop = copied(finished(tmp_path_factory), tmp_path_factory.mktemp("besieged"))
    server = Besieged(shop)
    yield server
    log = (server.folder / "server.log").read_text()
    assert "Internal Server Error" not in log
    assert log.count("Traceback") == 0
    assert shop.run("serve", "--stop").code == 0


def request(
    body: bytes, *headers: tuple[str, str], path: str = INFER, method: str = "POST", sized: bool = True
) -> bytes:
    """Return a request as bytes, whatever its headers say."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "host: localhost",
        "connection: close",
        *(f"{name}: {value}" for name, value in headers),
    ]
    lines += [f"content-length: {len(body)}"] if sized else []
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunks(count: int, size: int) -> bytes:
    """Return a body in chunks."""
    return (b"%x\r\n" % size + b" " * size + b"\r\n") * count + b"0\r\n\r\n"


def status(answer: bytes) -> int:
    """Return the status of an answer, 0 without one."""
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0


def test_what_is_wrong_on_the_wire_is_refused(server: Besieged) -> None:
    """Heads and bodies that lie, overflow or never end; each is answered with 4xx or hung up on."""
    bomb, good = gzip.compress(b"0" * 200 * MEGABYTES), json.dumps(server.served["example"]).encode()
    chunked, packed = ("transfer-encoding", "chunked"), ("content-encoding", "gzip")
    attacks = {
        "a bomb behind two encodings": (
            request(bomb, packed, ("content-encoding", "identity")),
            415,
        ),
        "a bomb in a list": (request(bomb, ("content-encoding", "gzip, identity")), 415),
        "ten thousand headers": (request(good, *((f"x-{number}", "y") for number in range(10_000))), 431),
        "a header of 5 MB": (request(good, ("x", "y" * 5 * MEGABYTES)), 400),
        "two lengths": (request(good, ("content-length", "6")), 400),
        "a length of digits that are none": (request(good, ("content-length", "\xb2"), sized=False), 400),
        "a negative length": (request(good, ("content-length", "-1"), sized=False), 400),
        "chunks beyond the limit": (request(chunks(9, MEGABYTES), chunked, sized=False), 413),
        "a body in tiny chunks": (request(chunks(100_000, 1), chunked, sized=False), 400),
        "a chunk of no size": (request(b"zz\r\n", chunked, sized=False), 400),
        "a coding nobody knows": (request(good, ("transfer-encoding", "gzip, chunked"), sized=False), 400),
        "garbage": (bytes(range(256)) * 100, 400),
        "HTTP/0.9": (b"GET /\r\n\r\n", 400),
        "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 405),
        "a method of its own": (request(b"", method="BREW"), 405),
    }
    before = server.megabytes()
    with server.others_are_answered():
        outcomes = {name: (status(server.raw(data)), expected) for name, (data, expected) in attacks.items()}
    assert {name: pair for name, pair in outcomes.items() if pair[0] not in (pair[1], 0)} == {}
    assert sum(got == 0 for got, _ in outcomes.values()) <= 3  # hung up before the answer was read
    assert server.megabytes() < before + 50


def test_old_and_pipelined_requests_are_answered(server: Besieged) -> None:
    """HTTP/1.0 gets its answer; behind right requests in one connection garbage changes nothing."""
    good = json.dumps(server.served["example"]).encode()
    assert status(server.raw(request(good).replace(b"HTTP/1.1", b"HTTP/1.0"))) == 200
    kept = request(good).replace(b"connection: close\r\n", b"")
    with server.others_are_answered():
        answer = server.raw(kept * 20 + b"\0\xff" * 5_000)
    assert answer.count(b"HTTP/1.1 200") == 20
    assert answer.count(b"HTTP/1.1 4") == 1


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("inputs that are empty", lambda: b'"inputs": [%s]' % b",".join([b"{}"] * 1_300_000)),
        ("inputs that are numbers", lambda: b'"inputs": [%s]' % b",".join([b"1"] * 1_900_000)),
        ("outputs that are empty", lambda: b'"outputs": [%s]' % b",".join([b"{}"] * 1_300_000)),
        ("a shape of texts", lambda: b'"inputs": [{"name": "quantity", "shape": [%s], "datatype": "FP64", "data": [1]}]'
         % b",".join([b'""'] * 1_300_000)),
        ("data of lists", lambda: b'"inputs": [{"name": "quantity", "shape": [1], "datatype": "FP64", "data": [%s]}]'
         % b",".join([b"[]"] * 1_000_000)),
        ("data of objects",
         lambda: b'"inputs": [{"name": "quantity", "shape": [1], "datatype": "FP64", "data": [[%s]]}]'
         % b",".join([b"{}"] * 1_000_000)),
        ("parameters of lists", lambda: b'"parameters": {"a": [%s]}' % b",".join([b"[]"] * 1_000_000)),
        ("an id of 3 MB", lambda: b'"id": "%s"' % (b"x" * 3 * MEGABYTES)),
        ("an output nobody has", lambda: b'"outputs": [{"name": "secret"}]'),
    ],
)  # fmt: skip
def test_a_body_that_is_small_and_holds_too_much(server: Besieged, name: str, made: Callable[[], bytes]) -> None:
    """Before each was looked at in the envelope, the first took 40 s and 6 GB, and nobody else was answered."""
    inputs = b'"inputs": ' + json.dumps(server.served["example"]["inputs"]).encode()
    part = made()
    body = b"{%s}" % (part if b'"inputs"' in part else part + b", " + inputs)
    assert len(body) < 4 * MEGABYTES, name
    before = server.megabytes()
    with server.others_are_answered():
        code, content = server.ask(body)
    assert code in (400, 413)
    assert content["error"]
    assert server.megabytes() < before + 250


def test_all_columns_and_a_key_are_refused(server: Besieged) -> None:
    """A request that has neither form, but more than one of them, was an error of the server."""
    table = pl.read_parquet(server.shop.root / "data/training/holdout.parquet").head(1)
    timestamp = {"name": "as_of", "shape": [1, 1], "datatype": "BYTES", "data": ["2024-05-01T00:00Z"]}
    code, content = server.ask(json.dumps({"inputs": [*tensors(server.shop, table), timestamp]}).encode())
    assert code == 400
    assert "`as_of` beside all feature columns" in content["error"]


def test_only_outputs_that_are_asked_for(server: Besieged) -> None:
    """As the protocol says: a request may name the outputs that it wants."""
    body = {**server.served["example"], "outputs": [{"name": "probability"}]}
    code, content = server.ask(json.dumps(body).encode())
    assert code == 200
    assert [output["name"] for output in content["outputs"]] == ["probability"]


def test_routes_that_answer_nothing_are_shut(server: Besieged) -> None:
    """Streams of MLServer answered 200 without content, its pages load scripts of others."""
    good = json.dumps(server.served["example"]).encode()
    for path in ("infer_stream", "generate", "generate_stream", "versions/1/infer_stream"):
        assert server.ask(good, f"/v2/models/{MODEL}/{path}")[0] == 404
    for path in ("/v2/docs", f"/v2/models/{MODEL}/docs", "/docs", "/openapi.json", "/", "//v2/repository/index"):
        assert status(server.raw(request(b"", path=path, method="GET"))) == 404
    for path in (
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        f"/v2/models/{MODEL}",
        f"/v2/models/{MODEL}/versions/1/ready",
    ):
        assert status(server.raw(request(b"", path=path, method="GET"))) == 200


def test_names_that_somebody_makes_up_are_not_counted(server: Besieged) -> None:
    """A metric for each model that anyone asks for would fill the memory; one that there is not has none."""
    connection = http.client.HTTPConnection("127.0.0.1", server.running["port"], timeout=10)

    def metrics() -> int:
        with socket.create_connection(("127.0.0.1", server.running["metrics_port"]), timeout=10) as scrape:
            scrape.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            return sum(len(chunk) for chunk in iter(lambda: scrape.recv(65_536), b""))

    def refuse(number: int) -> None:
        model, version = f"/v2/models/m{number}", f"/v2/models/{MODEL}/versions/{number + 9}"
        asked = (
            ("POST", f"{model}/infer"),
            ("GET", f"{model}/ready"),
            ("POST", f"{version}/infer"),
            (f"M{number}", INFER),
        )
        for method, path in asked:
            connection.request(method, path, b"{}")
            answer = connection.getresponse()
            answer.read()
            assert answer.status in (404, 405)
        infer = messages.ModelInferRequest(model_name=f"m{number}").SerializeToString()
        assert server.call("ModelInfer", infer) == grpc.StatusCode.NOT_FOUND
        assert server.call(f"Method{number}", b"") == grpc.StatusCode.UNIMPLEMENTED

    refuse(1_000)
    before = metrics()
    for number in range(50):
        refuse(number)
    assert metrics() < before + 500


def test_hostile_messages_in_grpc(server: Besieged) -> None:
    """Bombs, bytes that are no message, too many of anything, large metadata: all the client's fault."""

    def message(shape: list[int], raw: bytes, datatype: str = "FP64", **more: Any) -> bytes:
        made = messages.ModelInferRequest(model_name=MODEL, **more)
        made.inputs.add(name="quantity", shape=shape, datatype=datatype)
        made.raw_input_contents.append(raw)
        return bytes(made.SerializeToString())

    many = messages.ModelInferRequest(model_name=MODEL)
    for number in range(60_000):
        many.inputs.add(name=f"a{number}", shape=[1], datatype="FP64")
    bomb, wrong = message([1], b"\0" * 200 * MEGABYTES), grpc.StatusCode.INVALID_ARGUMENT
    large = grpc.StatusCode.RESOURCE_EXHAUSTED
    before = server.megabytes()
    with server.others_are_answered():
        outcomes = {
            "gzip bomb": (server.call("ModelInfer", bomb, grpc.Compression.Gzip), large),
            "deflate bomb": (server.call("ModelInfer", bomb, grpc.Compression.Deflate), large),
            "too large as it is": (server.call("ModelInfer", bomb), large),
            "no message": (server.call("ModelInfer", bytes(range(256))), wrong),
            "no message for another": (server.call("ModelReady", b"\xff" * 100), wrong),
            "60,000 inputs": (server.call("ModelInfer", many.SerializeToString()), wrong),
            "a shape of a million": (server.call("ModelInfer", message([1] * MEGABYTES, b"\0" * 8)), wrong),
            "a shape of 7 TB": (server.call("ModelInfer", message([900_000_000_000], b"\0" * 8)), wrong),
            "900,000 texts": (server.call("ModelInfer", message([1], b"\0" * 3_600_000, "BYTES")), wrong),
            "3 million truths": (server.call("ModelInfer", message([1], b"\1" * 3 * MEGABYTES, "BOOL")), wrong),
            "an id of 3 MB": (server.call("ModelInfer", message([1], b"\0" * 8, id="x" * 3 * MEGABYTES)), wrong),
            "metadata of 20 kB": (server.call("ServerLive", b"", metadata=[("x", "y" * 20_000)]), large),
            "a method nobody has": (server.call("Nothing", b""), grpc.StatusCode.UNIMPLEMENTED),
            "a stream": (server.call("ModelStreamInfer", message([1], b"\0" * 8)), grpc.StatusCode.UNIMPLEMENTED),
        }
    assert {name: pair for name, pair in outcomes.items() if pair[0] != pair[1]} == {}
    assert server.megabytes() < before + 150


def test_compressed_messages_in_grpc_that_are_right_are_answered(server: Besieged) -> None:
    """The limit holds what they unpack to; below it they are as good as any."""
    client, inputs = server.triton(), []
    for field in server.served["example"]["inputs"]:
        tensor = triton.InferInput(field["name"], field["shape"], field["datatype"])
        tensor.set_data_from_numpy(np.array(field["data"], object if field["datatype"] == "BYTES" else np.float64))
        inputs.append(tensor)
    expected = client.infer(MODEL, inputs).as_numpy("probability")
    assert client.infer(MODEL, inputs, compression_algorithm="gzip").as_numpy("probability") == expected
    with pytest.raises(InferenceServerException, match="not an output of this model"):
        client.infer(MODEL, inputs, outputs=[triton.InferRequestedOutput("secret")])


@pytest.mark.parametrize("head", by_day([b"", HALF], HALF), ids=["nothing", "half a head"])
def test_thousands_who_say_nothing_are_hung_up_on(server: Besieged, head: bytes) -> None:
    """They wait for no longer than a head may take, and nobody waits because of them."""
    process, address = psutil.Process(server.running["pid"]), ("127.0.0.1", server.running["port"])
    before = process.num_fds()
    with ExitStack() as held, server.others_are_answered():
        for _ in range(1_500):
            held.enter_context(socket.create_connection(address, timeout=10)).sendall(head)
        wait_for(lambda: process.num_fds() > before + 1_000)  # the last of them wait to be accepted
        wait_for(lambda: process.num_fds() < before + 100)


def test_bodies_that_never_end_do_not_fill_the_memory(server: Besieged) -> None:
    """Three hundred large ones that are half sent: a part finds room, the others are told so, and small ones pass."""
    start = (
        f"POST {INFER} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3900000\r\n\r\n".encode() + b" " * 3 * MEGABYTES
    )
    before, refused = server.megabytes(), 0
    with ExitStack() as held, server.others_are_answered():
        connections = []
        for _ in range(300):
            connection = held.enter_context(socket.create_connection(("127.0.0.1", server.running["port"]), timeout=10))
            with suppress(OSError):
                connection.sendall(start)
            connection.settimeout(0.2)
            connections.append(connection)
        for connection in connections[-100:]:
            with suppress(OSError):
                refused += connection.recv(100)[9:12] == b"429"
        assert server.megabytes() < before + 700  # all of them would be 900 and more
    assert refused > 0
    wait_for(lambda: server.ask(b" " * 3_000_000)[0] == 400)  # there is room again
