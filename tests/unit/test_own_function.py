"""How a function that predicts is asked, and a table with the types of the sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leverframe.adapters.pyarrow import arrow_table
from leverframe.domain.own_model.runtime_form import RuntimeForm
from leverframe.errors import EstimatorError
from leverframe.serving.own_function import FunctionModel, asked

MODEL = Path("model.pkl")
FORM = RuntimeForm("shop.scoring:predict", "model.pkl", {"whole": "INT64", "text": "BYTES"})
COLUMNS = {"whole": np.array([1.0, np.nan]), "text": np.array(["a", None], object)}


def test_a_function_of_two_parameters_gets_the_path_of_its_model() -> None:
    """One with a default of its own gets the rows alone, and so does one where there is no file."""

    def both(rows: Any, model: Any) -> Any:
        return rows, model

    def rows_alone(rows: Any, batch: int = 8) -> Any:
        return rows, batch

    assert asked(both, "rows", MODEL) == ("rows", MODEL)
    assert asked(rows_alone, "rows", MODEL) == ("rows", 8)
    assert asked(len, "rows", MODEL) == 4
    with pytest.raises(TypeError):
        asked(both, "rows", None)


def test_a_table_has_the_types_of_the_sample_and_gaps_where_values_are_missing() -> None:
    table = arrow_table(
        {
            "whole": np.array([1.0, np.nan]), "broken": np.array([1.0, 0.5]), "huge": np.array([1.0, 1e30]),
            "text": np.array(["a", None], object), "flag": np.array([1.0, np.nan]), "number": np.array([0.25, np.nan]),
        },
        {"whole": "INT64", "broken": "INT64", "huge": "INT64", "text": "BYTES", "flag": "BOOL", "number": "FP64"},
    )  # fmt: skip
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds == {"whole": "int64", "broken": "double", "huge": "double", "text": "string", "flag": "bool",
                     "number": "double"}  # fmt: skip
    assert table.to_pylist()[1] == {
        "whole": None, "broken": 0.5, "huge": 1e30, "text": None, "flag": None, "number": None,
    }  # fmt: skip


def test_what_a_function_raises_is_an_error_with_a_reason() -> None:
    """A value that it does not take is a fault of the row: the server refuses that with a 400."""

    def raising(rows: Any) -> Any:
        raise ValueError(f"no such plan among {rows.num_rows}")

    with pytest.raises(EstimatorError, match="cannot predict these rows") as caught:
        FunctionModel(FORM, raising, MODEL).predict(COLUMNS)
    assert (caught.value.why, type(caught.value.__cause__)) == ("ValueError: no such plan among 2", ValueError)
    assert FunctionModel(FORM, lambda rows: [0.5] * rows.num_rows, MODEL).predict(COLUMNS).tolist() == [0.5, 0.5]
