"""Requests that are nearly right: those of a server with some parts changed, over REST and as messages of gRPC."""

from __future__ import annotations

import copy
import http.client
import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as messages

DATATYPES = (
    "BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP16", "FP32", "FP64", "BYTES",
    "X",
)  # fmt: skip
PARAMETERS = (
    "content_type", "nulls", "binary_data_size", "binary_data_output", "binary_data", "shared_memory_region", "headers",
    "sequence_id", "priority", "model_config", "é", "__class__", "",
)  # fmt: skip
TIMES = st.one_of(
    st.datetimes().map(lambda at: at.isoformat() + "Z"),
    st.datetimes(timezones=st.timezones()).map(str),
    st.from_regex(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?([+-][0-9]{2}:[0-9]{2}|Z)", fullmatch=True
    ),
    st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-12:00", "9998-12-31T23:59:59-23:59"]),
)
NUMBERS = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([2**31, 2**63, 2**64, -(2**63) - 1, 2**70, 10**400, 1e300, -0.0, 5e-324]),
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, TIMES, st.sampled_from([*DATATYPES, "lamp", "label"]))
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(TEXTS | st.sampled_from([*PARAMETERS, "name", "data"]), inner, max_size=3)
    ),
    max_leaves=6,
)
OWN = st.dictionaries(st.sampled_from(PARAMETERS) | TEXTS, VALUES, max_size=2)


@dataclass(frozen=True)
class Body:
    """A body of a request over REST and its headers."""

    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def _paths(part: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    pairs = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in pairs:
        yield from _paths(value, (*path, key))


def _changed(draw: st.DrawFn, content: Any) -> Any:
    """Return a request with one of its parts replaced, left out, doubled or with parameters."""
    path = draw(st.sampled_from([path for path in _paths(content) if path]))
    part = content
    for key in path[:-1]:
        part = part[key]
    change = draw(st.sampled_from(["replace", "replace", "kin", "drop", "double", "parameters"]))
    if change == "drop":
        del part[path[-1]]
    elif change == "double" and isinstance(part, list):
        part.append(copy.deepcopy(part[path[-1]]))
    elif change == "parameters" and isinstance(part[path[-1]], dict):
        part[path[-1]]["parameters"] = draw(OWN)
    elif change == "kin":
        kin = {"datatype": st.sampled_from(DATATYPES), "data": st.lists(SCALARS, max_size=20), "name": TEXTS,
               "shape": st.lists(st.integers(-1, 3) | st.integers(), max_size=3)}  # fmt: skip
        part[path[-1]] = draw(kin.get(path[-1], SCALARS | TIMES))
    else:
        part[path[-1]] = draw(VALUES)
    return content


@st.composite
def bodies(draw: st.DrawFn, example: Mapping[str, Any]) -> Body:
    """Draw a request over REST: the example with changes, in its text too, with bytes behind it or without."""
    content = {
        "id": "fuzz",
        "parameters": draw(OWN),
        "outputs": [{"name": "probability"}],
        **copy.deepcopy(dict(example)),
    }
    if draw(st.booleans()):
        del content["parameters"], content["outputs"]
    for _ in range(draw(st.integers(0, 3))):
        if content:
            _changed(draw, content)
    text = json.dumps(content, ensure_ascii=draw(st.booleans())).encode()
    if draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.binary(max_size=6) | st.sampled_from([b'"', b"[", b"{", b":", b"NaN"])) + text[at:]
    if draw(st.booleans()):
        return Body(text)
    tail = draw(st.binary(max_size=24))
    length = draw(st.just(str(len(text))) | st.integers(-1, 2000).map(str))
    return Body(text + tail, {"inference-header-content-length": length})


@st.composite
def calls(draw: st.DrawFn, example: Mapping[str, Any], model: str) -> bytes:
    """Draw a message for ModelInfer: the example with values, packed values and parameters of any kind; or bytes."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=40))
    made = messages.ModelInferRequest(
        model_name=draw(st.sampled_from([model] * 9 + ["é\n"])),
        model_version=draw(st.sampled_from([""] * 8 + ["1", "9", "é\n"])),
        id=draw(TEXTS),
    )
    calm = draw(st.booleans())
    for tensor in example["inputs"]:
        _input(draw, made, tensor, calm)
    for name in draw(st.lists(st.sampled_from(["label", "probability"] * 5 + ["x"]), max_size=2)):
        _given(draw, made.outputs.add(name=name))
    _given(draw, made)
    if draw(st.integers(0, 5)) == 0:
        made.raw_input_contents.extend(draw(st.lists(st.binary(max_size=16), max_size=6)))
    return bytes(made.SerializeToString())


def _input(draw: st.DrawFn, made: Any, tensor: Mapping[str, Any], calm: bool) -> None:
    same = calm or draw(st.integers(0, 5)) > 0
    if not same and draw(st.booleans()):
        return
    part = made.inputs.add(
        name=tensor["name"] if same else draw(st.just(tensor["name"]) | TEXTS),
        datatype=tensor["datatype"] if same else draw(st.sampled_from(DATATYPES)),
        shape=tensor["shape"]
        if same
        else draw(st.lists(st.integers(-1, 3) | st.integers(-(2**63), 2**63 - 1), max_size=3)),
    )
    if same:
        texts = tensor["datatype"] == "BYTES"
        getattr(part.contents, "bytes_contents" if texts else "fp64_contents").extend(
            [value.encode() if texts else value for value in tensor["data"]]
        )
        if tensor["name"] == "as_of" and draw(st.booleans()):
            part.contents.bytes_contents[0] = draw(TIMES).encode()
    else:
        part.contents.fp64_contents.extend(draw(st.lists(st.floats(), max_size=2)))
        part.contents.bytes_contents.extend(draw(st.lists(st.binary(max_size=8), max_size=2)))
        part.contents.int64_contents.extend(draw(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=1)))
    _given(draw, part)


def _given(draw: st.DrawFn, part: Any) -> None:
    if draw(st.integers(0, 5)) > 0:
        return
    for name in draw(st.lists(st.sampled_from(PARAMETERS) | TEXTS, max_size=1)):
        kind = draw(st.sampled_from(["bool_param", "int64_param", "string_param", ""]))
        if kind == "":
            part.parameters[name].SetInParent()
        else:
            values = {
                "bool_param": st.booleans(),
                "int64_param": st.integers(-(2**63), 2**63 - 1),
                "string_param": TEXTS,
            }
            setattr(part.parameters[name], kind, draw(values[kind]))


def fuzz_rest(port: int, model: str, example: Mapping[str, Any], examples: int) -> None:
    """Hold that so many requests get an answer, or a refusal with words, within 20 s."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(bodies(example))
    def hold(body: Body) -> None:
        try:
            connection.request("POST", f"/v2/models/{model}/infer", body.content, dict(body.headers))
            reply = connection.getresponse()
            content = reply.read()
        except BaseException:
            connection.close()
            raise
        assert reply.status == 200 or (400 <= reply.status < 500 and json.loads(content)["error"])

    hold()
    connection.close()


FINE = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}


def fuzz_grpc(
    port: int, model: str, example: Mapping[str, Any], examples: int, fine: Container[grpc.StatusCode] = FINE
) -> None:
    """Hold that so many messages get an answer, or a status that says that it is the client's fault, within 20 s."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")

        @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
        @given(calls(example, model), st.lists(st.sampled_from([("x-a-bin", b"\xff"), ("x-b", "c")])))
        def hold(message: bytes, metadata: list[tuple[str, Any]]) -> None:
            call = infer.future(message, timeout=20, metadata=metadata)
            assert call.code() in fine, call.details()

        hold()
