"""Where the events of a row begin and end, found for many rows at once as for one."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.features.vector import positions

timestamps = st.lists(st.integers(0, 50).map(float), max_size=12).map(sorted)


@pytest.mark.parametrize("times", [1, 40], ids=["few", "many"])
@given(st.lists(st.tuples(timestamps, st.integers(-1, 51)), min_size=2, max_size=10))
def test_the_first_event_that_is_not_before_a_moment(times: int, asked: list[tuple[list[float], int]]) -> None:
    """Within the events of one's own key alone, whatever others have; none of them is the end."""
    ends = list(accumulate((len(own) for own, _ in asked), initial=0))
    at = np.array([timestamp for own, _ in asked for timestamp in own] or [0.0])
    start, stop = np.tile(ends[:-1], times), np.tile(ends[1:], times)
    expected = [
        begin + sum(event < timestamp for event in own) for begin, (own, timestamp) in zip(ends, asked, strict=False)
    ]
    indices = positions(at, start, stop, np.tile([float(timestamp) for _, timestamp in asked], times))
    assert indices.tolist() == expected * times
