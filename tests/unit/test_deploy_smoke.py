"""What deploy sends to a candidate: any model that was bundled gives its golden rows, and refuses every bad request."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.features.training_set import Label
from leverframe.domain.model.bundle.golden_rows import refuse_unservable, tensors
from leverframe.domain.model.bundle.input_check import checked
from leverframe.domain.model.bundle.schema import AS_OF, Field, Schema
from leverframe.domain.release.smoke import bad_requests, golden_requests
from leverframe.errors import BundleError, RequestError
from leverframe.serving.v2_request import read

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(st.characters(codec="utf-8"), max_size=5), "boolean": st.booleans(),
    "number": st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False),
    "INT64": st.integers(-(2**63), 2**63 - 1), "UINT64": st.integers(0, 2**64 - 1),
}  # fmt: skip


@st.composite
def bundles(draw: Any) -> tuple[Schema, list[dict[str, Any]]]:
    """Draw a schema, whose forms may share fields, and golden rows that fit it."""
    names = draw(st.lists(st.sampled_from("abcde"), min_size=1, unique=True))
    fields = []
    for name in names:
        kind = draw(st.sampled_from(["text", "number", "boolean"]))
        exact = draw(st.sampled_from(["INT64", "UINT64"])) if kind == "number" and draw(st.booleans()) else None
        fields.append(Field(name, kind, nullable=draw(st.booleans()), datatype=exact))
    columns = draw(st.lists(st.sampled_from(fields), min_size=1, unique_by=lambda field: field.name))
    keys = draw(st.lists(st.sampled_from(fields), unique_by=lambda field: field.name))
    schema = Schema("m", Label("y", "binary"), ("0", "1"), tuple(columns), (*keys, Field(AS_OF, "text", longest=40)))
    rows: list[dict[str, Any]] = []
    for form, asked in (("columns", columns), ("keys", keys)):
        for _ in range(draw(st.integers(1, 3))):
            inputs = {field.name: _value(draw, field) for field in asked}
            inputs |= {AS_OF: "2024-01-01T00:00Z"} if form == "keys" else {}
            rows.append({"form": form, "inputs": inputs, "prediction": [0.5, 0.5]})
    return schema, rows


def _value(draw: Any, field: Field) -> Any:
    if field.nullable and draw(st.integers(0, 3)) == 0:
        return None
    return draw(VALUES[field.datatype or field.kind])


@given(bundles())
def test_every_bundle_takes_its_golden_rows_and_refuses_bad_requests(
    bundle: tuple[Schema, list[dict[str, Any]]],
) -> None:
    """Whatever its columns: deploy sends what the bundle checked, and no bad request happens to be a good one."""
    schema, golden = bundle
    refuse_unservable(schema, golden)
    for body, expected in golden_requests(schema, golden):
        assert checked(schema, read(body).plain()).rows == len(expected)
    for what, body in bad_requests(schema, golden):
        with pytest.raises(RequestError):
            raise AssertionError(f"a request with {what} is taken: {checked(schema, read(body).plain())}")


def test_golden_rows_are_what_a_server_is_sent() -> None:
    """A row that it would refuse is named with its form, column, row and value."""
    schema = Schema(
        "m", Label("y", "binary"), ("0", "1"), (Field("a", "boolean"),), (Field("k", "number", whole=True),)
    )
    golden = [
        {"form": "columns", "inputs": {"a": True}, "prediction": [0.5, 0.5]},
        {"form": "keys", "inputs": {"k": 2**53 + 1}, "prediction": [0.5, 0.5]},
    ]
    refuse_unservable(schema, golden)
    assert tensors(schema, golden[1:])[0].data == [2**53 + 1]
    for place, inputs, fault in (
        (0, {"a": 1}, "by columns: `a` in row 0 is 1"),
        (1, {"k": 0.5}, "by keys: `k` in row 0"),
    ):
        wrong = [{**row, "inputs": inputs} if at == place else row for at, row in enumerate(golden)]
        with pytest.raises(BundleError) as caught:
            refuse_unservable(schema, wrong)
        assert fault in caught.value.what


def test_many_golden_rows_of_long_texts_are_several_requests() -> None:
    """A server reads bodies of a few megabytes; together they have every row, in order."""
    schema = Schema("m", Label("y", "binary"), ("0", "1"), (Field("a", "text", longest=8192),), ())
    golden = [{"form": "columns", "inputs": {"a": "x" * 5000}, "prediction": [row, 0]} for row in range(1000)]
    bodies = list(golden_requests(schema, golden))
    assert max(len(body) for body, _ in bodies) < 1_000_100
    assert [prediction for _, part in bodies for prediction, _ in part] == list(range(1000))
    assert len(list(golden_requests(schema, golden[:64]))) == 1
