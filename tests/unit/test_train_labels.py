"""Labels that can be learnt, the form in which features reach a model, and the description beside it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.documents import parsed, plain
from leverframe.domain.features.training_set import Feature, Label, LabelKind
from leverframe.domain.model.table import model_inputs, texts
from leverframe.domain.model.train import ModelDescription, checked_labels, refuse_single_class
from leverframe.errors import LabelError, SourceError

FILE = Path("data/some.parquet")


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("binary", [True, False], [1, 0]),
        ("binary", [1.0, 0.0], [1, 0]),
        ("multiclass", ["a", "b"], ["a", "b"]),
        ("multiclass", [3, 1], [3, 1]),
        ("multiclass", [3.0, 1.0], [3, 1]),
        ("regression", [1, 2], [1.0, 2.0]),
    ],
)
def test_labels_take_the_form_of_their_kind(kind: LabelKind, values: list[object], expected: list[object]) -> None:
    """Booleans, whole floats and integers become what estimators expect."""
    assert checked_labels(pl.Series(values), Label("x", kind)).tolist() == expected


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("binary", [0, 2], "not 0 and 1"),
        ("binary", [0.0, float("nan")], "not 0 and 1"),
        ("multiclass", [0.5, 1.0], "not classes"),
        ("multiclass", [float("inf"), 1.0], "not classes"),
        ("regression", [1.0, float("nan")], "not finite"),
        ("regression", [1.0, float("inf")], "not finite"),
        ("regression", ["1"], "not finite"),
        ("binary", [None, None], "every label is missing"),
        ("regression", [None, 1.0], "1 labels are missing"),
        ("multiclass", [], "no rows"),
    ],
)
def test_labels_of_another_kind_are_refused(kind: LabelKind, values: list[object], words: str) -> None:
    """The error names the label, its kind and what was found."""
    with pytest.raises(LabelError, match=rf"`x` \({kind}\).*{words}"):
        checked_labels(pl.Series(values, strict=False), Label("x", kind))


def test_a_single_class_is_refused_except_for_numbers() -> None:
    """One number may repeat; one class teaches nothing."""
    refuse_single_class(np.ones(3), Label("x", "regression"))
    refuse_single_class(np.array(["a", "b"]), Label("x", "multiclass"))
    with pytest.raises(LabelError, match="all 2 training labels are a"):
        refuse_single_class(np.array(["a", "a"]), Label("x", "multiclass"))


@given(
    st.lists(
        st.tuples(st.none() | st.integers(-(2**40), 2**40), st.none() | st.booleans(), st.none() | st.text(max_size=3)),
        min_size=1,
    )
)
def test_features_reach_a_model_in_one_form(rows: list[tuple[int | None, bool | None, str | None]]) -> None:
    """Numbers and booleans are floats with NaN for null, categories text with null, in the declared order."""
    numbers, flags, names = (list(column) for column in zip(*rows, strict=True))
    table = pl.DataFrame(
        {
            "name": pl.Series(names, dtype=pl.String),
            "flag": pl.Series(flags, dtype=pl.Boolean),
            "number": pl.Series(numbers, dtype=pl.Int64),
            "more": numbers,
        }
    )
    features = [Feature("number", "numeric"), Feature("flag", "boolean"), Feature("name", "categorical")]
    inputs = model_inputs(table, features, file=FILE)
    assert inputs.columns == ["number", "flag", "name"]
    for name, values in (("number", numbers), ("flag", flags)):
        expected = [float("nan") if value is None else float(value) for value in values]
        np.testing.assert_array_equal(inputs.get_column(name).to_numpy(), expected)
    assert inputs.get_column("name").to_numpy().tolist() == names


def test_integers_may_be_categories() -> None:
    """A categorical integer is its digits, a boolean its name."""
    table = pl.DataFrame({"gate": [7, None], "open": [True, None]})
    inputs = model_inputs(table, [Feature("gate", "categorical"), Feature("open", "categorical")], file=FILE)
    assert inputs.get_column("gate").to_numpy().tolist() == ["7", None]
    assert inputs.get_column("open").to_numpy().tolist() == ["true", None]


def test_a_feature_that_does_not_fit_is_named() -> None:
    """A missing column names the nearest one; text is not guessed to be a number."""
    table = pl.DataFrame({"wind_speed": ["1"]})
    with pytest.raises(SourceError) as caught:
        model_inputs(table, [Feature("wind_sped", "numeric")], file=FILE)
    assert "did you mean `wind_speed`" in caught.value.why
    with pytest.raises(SourceError, match="`wind_speed` is numeric"):
        model_inputs(table, [Feature("wind_speed", "numeric")], file=FILE)


def test_an_all_null_column_is_all_missing() -> None:
    """A column without a type has no values, which any feature may have."""
    inputs = model_inputs(pl.DataFrame({"x": [None, None]}), [Feature("x", "numeric")], file=FILE)
    assert np.isnan(inputs.get_column("x").to_numpy()).all()
    assert texts(pl.Series([None, "a"])).tolist() == ["(missing)", "a"]


def test_a_description_survives_its_file() -> None:
    """What is written is what is read."""
    described = ModelDescription(
        label=Label("x", "multiclass"),
        features=(Feature("a", "boolean"),),
        spec="0f",
        estimator="a.b:c",
        params={"depth": 3, "sizes": [1, 2]},
        rows=7,
        first="2024-01",
        last="2024-02",
        classes=("p", "q"),
        types=("some.Type",),
        md5="d41d",
        versions={"python": "3.11"},
    )
    assert parsed(ModelDescription, json.dumps(plain(described))) == described
    assert any("7 rows from 2024-01 to 2024-02" in line for line in described.lines())
