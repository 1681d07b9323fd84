"""Columns and keys of every kind: what trains is served, and served answers are those of scikit-learn bit for bit."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from leverframe.domain import layout
from leverframe.domain.model.bundle.input_check import FEW, Tensor, checked
from leverframe.domain.model.bundle.schema import AS_OF
from leverframe.serving.bundle import OpenBundle
from leverframe.serving.envelope import misplaced_in
from tests.integration import served_kinds as kinds
from tests.integration.shop import Shop
from tests.integration.test_serve_server import Server, probabilities
from tests.warm import WarmRepository

NOW = datetime(2024, 4, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the world with the bundle of its model."""
    root = kinds.built(tmp_path_factory, "kinds")
    kinds.bundled(root)
    return root


def features(root: Path) -> list[str]:
    """Return the names of the features."""
    described = json.loads((root / layout.MODEL_DESCRIPTION).read_text())
    return [feature["name"] for feature in described["features"]]


def by_keys(bundle: OpenBundle, rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Return rows as a request by their keys, each at its own time."""
    names = [field.name for field in bundle.schema.keys]
    at = rows[AS_OF].dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    return kinds.sent(rows.with_columns(at.alias(AS_OF)), names)


def asked(bundle: OpenBundle, inputs: list[dict[str, Any]]) -> Any:
    """Return the answer to a request, as it comes over the wire."""
    read = json.loads(json.dumps(inputs))
    return bundle.predict(checked(bundle.schema, [Tensor(**tensor) for tensor in read]), NOW)


@pytest.mark.parametrize("rows", [1, FEW, 1000])
def test_columns_of_every_kind_are_served_as_trained(rows: int, world: Path) -> None:
    """To the last bit, in small requests and large ones."""
    bundle, table = OpenBundle(world / layout.BUNDLE), kinds.table(world)
    for start in range(0, table.height, rows)[:9]:
        part = table.slice(start, rows)
        answer = asked(bundle, kinds.sent(part, features(world))).predictions[:, 1]
        assert answer.tolist() == kinds.predicted(world, part).tolist()


@pytest.mark.parametrize("rows", [1, FEW, 1000])
def test_keys_of_every_kind_find_what_training_saw(rows: int, world: Path) -> None:
    """Each looked up value and each prediction to the last bit, on the fast path and on the batch path."""
    bundle, table = OpenBundle(world / layout.BUNDLE), kinds.table(world)
    assert bundle.source.rows is not None
    for start in range(0, table.height, rows)[:9]:
        part = table.slice(start, rows)
        answer = asked(bundle, by_keys(bundle, part))
        for name in features(world):
            trained = part[name].cast(pl.String if answer.features[name].dtype == object else pl.Float64).to_list()
            looked_up = [None if value != value else value for value in answer.features[name].tolist()]  # noqa: PLR0124
            assert looked_up == trained, name
        assert answer.predictions[:, 1].tolist() == kinds.predicted(world, part).tolist()


@dataclass(frozen=True)
class Client:
    """A real server of the bundle, and a client of gRPC that sends messages as they are."""

    server: Server
    channel: grpc.Channel

    def rest(self, inputs: list[dict[str, Any]], **more: Any) -> tuple[int, dict[str, Any]]:
        """Return status and content of an answer over REST."""
        return self.server.ask(json.dumps({"inputs": inputs, **more}).encode(), "/v2/models/kinds/infer")

    def grpc(self, request: Any) -> Any:
        """Return an answer over gRPC."""
        return GRPCInferenceServiceStub(self.channel).ModelInfer(request)


@contextmanager
def serving(bundle: Path, folder: Path) -> Iterator[Client]:
    """Serve a bundle in a repository of its own."""
    shop = Shop(WarmRepository.create(folder))
    shop.repository.write("leverframe.yaml", "{}\n")
    server = Server(shop, str(bundle))
    with grpc.insecure_channel(f"127.0.0.1:{server.running['grpc_port']}") as channel:
        yield Client(server, channel)
    assert shop.run("serve", "--stop").code == 0


def over_grpc(inputs: list[dict[str, Any]], **parameters: str) -> Any:
    """Return a request with its values as gRPC has them: rows without a value are named in the parameter `nulls`."""
    request = messages.ModelInferRequest(model_name="kinds")
    for tensor in inputs:
        values, datatype = tensor["data"], tensor["datatype"]
        added = request.inputs.add(name=tensor["name"], shape=tensor["shape"], datatype=datatype)
        missing = [row for row, value in enumerate(values) if value is None]
        if missing or "" in values:
            added.parameters["nulls"].string_param = ",".join(map(str, missing))
        for name, value in parameters.items():
            added.parameters[name].string_param = value
        if datatype == "BYTES":
            added.contents.bytes_contents.extend((value or "").encode() for value in values)
        else:
            kept = [0 if value is None else value for value in values]
            getattr(added.contents, CONTENTS[datatype]).extend(kept)
    return request


CONTENTS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "UINT8": "uint_contents", "INT64": "int64_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents",
}  # fmt: skip


def test_a_real_server_answers_as_scikit_learn(world: Path, tmp_path: Path) -> None:
    """Over REST and gRPC, by columns and by keys; with encoded texts; and it says whose the probability is."""
    bundle, table = OpenBundle(world / layout.BUNDLE), kinds.table(world)
    expected = kinds.predicted(world, table).tolist()
    with serving(world / layout.BUNDLE, tmp_path) as client:
        for inputs in (kinds.sent(table, features(world)), by_keys(bundle, table)):
            status, content = client.rest(inputs)
            assert status == 200, content
            assert probabilities(content).tolist() == expected
            assert content["outputs"][1]["parameters"] == {"classes": ["1"]}
            answer = client.grpc(over_grpc(inputs))
            assert list(answer.outputs[1].contents.fp64_contents) == expected
            assert answer.outputs[1].parameters["classes"].string_param == '["1"]'
        hold_metadata(client)
        hold_ranges(client, kinds.sent(table.head(2), features(world)))
        for how in ("base64", "Hex"):
            hold_encodings(client, how, by_keys(bundle, table.head(9)), expected[:9])


def hold_metadata(client: Client) -> None:
    """Hold the metadata: a datatype that holds whole numbers of 64 bits, and whose the probability is."""
    status, content = client.server.get("/v2/models/kinds")
    assert status == 200
    datatypes = {tensor["name"]: tensor["datatype"] for tensor in content["inputs"]}
    assert (datatypes["k_int64"], datatypes["k_uint64"]) == ("INT64", "UINT64")
    assert content["outputs"][1]["parameters"]["classes"] == ["1"]
    metadata = client.channel.unary_unary("/inference.GRPCInferenceService/ModelMetadata")
    answer = metadata(messages.ModelMetadataRequest(name="kinds").SerializeToString())
    assert b'["1"]' in answer  # in a field that the messages of Triton do not have


def hold_ranges(client: Client, inputs: list[dict[str, Any]]) -> None:
    """Hold that a number that its datatype does not hold is refused by both: a message has room for it."""
    number = next(tensor for tensor in inputs if tensor["datatype"] == "FP64")
    others = [tensor for tensor in inputs if tensor is not number]
    for datatype, value in (("INT8", 300), ("UINT8", 300)):
        wrong = [{**number, "datatype": datatype, "data": [1, value]}, *others]
        status, content = client.rest(wrong)
        assert (status, f"`{number['name']}` in row 1 is 300" in content["error"]) == (400, True), content
        with pytest.raises(grpc.RpcError, match="in row 1 is 300") as caught:
            client.grpc(over_grpc(wrong))
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    status, content = client.rest([{**number, "datatype": "INT64", "data": [1, 30.5]}, *others])
    assert (status, "in row 1 is 30.5" in content["error"]) == (400, True), content


@given(st.sampled_from(sorted(CONTENTS)), st.sets(st.sampled_from(sorted(set(CONTENTS.values()))), max_size=2))
def test_values_are_where_their_datatype_has_them(datatype: str, filled: set[str]) -> None:
    """In one field of the message, that of the datatype, and in no other beside it."""
    request = messages.ModelInferRequest()
    sent = request.inputs.add(name="x", shape=[1], datatype=datatype)
    for name in filled:
        getattr(sent.contents, name).extend([b"x" if name == "bytes_contents" else 1])
    fits = filled <= {CONTENTS[datatype]}
    assert (misplaced_in(request) == "") is fits
    assert fits or "`x` has values in " in misplaced_in(request)


@pytest.mark.parametrize(("datatype", "raw", "message"), [
    ("FP64", [b"12345678"], ""), ("FP64", [b"1234"], "`x` has 4 bytes of raw contents; 1 values of FP64 have 8"),
    ("FP64", [b"12345678"] * 2, "2 raw contents for 1 inputs"), ("BYTES", [b"\x01\0\0\0a"], ""),
    ("BYTES", [b"\0\0\0\x80a"], "end within a text"), ("BYTES", [b"\x01\0"], "end within a text"),
])  # fmt: skip
def test_packed_values_fit_their_datatype_and_shape(datatype: str, raw: list[bytes], message: str) -> None:
    """What does not is named, and never unpacked."""
    request = messages.ModelInferRequest(raw_input_contents=raw)
    request.inputs.add(name="x", shape=[1], datatype=datatype)
    fault = misplaced_in(request)
    assert message in fault
    assert bool(message) == bool(fault)


def test_a_content_type_is_a_text() -> None:
    """Of a request, an input and an output."""
    for place in ("request", "input", "output"):
        request = messages.ModelInferRequest()
        parts = {"request": request, "input": request.inputs.add(name="x"), "output": request.outputs.add(name="y")}
        parts[place].parameters["content_type"].string_param = "np"
        assert misplaced_in(request) == ""
        parts[place].parameters["content_type"].int64_param = 3
        assert "content type that is no text" in misplaced_in(request)


def hold_encodings(client: Client, how: str, inputs: list[dict[str, Any]], expected: list[float]) -> None:
    """Hold that encoded texts are decoded, of an input and of the request, and refused where they are none."""
    encode = (lambda data: base64.b64encode(data).decode()) if how == "base64" else bytes.hex
    texts, rest = ([tensor for tensor in inputs if (tensor["datatype"] == "BYTES") is kind] for kind in (True, False))
    for tensor in texts:
        tensor["data"] = [None if value is None else encode(value.encode()) for value in tensor["data"]]
    parameters = {"content_type": how}
    marked = [{**tensor, "parameters": parameters} for tensor in texts]
    for status, content in (client.rest([*marked, *rest]), client.rest([*texts, *rest], parameters=parameters)):
        assert status == 200, content
        assert probabilities(content).tolist() == expected
    of_inputs, of_request = over_grpc(texts, content_type=how), over_grpc([*texts, *rest])
    of_inputs.inputs.extend(over_grpc(rest).inputs)
    of_request.parameters["content_type"].string_param = how
    for request in (of_inputs, of_request):
        assert list(client.grpc(request).outputs[1].contents.fp64_contents) == expected
    for content_type in ("base64" if how == "Hex" else "hex", "image"):
        of_request.parameters["content_type"].string_param = content_type
        with pytest.raises(grpc.RpcError) as caught:
            client.grpc(of_request)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert client.rest([*texts, *rest], parameters={"content_type": content_type})[0] == 400
