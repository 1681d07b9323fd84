"""What a model takes in a column of whole numbers, where it refuses fractions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.features.training_set import Feature
from leverframe.domain.model.bundle.acceptance import accepted
from leverframe.domain.model.bundle.schema import Field, narrowed
from leverframe.domain.own_model.opened import unpredicted
from leverframe.domain.own_model.whole_numbers import with_whole

FEATURES = (Feature("age", "numeric"), Feature("code", "numeric"), Feature("share", "numeric"))
DATATYPES = {"age": "INT64", "code": "INT64", "share": "FP64"}
COLUMNS = {"age": np.array([20.0, 30.0, 40.0]), "code": np.array([1.0, 2.0, 1.0]), "share": np.array([0.5, 0.25, 1.0])}


def strict(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Predict rows whose ages have no fraction and whose codes are known, without missing ones."""
    ages, codes = columns["age"], columns["code"]
    if not (ages == np.floor(ages)).all() or not np.isin(codes, (1.0, 2.0)).all():
        raise unpredicted("the model", "an age has a fraction, or a code is unknown")
    return ages


def test_a_column_that_takes_no_fraction_takes_every_whole_number() -> None:
    """One of codes keeps those of the sample: the model knows no other."""
    takes = accepted(strict, COLUMNS, FEATURES, lambda: COLUMNS)
    assert (takes["age"].values, takes["age"].whole) == ((20.0, 30.0, 40.0), False)
    columns = with_whole(takes, DATATYPES, strict, COLUMNS, FEATURES)
    assert (columns["age"].values, columns["age"].whole, columns["age"].nullable) == (None, True, False)
    assert (columns["code"].values, columns["code"].whole) == ((1.0, 2.0), False)
    assert "share" not in columns
    field = narrowed(Field("age", "number"), columns["age"])
    assert (field.whole, field.allowed) == (True, None)


def test_where_fractions_are_taken_nothing_is_asked_again() -> None:
    takes = with_whole({}, DATATYPES, strict, COLUMNS, FEATURES)
    assert takes == {}
