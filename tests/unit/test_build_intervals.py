"""The kernel for corrected events against plain Python, and against the kernel for events."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.features.intervals import FOREVER, OwnGroups, Versions, over_versions
from leverframe.domain.features.plan import Aggregate
from leverframe.domain.features.windows import Column, Timestamps, over_events
from tests.unit.test_build_windows import PLAIN, rows, values

# An event: its place, and for each version the time until it became known, its key and its value.
version = st.tuples(st.integers(0, 150), st.integers(0, 3), values)
corrected = st.lists(st.tuples(st.integers(0, 200), st.lists(version, min_size=1, max_size=4)), max_size=60)
asked = st.integers(1, 300)


def _laid_out(events: list[Any]) -> tuple[Versions, np.ndarray[Any, Any]]:
    """Return the versions in the order of places, each known until the next one is."""
    versions = []
    for place, given_versions in sorted(events, key=lambda event: event[0]):
        known = [place + sum(version[0] for version in given_versions[1 : n + 1]) for n in range(len(given_versions))]
        until = [*known[1:], FOREVER]
        versions += [
            (code, start, end, place, value)
            for (_, code, value), start, end in zip(given_versions, known, until, strict=True)
        ]
    code, known_at, until_at, place_at = (np.array([version[n] for version in versions], np.int64) for n in range(4))
    return Versions(code, known_at, until_at, place_at), np.array([version[4] for version in versions], np.float64)


def _numbers(data: Any, count: int) -> np.ndarray[Any, Any]:
    """Return what belongs together: few numbers, so that a version belongs to several rows; -1 is none."""
    return np.array(data.draw(st.lists(st.integers(-1, 3), min_size=count, max_size=count)), np.int64)


@pytest.mark.parametrize("function", PLAIN)
@given(events=corrected, asking=rows, window=asked, data=st.data())
def test_each_function_equals_plain_python(
    function: str, events: list[Any], asking: list[tuple[int, int]], window: int, data: Any
) -> None:
    """Versions known at once, moved to another key, without a value, or a row's own, and rows in no order included."""
    versions, column = _laid_out(events)
    own = OwnGroups(_numbers(data, len(asking)), _numbers(data, len(column))) if data.draw(st.booleans()) else None
    timestamps = Timestamps(np.array([r[0] for r in asking], np.int64), np.array([r[1] for r in asking], np.int64))
    what = Aggregate("a", "v", function, timedelta(microseconds=window), 0.5)
    made = over_versions([what], {"v": Column(column)}, versions, timestamps, own)["a"]
    finest = float(np.nan_to_num(np.abs(column)).max(initial=0.0)) * 2.0**-140
    for number, ((code, at), value) in enumerate(zip(asking, made, strict=True)):
        seen = [
            index
            for index in range(len(column))
            if versions.code[index] == code
            and versions.known[index] < at <= versions.until[index]
            and at - window <= versions.place[index]
            and not math.isnan(column[index])
            and not (own and own.rows[number] == own.versions[index] >= 0)
        ]
        expected = PLAIN[function]([column[index] for index in seen])
        actual = column[int(value)] if function == "last" and not math.isnan(value) else value
        if expected is None:
            assert math.isnan(actual)
        else:
            assert actual == pytest.approx(expected, rel=1e-15, abs=finest)


@pytest.mark.parametrize("function", PLAIN)
@given(
    events=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 200), values), max_size=200),
    asking=rows,
    window=asked,
)
def test_without_corrections_it_is_the_other_kernel_to_the_last_bit(
    function: str, events: list[tuple[int, int, float]], asking: list[tuple[int, int]], window: int
) -> None:
    """A table that is declared to be corrected and never was gives the features it gave before."""
    timestamps = Timestamps(np.array([r[0] for r in asking], np.int64), np.array([r[1] for r in asking], np.int64))
    what = Aggregate("a", "v", function, timedelta(microseconds=window), 0.5)
    ordered = sorted(events, key=lambda event: event[:2])
    code, at = (np.array([event[n] for event in ordered], np.int64) for n in range(2))
    column = np.array([event[2] for event in ordered], np.float64)
    before = over_events([what], {"v": Column(column)}, Timestamps(code, at), timestamps)["a"]
    by_place = np.argsort(at, kind="stable")
    once = Versions(code[by_place], at[by_place], np.full(len(at), FOREVER), at[by_place])
    after = over_versions([what], {"v": Column(column[by_place])}, once, timestamps)["a"]
    if function == "last":
        before, after = (
            np.array([np.nan if math.isnan(value) else held[int(value)] for value in made])
            for made, held in ((before, column), (after, column[by_place]))
        )
    assert np.array_equal(before, after, equal_nan=True)
