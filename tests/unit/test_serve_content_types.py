"""Content types of MLServer's clients: decoded or refused with the row, never taken as they are."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.features.training_set import Label
from leverframe.domain.model.bundle.input_check import Checked, checked
from leverframe.domain.model.bundle.schema import AS_OF, Field, Schema
from leverframe.errors import RequestError
from leverframe.serving.v2_request import read

SCHEMA = Schema(
    "m", Label("y", "binary"), ("0", "1"),
    columns=(Field("place", "text"), Field("size", "number"), Field("fresh", "boolean")),
    keys=(Field("place", "text"), Field("id", "number", datatype="INT64"), Field(AS_OF, "text", longest=40)),
)  # fmt: skip


def ask(place: dict[str, Any], parameters: Any = None, **others: dict[str, Any]) -> Checked:
    """Return a request by columns of two rows, checked as a server does."""
    inputs = [
        {"name": "place", "shape": [2], "datatype": "BYTES", "data": ["a", "b"], **place},
        {"name": "size", "shape": [2], "datatype": "FP64", "data": [1.5, 2.5], **others.get("size", {})},
        {"name": "fresh", "shape": [2], "datatype": "BOOL", "data": [True, False], **others.get("fresh", {})},
    ]
    body = {"inputs": inputs} | ({} if parameters is None else {"parameters": parameters})
    return checked(SCHEMA, read(json.dumps(body).encode()).plain())


def packed(*texts: str | None, how: str = "base64") -> list[str | None]:
    """Return texts as a client encodes them."""
    encode = (lambda data: base64.b64encode(data).decode()) if how == "base64" else bytes.hex
    return [None if text is None else encode(text.encode()) for text in texts]


NAMES = st.sampled_from(["content_type", "Content_Type", "content-type", "contentType"])
texts = st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=20), min_size=2, max_size=2)


@given(
    texts, st.sampled_from(["base64", "hex"]), NAMES, st.sampled_from([str.lower, str.upper, str.title]), st.booleans(),
    st.booleans(),
)  # fmt: skip
def test_encoded_texts_are_decoded(
    values: list[str | None], how: str, name: str, case: Any, of_request: bool, rows: bool
) -> None:
    """Whatever the text, the case of the name and of the type, in the parameters of the input or of the request."""
    sent: list[Any] = packed(*values, how=how)
    data = {"data": [[value] for value in sent] if rows else sent}
    named = {name: case(how)}
    request = ask(data, named) if of_request else ask({**data, "parameters": named})
    assert request.columns["place"].tolist() == values
    assert request.columns["size"].tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    ("place", "fault"),
    [
        ({"parameters": {"content_type": "base64"}}, "`place` in row 0 is 'a'"),
        ({"data": ["YQ==", "YQ"], "parameters": {"content_type": "base64"}}, "`place` in row 1"),
        ({"data": ["YQ==", "Y Q=="], "parameters": {"content_type": "base64"}}, "`place` in row 1"),
        ({"data": ["YQ==", "/w=="], "parameters": {"content_type": "base64"}}, "`place` in row 1"),
        ({"data": ["YQ==", "é"], "parameters": {"content_type": "base64"}}, "`place` in row 1"),
        ({"data": ["61", "6"], "parameters": {"content_type": "hex"}}, "`place` in row 1"),
        ({"data": ["61", "6 1"], "parameters": {"content_type": "hex"}}, "`place` in row 1"),
        ({"data": [61, "61"], "parameters": {"content_type": "hex"}}, "`place` in row 0"),
        ({"data": "YQ==", "parameters": {"content_type": "base64"}}, "`place` has 0 values for 2 rows"),
        ({"parameters": {"content_type": "datetime"}}, "`place` has the content type 'datetime'"),
        ({"parameters": {"content_type": "pd"}}, "`place` has the content type 'pd'"),
        ({"parameters": {"content_type": "pd_json"}}, "content type 'pd_json'"),
        ({"parameters": {"content_type": "image"}}, "content type 'image'"),
        ({"parameters": {"content_type": 64}}, "content type 64"),
        ({"parameters": {"content_type": True}}, "content type True"),
        ({"parameters": {"content_type": "str", "Content-Type": "base64"}}, "content type 'base64'"),
        ({"parameters": {"nulls": "2"}}, "`place` has the parameter nulls '2'"),
        ({"parameters": {"nulls": "x"}}, "parameter nulls 'x'"),
        (
            {"parameters": {"nulls": 0}},
            "parameter nulls '0': it is no text; a text names the rows without a value, from 0 to 1",
        ),
    ],
)
def test_what_is_not_decoded_is_refused(place: dict[str, Any], fault: str) -> None:
    """With the name, and the row where there is one."""
    with pytest.raises(RequestError) as caught:
        ask(place)
    assert fault in f"{caught.value.what}: {caught.value.why}"


@pytest.mark.parametrize("kind", ["base64", "HEX", "str", "datetime"])
def test_numbers_have_no_encoding(kind: str) -> None:
    """Of an input of numbers such a type is refused; one of the request means its texts."""
    with pytest.raises(RequestError, match="`size` has the content type"):
        ask({}, size={"parameters": {"content_type": kind}})


@pytest.mark.parametrize("kind", ["np", "NP", "str", " str ", ""])
def test_types_that_change_nothing(kind: str) -> None:
    """As MLServer's clients send them, for an input or for the request."""
    named = {"content_type": kind}
    for place, parameters in (({"parameters": named}, None), ({}, named), ({}, {"content_type": "pd"}), ({}, {"x": 1})):
        request = ask(place, parameters)
        assert request.columns["place"].tolist() == ["a", "b"]


@pytest.mark.parametrize("kind", ["datetime", "pd_json", "zip", 5])
def test_a_request_of_another_type_is_refused(kind: Any) -> None:
    """It would have been taken as if it said nothing."""
    with pytest.raises(RequestError, match="the request has the content type"):
        ask({}, {"content_type": kind})


def test_too_much_is_not_even_decoded() -> None:
    """What the schema refuses anyway keeps no other request waiting."""
    many = {"data": ["YQ=="] * 500_000, "parameters": {"content_type": "base64"}}
    for place in (many, {"parameters": {"nulls": "0," * 500_000}}):
        began = time.process_time()
        with pytest.raises(RequestError):
            ask(place)
        assert time.process_time() - began < 1


def test_an_output_that_is_wanted_in_another_form_is_refused() -> None:
    """A client that asks for base64 would decode what it gets."""
    body: dict[str, Any] = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1]}]}
    for kind, fine in (("str", True), ("np", True), ("Base64", False), ("datetime", False)):
        wanted = [{"name": "label", "parameters": {"content_type": kind}}]
        asked = read(json.dumps({**body, "outputs": wanted}).encode())
        if fine:
            assert asked.plain() == asked.tensors
        else:
            with pytest.raises(RequestError, match="output `label`"):
                asked.plain()


@pytest.mark.parametrize("parameters", [[], "base64", 1, {"a": {}}, {"a": []}, dict.fromkeys(map(str, range(200)), 1)])
def test_parameters_that_are_none_are_refused(parameters: Any) -> None:
    """Of an input, of an output, of the request."""
    tensor: dict[str, Any] = {"name": "x", "shape": [1], "datatype": "FP64", "data": [1]}
    for body in (
        {"inputs": [{**tensor, "parameters": parameters}]},
        {"inputs": [tensor], "parameters": parameters},
        {"inputs": [tensor], "outputs": [{"name": "label", "parameters": parameters}]},
    ):
        with pytest.raises(RequestError) as caught:
            read(json.dumps(body).encode())
        assert "parameters` is no object" in caught.value.why


def test_rows_without_a_value_are_named() -> None:
    """As gRPC needs it: no number and no truth can be missing there, and no bytes are no text."""
    nulls = {"parameters": {"nulls": "1"}}
    request = ask({"data": ["", "b"], **nulls}, size=nulls, fresh=nulls)
    assert request.columns["place"].tolist() == ["", None]
    assert str(request.columns["size"].tolist()) == "[1.5, nan]"
    assert str(request.columns["fresh"].tolist()) == "[1.0, nan]"
    inputs = [
        {"name": "place", "shape": [2], "datatype": "BYTES", "data": ["a", "a"]},
        {"name": "id", "shape": [2], "datatype": "INT64", "data": [0, 2**53 + 1], "parameters": {"nulls": "0"}},
    ]
    assert checked(SCHEMA, read(json.dumps({"inputs": inputs}).encode()).plain()).columns["id"] == [None, 2**53 + 1]


def test_what_the_codecs_of_mlserver_make_is_read() -> None:
    """Each of them marks what it makes, with one column of rows."""
    timestamp = "2024-01-01T00:00:00+00:00"
    inputs: list[dict[str, Any]] = [
        {"name": name, "shape": [1, 1], "datatype": datatype, "data": [value], "parameters": {"content_type": kind}}
        for name, datatype, value, kind in (
            ("place", "BYTES", "Y2Fmw6k=", "base64"),
            ("id", "INT64", 1, "np"),
            (AS_OF, "BYTES", timestamp, "datetime"),
        )
    ]
    request = checked(SCHEMA, read(json.dumps({"inputs": inputs}).encode()).plain())
    assert request.columns == {"place": ["café"], AS_OF: [timestamp], "id": [1]}
    inputs[2]["data"] = ["tomorrow"]
    with pytest.raises(RequestError, match="`as_of` in row 0"):
        read(json.dumps({"inputs": inputs}).encode()).plain()
