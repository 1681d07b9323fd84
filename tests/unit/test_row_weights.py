"""What one row, and one request, may weigh as evidence of a log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.release.replay import RequestPair, summarised
from leverframe.domain.release.row_weights import ENOUGH, weights
from tests.unit.test_deploy import SCHEMA

requests = st.lists(st.frozensets(st.integers(0, 300).map(str), min_size=1, max_size=60), max_size=60)


@given(requests)
def test_no_row_and_no_request_weighs_more_than_a_twentieth_of_enough(batches: list[frozenset[str]]) -> None:
    """Where there is enough evidence, a row has at most 5 % of it, and so have the rows that one request alone has."""
    weight = weights(batches)
    total = sum(weight.values())
    assert weight.keys() == frozenset().union(*batches)
    if total < ENOUGH:
        return
    assert max(weight.values()) <= total * 0.05 + 1e-9
    for place, rows in enumerate(batches):
        own = rows.difference(*batches[:place], *batches[place + 1 :])
        assert sum(weight[row] for row in own) <= total * 0.05 + 1e-9


@given(requests)
def test_a_repeated_request_adds_nothing(batches: list[frozenset[str]]) -> None:
    """However often somebody sends it."""
    assert weights([*batches, *batches[:1] * 100]) == weights(batches)


def test_one_large_request_is_little_evidence() -> None:
    """A thousand rows of one request weigh as much as one row; beside a hundred others, as much as a twentieth."""
    large = frozenset(f"row {number}" for number in range(1000))
    assert sum(weights([large]).values()) == pytest.approx(1)
    beside = weights([large, *(frozenset([str(number)]) for number in range(100))])
    assert sum(beside[row] for row in large) == pytest.approx(5)
    assert beside["7"] == 1


def test_records_of_one_row_near_the_limit_are_one_row() -> None:
    """A hundred times the same row near one half in each record was 97 % of the rows, and refused a release."""
    noisy = [RequestPair(f"n{n}", ["near"] * 100, [[0.49]] * 100, [[0.51]] * 100, 1.0, 1.0) for n in range(30)]
    others = [RequestPair(str(n), [str(n)], [[0.1]], [[0.1]], 1.0, 1.0) for n in range(99)]
    replay = summarised(SCHEMA, [*noisy, *others])
    assert (replay.rows, replay.disagree, replay.requests) == (100, 1, 129)
    assert replay.share == pytest.approx(0.01)
