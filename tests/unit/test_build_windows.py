"""The window kernel against plain Python, function by function."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import timedelta
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leverframe.domain.data.column_types import EXACT
from leverframe.domain.features.plan import Aggregate
from leverframe.domain.features.snapshot.store import Decimals
from leverframe.domain.features.values import numbers, refuse_wide
from leverframe.domain.features.windows import Column, Timeline, Timestamps, aggregate, exact_sums
from leverframe.errors import SourceError

PLAIN: dict[str, Callable[[Sequence[float]], float | None]] = {
    "count": len,
    "sum": lambda values: math.fsum(values) if values else None,
    "mean": lambda values: math.fsum(values) / len(values) if values else None,
    "min": lambda values: min(values, default=None),
    "max": lambda values: max(values, default=None),
    "distinct": lambda values: len(set(values)),
    "share_above": lambda values: sum(value > 0.5 for value in values) / len(values) if values else None,
    "last": lambda values: values[-1] if values else None,
}
values = st.one_of(st.just(math.nan), st.sampled_from([0.0, 1.0, -1.0, 0.1, 3e9]), st.floats(-1e6, 1e6))
events = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 200), values), max_size=300)
rows = st.lists(st.tuples(st.integers(-1, 3), st.integers(-50, 260)), min_size=1, max_size=40)


def sums(numbers: np.ndarray[Any, Any], low: np.ndarray[Any, Any], high: np.ndarray[Any, Any]) -> float:
    """Return the sum of a slice."""
    return float(exact_sums(Column(numbers), low, high)[0][0])


@pytest.mark.parametrize("function", PLAIN)
@given(events=events, rows=rows, window=st.integers(1, 300))
def test_each_function_equals_plain_python(
    function: str, events: list[tuple[int, int, float]], rows: list[tuple[int, int]], window: int
) -> None:
    """Ties, empty windows, nulls, unknown keys and rows in no order included."""
    ordered = sorted(events, key=lambda event: event[:2])  # stable, as rows are
    timestamps = Timestamps(np.array([e[0] for e in ordered], np.int64), np.array([e[1] for e in ordered], np.int64))
    column = np.array([e[2] for e in ordered], np.float64)
    asked = Timestamps(np.array([r[0] for r in rows], np.int64), np.array([r[1] for r in rows], np.int64))
    timeline = Timeline(timestamps, asked)
    low, high = timeline.before(timedelta(microseconds=window)), timeline.before()
    made = aggregate(Aggregate("a", "v", function, timedelta(0), 0.5), Column(column), low, high)
    finest = float(np.nan_to_num(np.abs(column)).max(initial=0.0)) * 2.0**-140
    for (code, at), value in zip(rows, made, strict=True):
        inside = [v for c, t, v in ordered if c == code and at - window <= t < at and not math.isnan(v)]
        expected = PLAIN[function](inside)
        actual = column[int(value)] if function == "last" and not math.isnan(value) else value
        if expected is None:
            assert math.isnan(actual)
        else:
            assert actual == pytest.approx(expected, rel=1e-15, abs=finest)


@given(st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=100))
def test_sums_leave_no_residue_and_do_not_depend_on_other_rows(numbers: list[float]) -> None:
    """A window of zeros after large values is zero; a window sums to the same whatever stands before it."""
    zeros = np.array([*numbers, 0.0, 0.0])
    end = np.array([len(zeros)])
    assert sums(zeros, end - 2, end) == 0.0
    doubled = np.array([*numbers, *numbers])
    half = np.array([len(numbers)])
    assert sums(doubled, half, 2 * half) == sums(doubled, 0 * half, half)


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=50), st.floats(-1e25, 1e25), st.floats(-1e-9, 1e-9))
@example([2.2250738585e-313], 1073741824.0, 0.0)  # a subnormal number beside one that takes two parts
@example([5e-324, 1e12, 1e-300], 1e25, 2.5e-308)
def test_a_sum_is_the_same_to_the_last_bit_among_other_events(numbers: list[float], large: float, small: float) -> None:
    """Another engine's bucket, or the server's snapshot, holds other events beside the same window."""
    low, high = np.array([0]), np.array([len(numbers)])
    alone, among = Column(np.array(numbers)), Column(np.array([large, *numbers, small]))
    assert exact_sums(alone, low, high)[0] == exact_sums(among, low + 1, high + 1)[0]


def test_wide_windows_use_blocks() -> None:
    """Windows far longer than a block give the same extremes as slices do."""
    numbers = np.random.default_rng(0).normal(size=5000)
    low = np.array([0, 1, 63, 64, 100, 700, 4990, 5000])
    high = np.array([5000, 4999, 64, 65, 4500, 701, 5000, 5000])
    made = aggregate(Aggregate("a", "v", "max", timedelta(0)), Column(numbers), low, high)
    expected = [numbers[a:b].max() if b > a else math.nan for a, b in zip(low, high, strict=True)]
    np.testing.assert_array_equal(made, expected)


@given(events=events, rows=rows, window=st.integers(1, 300))
def test_keys_and_times_too_wide_for_one_number_give_the_same_positions(
    events: list[tuple[int, int, float]], rows: list[tuple[int, int]], window: int
) -> None:
    """A far key and a far timestamp make the kernel count timestamps instead of time; positions stay."""
    ordered = sorted([*events, (2**30, 2**40, 0.0)], key=lambda event: event[:2])
    code, at = (np.array([event[part] for event in ordered], np.int64) for part in (0, 1))
    asked = Timestamps(np.array([r[0] for r in rows], np.int64), np.array([r[1] for r in rows], np.int64))
    narrow, wide = Timeline(Timestamps(code[:-1], at[:-1]), asked), Timeline(Timestamps(code, at), asked)
    for back in (timedelta(0), timedelta(microseconds=window)):
        np.testing.assert_array_equal(narrow.before(back), wide.before(back))


_doubles = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(_doubles, min_size=1, max_size=40))
@example([1.797e308, 1.797e308, -1.797e308, 5e-324])
@example([2.0**60 + 2.0**8, 2.0**-1, 2.0**-60])
def test_a_sum_is_rounded_once(given: list[float]) -> None:
    """To the nearest double of the exact sum, as fractions have it; none where no double is near."""
    end = np.array([len(given)])
    total = sum(map(Fraction, given))
    actual, mean = (float(figures[0]) for figures in exact_sums(Column(np.array(given)), end - end, end))
    try:
        assert actual == float(total)
        assert mean == float(total) / len(given)
    except OverflowError:
        assert math.isnan(actual)
        assert mean == pytest.approx(float(total / len(given)), rel=1e-15)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=40), st.integers(-(2**63), 2**63 - 1))
@example([2**53, 2**53 + 1, 2**53 + 2, 2**53 + 1], 2**53)
@example([2**63 - 1, -(2**63), -2], 0)
def test_whole_numbers_are_exact(given: list[int], limit: int) -> None:
    """Beyond 2**53 neighbours are the same double: they stay apart, and add up to what they are."""
    column, end = numbers(np.array(given)), np.array([len(given)])
    made = {
        function: aggregate(Aggregate("a", "v", function, timedelta(0), limit), column, end - end, end)[0]
        for function in ("sum", "distinct", "share_above", "min", "max")
    }
    assert made["sum"] == float(Fraction(sum(given)))
    assert made["distinct"] == len(set(given))
    assert made["share_above"] == sum(value > limit for value in given) / len(given)
    assert (made["min"], made["max"]) == (float(min(given)), float(max(given)))


@given(st.lists(st.integers(-(2**53), 2**53), min_size=1, max_size=40), st.integers(1, 25), st.floats(-1e6, 1e6))
def test_decimals_are_exact(units: list[int], scale: int, limit: float) -> None:
    """0.1 and 0.2 are 0.3, and a threshold is the number that is written."""
    column, end = numbers(Decimals(np.ma.masked_array(np.array(units)), scale)), np.array([len(units)])
    exact = [Fraction(unit, 10**scale) for unit in units]
    what = Aggregate("a", "v", "share_above", timedelta(0), limit)
    assert exact_sums(column, end - end, end)[0][0] == float(sum(exact))
    assert aggregate(what, column, end - end, end)[0] == sum(term > Fraction(str(limit)) for term in exact) / len(exact)


@pytest.mark.parametrize(("scale", "limit"), [(0, 2**63 - 1), (2, EXACT)])
def test_decimals_are_as_wide_as_they_are_exact(scale: int, limit: int) -> None:
    """Without digits after the point they are whole numbers of 64 bits, with some they are added as doubles are."""
    refuse_wide("amount", limit, scale)
    with pytest.raises(SourceError, match=f"`amount` has decimals of too many digits, {scale} of them"):
        refuse_wide("amount", limit + 1, scale)
