"""What a model takes is asked of the model: the schema of its bundle allows that, and all that it allows works."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.documents import plain
from leverframe.domain.features.training_set import Feature, FeatureKind, Label
from leverframe.domain.model.bundle.acceptance import accepted
from leverframe.domain.model.bundle.conversion import hard_rows
from leverframe.domain.model.bundle.golden_rows import as_sent
from leverframe.domain.model.bundle.input_check import Tensor, checked, strict_features, unaccepted
from leverframe.domain.model.bundle.metadata import datatype, outputs
from leverframe.domain.model.bundle.schema import Accepted, Field, Schema, derived, from_json
from leverframe.errors import EstimatorError, RequestError

LABEL = (Label("y", "binary"), ("0", "1"))
KINDS: list[FeatureKind] = ["numeric", "categorical", "boolean"]


def rows_of(features: list[Feature], rows: int = 6) -> dict[str, Any]:
    """Return rows without a missing value."""
    values = {"numeric": np.arange(rows) / 2, "categorical": np.array(list("abcabc")[:rows], object),
              "boolean": np.arange(rows) % 2.0}  # fmt: skip
    return {feature.name: values[feature.kind] for feature in features}


class Picky:
    """A model that takes a missing value in some features only, of all missing at most so many, and few values."""

    def __init__(self, features: list[Feature], nullable: list[bool], strict: list[bool], most: int) -> None:
        self.features, self.nullable, self.strict, self.most = features, nullable, strict, most
        self.known = {name: set(values.tolist()) for name, values in rows_of(features).items()}

    def __call__(self, columns: Any) -> Any:
        """Return a prediction a row; raises ``EstimatorError`` as the adapter does."""
        rows = len(next(iter(columns.values())))
        missing = np.zeros(rows, int)
        for feature, nullable, strict in zip(self.features, self.nullable, self.strict, strict=True):
            for row, value in enumerate(columns[feature.name].tolist()):
                gone = value is None or value != value  # noqa: PLR0124
                missing[row] += gone
                if (gone and not nullable) or (not gone and strict and value not in self.known[feature.name]):
                    raise EstimatorError("the model cannot predict these rows", why="a value", next="another")
        if (missing > self.most).any():
            raise EstimatorError("the model cannot predict these rows", why="too few", next="more")
        return np.full(rows, 0.5)


@st.composite
def models(draw: Any) -> Picky:
    """Draw a model of up to four features."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))
    features = [Feature(f"f{number}", kind) for number, kind in enumerate(kinds)]
    flags = st.lists(st.booleans(), min_size=len(kinds), max_size=len(kinds))
    return Picky(features, draw(flags), draw(flags), draw(st.integers(0, 4)))


@given(models(), st.data())
def test_whatever_the_schema_allows_the_model_takes(model: Picky, data: Any) -> None:
    """Hard rows and any request that passes the check are predicted; what the model surely takes is allowed."""
    columns = rows_of(model.features)
    takes = accepted(model, columns, model.features, lambda: columns)
    schema = derived("m", LABEL, model.features, {}, [], takes)
    model(hard_rows(columns, schema.columns))
    values = {"text": st.none() | st.sampled_from("abcz"), "boolean": st.none() | st.booleans(),
              "number": st.none() | st.sampled_from([0, 0.5, 1, 7, 2.9375])}  # fmt: skip
    sent = {field.name: data.draw(values[field.kind]) for field in schema.columns}
    tensors = [Tensor(field.name, [1], datatype(field), [sent[field.name]]) for field in schema.columns]
    try:
        inputs = checked(schema, tensors).columns
    except RequestError:
        assert takes  # a schema of a model that takes everything refuses nothing
        return
    model(inputs)


def test_a_model_that_takes_everything_is_asked_once() -> None:
    """Training rows are not even read, and the schema says nothing of the model."""
    features = [Feature("a", "numeric"), Feature("b", "categorical")]
    asked: list[int] = []

    def predict(columns: Any) -> Any:
        asked.append(len(columns["a"]))
        return np.zeros(len(columns["a"]))

    def never() -> Any:
        raise AssertionError("training rows were read")

    assert accepted(predict, rows_of(features), features, never) == {}
    assert len(asked) == 1


@pytest.mark.parametrize(("longest", "limit"), [(3, None), (128, None), (129, 512), (300, 1024), (5000, 16_384)])
def test_long_texts_have_room(longest: int, limit: int | None) -> None:
    """A text as long as those that trained is served; the contract goes before."""
    features, texts = [Feature("a", "categorical")], np.array(["x" * longest, None, ""], object)
    takes = accepted(lambda _: np.zeros(3), {"a": texts}, features, dict)
    schema = derived("m", LABEL, features, {}, [], takes)
    assert schema.columns[0].longest == limit
    assert checked(schema, [Tensor("a", [1], "BYTES", ["x" * longest])]).rows == 1
    contract = {"a": Field("a", "text", longest=9)}
    assert derived("m", LABEL, features, contract, [Field("a", "text", longest=limit)], takes).keys[0].longest == 9


def test_the_contract_and_the_model_both_count() -> None:
    """A field may be missing if both take it so, and has the values that both allow, by columns and by keys."""
    features = [Feature("a", "categorical"), Feature("b", "boolean")]
    contract = {"a": Field("a", "text", nullable=True, allowed=("x", "y")), "b": Field("b", "boolean", nullable=False)}
    takes = {"a": Accepted(nullable=False, values=("y", "z")), "b": Accepted(nullable=True, values=(1.0,))}
    schema = derived(
        "m", LABEL, features, contract, [Field("a", "text"), Field("k", "number", datatype="UINT64")], takes
    )
    a, b = schema.columns
    assert (a.nullable, a.allowed, b.nullable, b.allowed) == (False, ("y",), False, (1.0,))
    assert schema.keys[0] == a
    assert from_json(plain(schema, without_none=True)) == schema
    for value, fine in ((True, True), (False, False)):
        tensors = [Tensor("a", [1], "BYTES", ["y"]), Tensor("b", [1], "BOOL", as_sent(np.array([value])).tolist())]
        if fine:
            assert checked(schema, tensors).columns["b"] == [1.0]
        else:
            with pytest.raises(RequestError, match="`b` in row 0 is False"):
                checked(schema, tensors)


def test_what_was_looked_up_is_refused_with_its_row() -> None:
    """Only features that are no keys, as these are checked when they are sent."""
    fields = (
        Field("k", "text", nullable=False),
        Field("n", "number", nullable=False),
        Field("t", "text", allowed=("a",)),
    )
    schema = Schema("m", LABEL[0], LABEL[1], fields, (Field("k", "text", nullable=False),))
    assert [field.name for field in strict_features(schema)] == ["n", "t"]
    columns = {"n": np.array([1.0, np.nan]), "t": np.array(["b", None], object)}
    refused = [(row, error.what) for row, error in unaccepted(strict_features(schema), columns)]
    assert refused == [(1, "`n` in row 1 has no value"), (0, "`t` in row 0 is 'b'")]


def test_an_older_schema_is_read() -> None:
    """Bundles of before say neither what the model takes nor the datatype of a key."""
    old = {"model": "m", "label": {"name": "y", "kind": "binary"}, "classes": ["0", "1"], "maximum_rows": 10,
           "columns": [{"name": "a", "kind": "number", "whole": False, "nullable": True}],
           "keys": [{"name": "k", "kind": "number", "whole": True, "nullable": False, "minimum": 1}]}  # fmt: skip
    schema = from_json(old)
    assert [datatype(field) for field in (*schema.columns, *schema.keys)] == ["FP64", "INT64"]
    assert schema.keys[0].members == frozenset()


@pytest.mark.parametrize(
    ("kind", "classes", "listed"),
    [("binary", ("0", "1"), ["1"]), ("multiclass", ("early", "late", "on time"), ["early", "late", "on time"])],
)
def test_metadata_say_whose_each_probability_is(kind: Any, classes: tuple[str, ...], listed: list[str]) -> None:
    """In the order of the values of a row; a number has none."""
    known = {output["name"]: output for output in outputs(Schema("m", Label("y", kind), classes, (), ()))}
    assert known["probability"]["parameters"] == {"classes": listed}
    assert known["probability"]["shape"] == [-1, len(listed)]
    number = outputs(Schema("m", Label("y", "regression"), (), (), ()))
    assert [output.get("parameters") for output in number] == [None]
