"""A real MLServer with the shop's bundle: it answers as training did, refuses what is wrong, and ends politely."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from leverframe.adapters.sklearn import SklearnModels
from tests.integration.shop import Shop, alive, copied, finished, wait_for

FREE = ("--port", "0", "--grpc-port", "0", "--metrics-port", "0")
MODEL = "shop"


class Server:
    """The server of a shop, and ways to ask it."""

    def __init__(self, shop: Shop, *bundle: str) -> None:
        ended = shop.run("serve", *bundle, *FREE, "--json")
        assert ended.code == 0, ended.stderr
        self.shop, self.served = shop, json.loads(ended.stdout)
        self.running = self.served["running"]
        self.folder = Path(self.served["folder"])

    def ask(self, body: bytes, path: str = f"/v2/models/{MODEL}/infer", **headers: str) -> tuple[int, dict[str, Any]]:
        """Post a body and return status and content."""
        connection = http.client.HTTPConnection("127.0.0.1", self.running["port"], timeout=60)
        try:
            connection.request("POST", path, body, {"content-type": "application/json", **headers})
            answer = connection.getresponse()
            data = answer.read()
            return answer.status, json.loads(data) if data else {}
        except (BrokenPipeError, ConnectionResetError):  # refused before all of it was sent
            return 413, {"error": "the connection was closed"}
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Return status and content of a page."""
        connection = http.client.HTTPConnection("127.0.0.1", self.running["port"], timeout=60)
        connection.request("GET", path)
        answer = connection.getresponse()
        content: dict[str, Any] = json.loads(answer.read())
        connection.close()
        return answer.status, content

    def status_of(self, path: str) -> int:
        """Return the status of a page, which may be empty."""
        connection = http.client.HTTPConnection("127.0.0.1", self.running["port"], timeout=60)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def worked(self) -> float:
        """Return for how many seconds, of a processor, the server has worked: however busy the machine is."""
        times = psutil.Process(self.running["pid"]).cpu_times()
        return float(times.user + times.system)

    def triton(self) -> triton.InferenceServerClient:
        """Return a client of a third party."""
        return triton.InferenceServerClient(f"127.0.0.1:{self.running['grpc_port']}")

    def log(self) -> list[dict[str, Any]]:
        """Return every logged request, closed or not."""
        files = sorted((self.folder / "log").glob("dt=*/*.jsonl*"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines() if line.endswith("}")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server that the tests of this file share."""
    shop = copied(finished(tmp_path_factory), tmp_path_factory.mktemp("served"))
    server = Server(shop)
    yield server
    assert shop.run("serve", "--stop").code == 0


def features(shop: Shop) -> list[dict[str, str]]:
    """Return the features that the model was trained on."""
    features: list[dict[str, str]] = json.loads((shop.root / "models/model.json").read_text())["features"]
    return features


def training_answers(shop: Shop, table: pl.DataFrame) -> Any:
    """Return what the model that was trained says to rows of its features."""
    model = SklearnModels(shop.root).load((shop.root / "models/model.skops").read_bytes())
    types: dict[Any, Any] = {
        feature["name"]: pl.String if feature["kind"] == "categorical" else pl.Float64 for feature in features(shop)
    }
    return model.predict_proba(table.select(list(types)).cast(types))[:, 1]


def tensors(shop: Shop, table: pl.DataFrame) -> list[dict[str, Any]]:
    """Return rows of features as V2 inputs."""
    return [
        {
            "name": feature["name"],
            "shape": [table.height, 1],
            "datatype": "BYTES" if feature["kind"] == "categorical" else "FP64",
            "data": table[feature["name"]].to_list(),
        }
        for feature in features(shop)
    ]


def probabilities(content: dict[str, Any]) -> Any:
    """Return the probabilities of an answer."""
    return np.array(next(output["data"] for output in content["outputs"] if output["name"] == "probability"))


def test_the_printed_line_works(server: Server) -> None:
    """What `serve` prints to try is answered, and the answer can be traced to bundle and schema."""
    status, content = server.ask(json.dumps(server.served["example"]).encode())
    assert status == 200
    assert content["model_version"] == "1"
    assert len(content["parameters"]["bundle"]) == len(content["parameters"]["schema"]) == 64
    again = server.shop.run("serve", "models/bundle", *FREE)
    assert again.code == 29
    assert "runs already" in again.error()[0]


def test_only_the_outputs_that_are_wanted_come(server: Server) -> None:
    """The protocol lets a client name outputs, over REST and gRPC; the id it gives comes back."""
    body = {**server.served["example"], "id": "mine", "outputs": [{"name": "probability"}]}
    status, content = server.ask(json.dumps(body).encode())
    assert status == 200
    assert [output["name"] for output in content["outputs"]] == ["probability"]
    assert content["id"] == "mine"
    inputs = []
    for field in server.served["example"]["inputs"]:
        tensor = triton.InferInput(field["name"], field["shape"], field["datatype"])
        tensor.set_data_from_numpy(np.array(field["data"], object if field["datatype"] == "BYTES" else np.float64))
        inputs.append(tensor)
    result = server.triton().infer(MODEL, inputs, outputs=[triton.InferRequestedOutput("label")])
    assert result.as_numpy("label") is not None
    assert result.as_numpy("probability") is None


def test_entity_keys_are_answered_as_their_columns(server: Server) -> None:
    """By keys at the timestamp of the snapshot: the golden rows, whose answers scikit-learn gave, by REST and gRPC."""
    lines = (server.shop.root / "models/bundle/golden.jsonl").read_text().splitlines()
    rows = [record for record in map(json.loads, lines) if record["form"] == "keys"]
    client = server.triton()
    for row in rows:
        kinds = {name: "BYTES" if isinstance(value, str) else "FP64" for name, value in row["inputs"].items()}
        body = {"inputs": [{"name": name, "shape": [1], "datatype": kinds[name], "data": [value]}
                           for name, value in row["inputs"].items()]}  # fmt: skip
        status, content = server.ask(json.dumps(body).encode())
        assert status == 200, content
        assert probabilities(content)[0] == pytest.approx(row["prediction"][1], abs=1e-6)
        inputs = []
        for name, value in row["inputs"].items():
            tensor = triton.InferInput(name, [1], kinds[name])
            tensor.set_data_from_numpy(np.array([value], object if kinds[name] == "BYTES" else np.float64))
            inputs.append(tensor)
        assert client.infer(MODEL, inputs).as_numpy("probability")[0, 0] == pytest.approx(
            row["prediction"][1], abs=1e-6
        )
    assert rows


def test_metadata_name_every_input(server: Server) -> None:
    """A client of a third party reads inputs of both forms, outputs, and that the model is ready."""
    client = server.triton()
    assert client.is_server_live()
    assert client.is_model_ready(MODEL)
    metadata = client.get_model_metadata(MODEL, as_json=True)
    named = {tensor["name"] for tensor in metadata["inputs"]}
    assert {feature["name"] for feature in features(server.shop)} <= named
    assert {"customer", "as_of"} <= named
    assert [output["name"] for output in metadata["outputs"]] == ["label", "probability"]


def hostile(server: Server) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Yield requests that are malformed or meant to harm, with the headers they come with."""
    good: list[dict[str, Any]] = server.served["example"]["inputs"]
    text = next(field for field in good if field["name"] == "product")
    number = next(field for field in good if field["name"] == "quantity")
    rest = [field for field in good if field is not text]
    others = [field for field in good if field is not number]

    def body(*inputs: dict[str, Any]) -> bytes:
        return json.dumps({"inputs": inputs}).encode()

    for name, data in {
        "empty": b"", "not JSON": b"{", "an array": b"[]", "null": b"null", "a text": b'"inputs"', "a number": b"1",
        "no inputs": b"{}", "inputs null": b'{"inputs": null}', "inputs empty": b'{"inputs": []}',
        "inputs an object": b'{"inputs": {}}', "bytes": bytes(range(256)), "a NUL": b'{"inputs": "\x00"}',
        "deep arrays": b'{"inputs":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "deep objects": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
        "NaN": b'{"inputs": [{"name": "quantity", "shape": [1], "datatype": "FP64", "data": [NaN]}]}',
        "1e400": b'{"inputs": [{"name": "quantity", "shape": [1], "datatype": "FP64", "data": [1e400]}]}',
        "a lone surrogate": body({**text, "data": ["\ud800"]}, *rest),
        "a column twice": body(*good, text),
        "an unknown column": body(*good, {**text, "name": "x"}),
        "a long name": body(*good, {**text, "name": "x" * 100_000}),
        "a column too few": body(*rest),
        "text for a number": body({**number, "data": ["3"]}, *others),
        "a truth for a number": body({**number, "data": [True]}, *others),
        "a number for a text": body({**text, "data": [3], "datatype": "FP64"}, *rest),
        "a huge number": body({**number, "data": [10**400]}, *others),
        "a long text": body({**text, "data": ["x" * 100_000]}, *rest),
        "unknown datatype": body({**text, "datatype": "BYTE"}, *rest),
        "FP16": body({**number, "datatype": "FP16"}, *others),
        "shape negative": body({**text, "shape": [-1]}, *rest),
        "shape empty": body({**text, "shape": []}, *rest),
        "shape too large": body({**text, "shape": [5, 1]}, *rest),
        "shape of texts": body({**text, "shape": ["one"]}, *rest),
        "shape huge": body({**text, "shape": [2**62]}, *rest),
        "a long id": json.dumps({"id": "x" * 1000, "inputs": good}).encode(),
        "an id that is a number": json.dumps({"id": 1, "inputs": good}).encode(),
        "an unknown output": json.dumps({"inputs": good, "outputs": [{"name": "price"}]}).encode(),
        "outputs that are a text": json.dumps({"inputs": good, "outputs": "label"}).encode(),
        "outputs without names": json.dumps({"inputs": good, "outputs": [{}]}).encode(),
        "two columns wide": body({**text, "shape": [1, 2], "data": ["lamp", "desk"]}, *rest),
        "lengths differ": body({**text, "shape": [2], "data": ["lamp", "desk"]}, *rest),
        "data null": body({**text, "data": None}, *rest),
        "data an object": body({**text, "data": {"0": "lamp"}}, *rest),
        "nothing for a column that is never missing": body({**text, "data": [None]}, *rest),
        "a timestamp that is none": body(*[field for field in good if field["name"] != "as_of"],
                                      {"name": "as_of", "shape": [1], "datatype": "BYTES", "data": ["tomorrow"]}),
        "a timestamp before the snapshot": body(*[field for field in good if field["name"] != "as_of"],
            {"name": "as_of", "shape": [1], "datatype": "BYTES", "data": ["1999-01-01T00:00Z"]}),
    }.items():  # fmt: skip
        yield name, data, {}
    yield "a gzip bomb", gzip.compress(b"0" * 200_000_000), {"content-encoding": "gzip"}
    yield "gzip", gzip.compress(json.dumps(server.served["example"]).encode()), {"content-encoding": "gzip"}
    yield "50 MB", b'{"inputs": [' + b" " * 50_000_000 + b"]}", {}
    yield "3.9 MB of texts", body({**text, "shape": [400_000], "data": ["lampe"] * 400_000}, *rest), {}


def test_nothing_hostile_gets_an_error_of_the_server_or_an_answer(server: Server) -> None:
    """More than 40 requests: each is refused with 4xx, and meanwhile nobody else waits for long."""
    good, slowest, stop = json.dumps(server.served["example"]).encode(), [0.0], threading.Event()

    def others() -> None:
        while not stop.is_set():
            began = server.worked()
            assert server.ask(good)[0] == 200
            slowest[0] = max(slowest[0], server.worked() - began)

    responses = {}
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(others)
        try:
            for name, body, headers in hostile(server):
                responses[name] = server.ask(body, **headers)
        finally:
            stop.set()
        beside.result()
    assert len(responses) > 40
    assert {name: response for name, response in responses.items() if not 400 <= response[0] < 500} == {}
    assert all(content.get("error") for _, content in responses.values())
    assert slowest[0] < 2.0  # seconds of two processors
    assert server.ask(good)[0] == 200


def test_routes_that_are_nobodys_business(server: Server) -> None:
    """The repository is shut over REST and gRPC, other models and methods are refused."""
    good = json.dumps(server.served["example"]).encode()
    assert server.ask(b"{}", f"/v2/repository/models/{MODEL}/unload")[0] == 403
    assert server.ask(b"{}", "/v2/repository/index")[0] == 403
    assert server.ask(good, "/v2/models/other/infer")[0] == 404
    assert server.ask(good, f"/v2/models/{MODEL}/versions/99/infer")[0] == 404
    assert server.ask(good, f"/v2/models/{MODEL}")[0] == 405
    client = server.triton()
    for call in (
        lambda: client.unload_model(MODEL),
        lambda: client.load_model(MODEL),
        client.get_model_repository_index,
    ):
        with pytest.raises(InferenceServerException) as caught:
            call()
        assert "PERMISSION_DENIED" in str(caught.value.status()) or "UNIMPLEMENTED" in str(caught.value.status())
    assert client.is_model_ready(MODEL)
    assert (server.folder / "key").stat().st_mode & 0o077 == 0


def test_hostile_grpc_is_the_clients_fault(server: Server) -> None:
    """Raw bytes that do not fit their shape, wrong types, unknown models: never an error of the server."""
    client = server.triton()

    def tensor(name: str, shape: list[int], datatype: str, raw: bytes) -> triton.InferInput:
        made = triton.InferInput(name, shape, datatype)
        made._raw_content = raw
        made._input.ClearField("contents")
        return made

    faults = {
        "too few bytes": [tensor("quantity", [4], "FP64", b"\0" * 7)],
        "no bytes": [tensor("quantity", [1], "FP64", b"")],
        "texts cut short": [tensor("product", [1], "BYTES", b"\xff\xff\xff\x7fx")],
        "negative shape": [tensor("quantity", [-1], "FP64", b"\0" * 8)],
        "unknown datatype": [tensor("quantity", [1], "COMPLEX", b"\0" * 8)],
        "unknown column": [tensor("x", [1], "FP64", b"\0" * 8)],
        "no UTF-8": [tensor("product", [1], "BYTES", b"\x01\0\0\0\xff")],
        "nothing": [],
    }
    for name, inputs in faults.items():
        with pytest.raises(InferenceServerException) as caught:
            client.infer(MODEL, inputs)
        assert caught.value.status() == "StatusCode.INVALID_ARGUMENT", (name, caught.value)
    with pytest.raises(InferenceServerException) as caught:
        client.infer("other", faults["no bytes"])
    assert caught.value.status() in ("StatusCode.NOT_FOUND", "StatusCode.INVALID_ARGUMENT")
    with pytest.raises(InferenceServerException) as caught:
        client.infer(MODEL, [tensor("quantity", [1], "FP64", b"\0" * 6_000_000)])
    assert caught.value.status() == "StatusCode.RESOURCE_EXHAUSTED"


def test_metrics_name_the_release_that_answered(server: Server) -> None:
    """Latency, outcomes and misses carry the served release, which MLServer's own metrics do not."""
    assert server.ask(json.dumps(server.served["example"]).encode())[0] == 200
    assert server.ask(b'{"inputs": []}')[0] == 400
    connection = http.client.HTTPConnection("127.0.0.1", server.running["metrics_port"], timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    assert 'leverframe_predict_seconds_bucket{le="0.01",model="shop",version="1"}' in text
    assert 'leverframe_requests_total{model="shop",outcome="refused",version="1"}' in text
    assert 'outcome="failed"' not in text
    assert "leverframe_release{" in text


def test_sigterm_lets_requests_finish(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Requests that are under way when the server is asked to end are all answered; then it is gone."""
    server = Server(copied(finished(tmp_path_factory), tmp_path))
    table = pl.read_parquet(server.shop.root / "data/training/holdout.parquet")
    rows = pl.concat([table] * 5)
    body = json.dumps({"inputs": tensors(server.shop, rows)}).encode()
    connections = [http.client.HTTPConnection("127.0.0.1", server.running["port"], timeout=60) for _ in range(8)]
    for connection in connections:
        connection.request("POST", f"/v2/models/{MODEL}/infer", body, {"content-type": "application/json"})
    process = psutil.Process(server.running["pid"])
    wait_for(lambda: sum(link.status == "ESTABLISHED" for link in process.net_connections("tcp")) >= len(connections))
    os.kill(server.running["pid"], signal.SIGTERM)
    answers = [client.getresponse() for client in connections]
    assert [response.status for response in answers] == [200] * 8
    assert all(len(probabilities(json.loads(response.read()))) == rows.height for response in answers)
    wait_for(lambda: server.shop.run("serve", "--status").code == 29)


def test_the_log_survives_a_kill(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What was answered a second ago is on the disk when the server is killed, and the next server closes the file."""
    server = Server(copied(finished(tmp_path_factory), tmp_path))
    good = json.dumps(server.served["example"]).encode()
    ids = [server.ask(good)[1]["id"] for _ in range(20)]
    wait_for(lambda: [entry["id"] for entry in server.log()] == ids)  # within a second, on a quiet machine
    process = psutil.Process(server.running["pid"])
    process.kill()
    wait_for(lambda: not alive([process]))
    assert [entry["id"] for entry in server.log()] == ids
    assert list((server.folder / "log").glob("dt=*/*.jsonl")) == []  # not closed: nobody reads it yet
    again = Server(server.shop)
    assert len(list((server.folder / "log").glob("dt=*/*.jsonl"))) == 1
    record = again.log()[0]
    assert record["columns"]["product"] == server.served["example"]["inputs"][0]["data"]
    assert record["form"] == "keys"
    assert again.shop.run("serve", "--stop").code == 0


def test_the_log_says_what_was_looked_up_and_counts_what_was_not_answered(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of a request by keys what the model was given, rows without a key and the end of the data; else a number."""
    server = Server(copied(finished(tmp_path_factory), tmp_path))
    good = server.served["example"]
    twice = {"inputs": [{**field, "shape": [2, 1], "data": field["data"] * 2} for field in good["inputs"]]}
    strange = {
        "inputs": [
            {**field, "data": [field["data"][0], "no such product"]} if field["name"] == "product" else field
            for field in twice["inputs"]
        ]
    }
    answers = [server.ask(json.dumps(body).encode())[1] for body in (good, twice, strange)]
    for _ in range(40):
        assert server.ask(b'{"inputs": [{"name": "?", "shape": [1], "datatype": "FP64", "data": [1]}]}')[0] == 400
    wait_for(lambda: sum(entry.get("count", 0) for entry in server.log()) == 40)
    records = {entry["id"]: entry for entry in server.log() if "id" in entry}
    counts = [entry for entry in server.log() if "outcome" in entry]
    assert {count["outcome"] for count in counts} == {"refused"}
    assert len(counts) < 20  # a line a flush, not a request
    assert {count["bundle"] for count in counts} == {record["bundle"] for record in records.values()}
    first = records[answers[0]["id"]]
    named = [feature["name"] for feature in features(server.shop)]
    assert list(first["features"]) == named
    assert all(len(values) == 1 for values in first["features"].values())
    assert first["missed"] == {}
    assert first["snapshot"].endswith("+00:00")
    by_columns = {
        "inputs": [
            {
                "name": feature["name"],
                "shape": [1, 1],
                "datatype": "BYTES" if feature["kind"] == "categorical" else "FP64",
                "data": first["features"][feature["name"]],
            }
            for feature in features(server.shop)
        ]
    }
    status, content = server.ask(json.dumps(by_columns).encode())
    assert status == 200
    assert probabilities(content)[0] == probabilities(answers[0])[0]  # what was logged is what the model was given
    assert any(rows == [1] for rows in records[answers[2]["id"]]["missed"].values())
    wait_for(lambda: content["id"] in {entry.get("id") for entry in server.log()})
    assert not {"features", "missed", "snapshot"} & next(e for e in server.log() if e.get("id") == content["id"]).keys()
    assert server.shop.run("serve", "--stop").code == 0


def test_a_model_repository_is_served(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Releases as MLServer lays them out: one is a whole bundle, one says where its bundle lies; the newest answers."""
    shop = copied(finished(tmp_path_factory), tmp_path)
    bundle, repository = shop.root / "models/bundle", shop.root / "repository"
    shutil.copytree(bundle, repository / MODEL / "3")
    settings = json.loads((bundle / "model-settings.json").read_text())
    settings["parameters"] = {"uri": "../../../models/bundle", "extra": {"commit": "c" * 40}}
    settings["implementation"] = "os.abort"  # a repository is data, too
    (repository / MODEL / "7").mkdir()
    (repository / MODEL / "7/model-settings.json").write_text(json.dumps(settings))
    server = Server(shop, "repository")
    assert server.served["models"] == {MODEL: [3, 7]}
    body = json.dumps(server.served["example"]).encode()
    status, content = server.ask(body)
    assert (status, content["model_version"], content["parameters"]["commit"]) == (200, "7", "c" * 40)
    assert server.ask(body, f"/v2/models/{MODEL}/versions/3/infer")[1]["model_version"] == "3"
    assert json.loads(shop.run("serve", "--stop", "--json").stdout) == {"ended": True}
    (tmp_path / "empty").mkdir()
    ended = shop.run("serve", str(tmp_path / "empty"), *FREE)
    assert ended.code == 28
    assert "neither MANIFEST.json nor folders" in ended.error()[1]


@pytest.mark.parametrize("name", ["model.onnx", "schema.json", "snapshot.bin", "golden.jsonl", "MANIFEST.json"])
def test_a_damaged_bundle_does_not_serve(name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One byte of any file is enough; no server is left behind."""
    shop = copied(finished(tmp_path_factory), tmp_path)
    path = shop.root / "models/bundle" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()  # it may be linked to the cache
    path.write_bytes(data)
    ended = shop.run("serve", *FREE)
    assert ended.code == 28
    assert "cannot" in ended.error()[0]
    assert shop.run("serve", "--status").code == 29
