"""What counts as the same value at request time and in training, and how a difference is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.features.parity import Difference, Parity, compared, refuse
from leverframe.domain.verdict import Failed, Passed, Reason, Skipped
from leverframe.errors import ParityError


def column(values: list[Any], dtype: Any) -> Any:
    """Return a column whose None are masked."""
    empty = "" if dtype is object else 0
    return np.ma.masked_array(
        np.array([empty if value is None else value for value in values], dtype), [value is None for value in values]
    )


@pytest.mark.parametrize(
    ("built", "served", "counts", "largest"),
    [
        (column([1.0, None], float), np.array([1.0, np.nan]), (0, 0, 0), None),  # null is null in any form
        (column([1.0, 2.0], float), np.array([1.0, np.nextafter(2.0, 3)]), (1, 0, 0), 2.0**-51),
        (column([1.0, 2.0], float), np.array([np.nan, 2.0]), (0, 1, 0), None),
        (column([None, 2.0], float), np.array([4.0, 2.0]), (0, 0, 1), None),
        (column([3, None], np.int64), column([7, None], np.int64), (1, 0, 0), 4.0),
        (column([2**60, 1], np.int64), column([2**60 + 1, 1], np.int64), (1, 0, 0), 0.0),
        (column([3, 4], np.int64), np.array([3.0, 4.0]), (0, 0, 0), None),
        (column(["a", None, "b"], object), np.array(["a", None, "c"], object), (1, 0, 0), None),
        (column(["a", None], object), np.array([None, "a"], object), (0, 1, 1), None),
        (column([True, None], bool), column([False, None], bool), (1, 0, 0), 1.0),
    ],
)
def test_each_kind_of_difference_is_counted_apart(
    built: Any, served: Any, counts: tuple[int, int, int], largest: float | None
) -> None:
    """Another value, one that lacks, and one that should not be there; the last bit counts."""
    difference = compared("f", built, served)
    assert (difference.mismatch, difference.missing, difference.extra) == counts
    assert difference.largest == largest
    assert difference.rows == len(built)


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), max_size=30))
def test_a_column_equals_itself(values: list[float | None]) -> None:
    """Whatever stands in it, infinities included."""
    assert compared("f", column(values, float), column(values, float)).count == 0


def parity(*broken: Difference, rows: int = 10) -> Parity:
    """Return a result with one feature that agrees beside the given ones."""
    return Parity(rows, (Difference("same", rows, 0, 0, 0, None), *broken))


def test_no_difference_passes_and_no_row_decides_nothing() -> None:
    """An empty comparison is not a pass."""
    assert parity().verdict == Passed()
    refuse(parity())
    assert isinstance(parity(rows=0).verdict, Skipped)


def test_differences_fail_by_name_the_widest_first() -> None:
    """The error names three of them and counts the rest; the report has all."""
    broken = [Difference(f"f{number}", 10, number, 1, 0, 0.25) for number in range(1, 6)]
    outcome = parity(*broken)
    assert outcome.verdict == Failed((Reason.PARITY_BROKEN,))
    assert [difference.feature for difference in outcome.broken()] == ["f5", "f4", "f3", "f2", "f1"]
    assert outcome.lines()[0] == "failed: 10 rows of 6 features through the snapshot, 20 values differ"
    assert outcome.lines()[1] == "f5: 5 other, by up to 0.25, 1 lacking, 0 extra"
    assert [row["feature"] for row in outcome.to_json()["broken"]] == ["f5", "f4", "f3", "f2", "f1"]
    with pytest.raises(ParityError) as refused:
        refuse(outcome)
    assert refused.value.what.startswith("5 of 6 features")
    assert "f5" in refused.value.why
    assert "and 2 more" in refused.value.why
