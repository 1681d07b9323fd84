"""How many rows differ, told from two sketches: exact where that is said, else within bounds that hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from leverframe.domain.data.sketch import (
    HASHES,
    ROW_BITS,
    TABLES_OF_CELLS,
    Cell,
    Sketch,
    Stratum,
    cells,
    places,
    strata,
)
from leverframe.domain.review.diff.diff_result import Estimate, RowsDiff
from leverframe.domain.review.diff.row_diff import rows_diff
from leverframe.domain.review.diff.row_estimate import estimated
from tests.profiles import examples

Ints = NDArray[np.int64]
EXACT = 100  # elements that the guide promises to count: a changed row is two


def sketched(keys: Ints, rows: Ints, differing: NDArray[np.bool_], many: int) -> Sketch:
    """Return the sketch of a table of which only the differing rows are in cells: all others cancel anyway."""
    lowest = np.log2((keys & -keys).astype(float)).astype(int)
    numbers = np.minimum(many - 1, lowest)
    filled: list[list[list[int]]] = [[[0, 0, 0] for _ in range(cells(n) * TABLES_OF_CELLS)] for n in range(many)]
    for key, row, number in zip(keys[differing], rows[differing], numbers[differing], strict=True):
        element = (int(key) << ROW_BITS) + int(row)
        check, spots = places(element, cells(number))
        for spot in spots:
            cell = filled[number][spot]
            cell[0], cell[1], cell[2] = cell[0] + 1, cell[1] ^ element, cell[2] ^ check
    sums = [int((keys[numbers == n].astype(object) * 2654435761).sum()) % HASHES for n in range(many)]
    made: Sequence[Stratum] = [tuple(Cell(a % 256, b, c) for a, b, c in stratum) for stratum in filled]
    return Sketch(("id",), tuple(np.bincount(numbers, minlength=many).tolist()), tuple(sums), tuple(made))


def drawn(seed: int, rows: int, removed: int, added: int, changed: int) -> RowsDiff:
    """Return what is told of a drawn table that lost, got and changed that many rows."""
    draw = np.random.default_rng(seed)
    keys = draw.integers(1, 1 << 40, rows + added, dtype=np.int64)
    hashes = draw.integers(0, 1 << ROW_BITS, rows + added, dtype=np.int64)
    place = np.arange(rows + added)
    other = np.where((place >= removed) & (place < removed + changed), (hashes + 1) % (1 << ROW_BITS), hashes)
    differing = (place < removed + changed) | (place >= rows)
    many = strata(min(rows, rows - removed + added))
    base = sketched(keys[:rows], hashes[:rows], differing[:rows], many)
    return rows_diff(base, sketched(keys[removed:], other[removed:], differing[removed:], many))


def parts(diff: RowsDiff) -> tuple[Estimate | None, ...]:
    """Return the counts of rows removed, added and changed."""
    return diff.removed, diff.added, diff.changed


@given(
    seed=st.integers(0, 2**32),
    rows=st.sampled_from([200, 3000, 27_000]),
    shares=st.tuples(st.integers(0, 100), st.integers(0, 100), st.integers(0, 50)),
)
@settings(max_examples=examples(0.3))
def test_as_many_differences_as_the_guide_says_are_counted_exactly(
    seed: int, rows: int, shares: tuple[int, int, int]
) -> None:
    """Up to a hundred, however they are mixed; what is called exact is true."""
    total = shares[0] + shares[1] + 2 * shares[2]
    removed, added, changed = (share * min(1.0, EXACT / max(1, total)) // 1 for share in shares)
    truth = (int(removed), int(added), int(changed))
    for number, estimate in zip(truth, parts(drawn(seed, rows, *truth)), strict=True):
        assert estimate is not None
        # Once in thousands of tables elements share all cells: then the bounds hold.
        assert estimate.value == number if estimate.exact else estimate.low <= number <= estimate.high


def test_hardly_ever_is_a_small_number_of_differences_only_estimated() -> None:
    """Of drawn tables with a hundred differences at most one in a thousand; here a seeded sample."""
    draws = examples(5.0)
    exact = sum(
        all(estimate and estimate.exact for estimate in parts(drawn(seed, 27_000, 30, 30, 20))) for seed in range(draws)
    )
    assert exact >= draws - 1 - draws // 500


def test_bounds_hold_in_95_of_100_cases_or_more() -> None:
    """Over all sizes, whatever mixture: seeded, and with room for chance of one in a thousand (three deviations)."""
    draw = np.random.default_rng(7)
    draws, misses, estimates = examples(5.0), 0, 0
    for seed in range(draws):
        rows = int(draw.choice([1000, 5000, 27_000]))
        sizes = [int(10 ** draw.uniform(0, 3.3)) if draw.random() < 0.7 else 0 for _ in range(3)]
        removed, added, changed = min(sizes[0], rows // 2), sizes[1], min(sizes[2], rows // 2)
        diff = drawn(seed, rows, removed, added, changed)
        for estimate, truth in zip(parts(diff), (removed, added, changed), strict=True):
            if estimate is None:
                continue
            estimates += 1
            misses += not estimate.low <= truth <= estimate.high
            assert estimate.low <= estimate.value <= estimate.high
            assert estimate.high - estimate.low <= max(rows, rows - removed + added) / 2
        if diff.added and diff.removed:
            assert diff.added.value - diff.removed.value == added - removed
    assert estimates > 2 * draws
    assert misses <= 0.05 * estimates + 3 * (0.05 * 0.95 * estimates) ** 0.5


@pytest.mark.parametrize(("removed", "added"), [(0, 0), (0, 3), (40, 0), (25, 300)])
def test_keys_are_told_apart_even_where_every_row_changed(removed: int, added: int) -> None:
    """Another window changes all rows of the features: that no key came or went is still known to the row."""
    rows = 4000
    diff = drawn(1, rows, removed, added, rows - removed)
    assert diff.added is not None
    assert diff.removed is not None
    assert diff.removed.low <= removed <= diff.removed.high
    assert diff.added.low <= added <= diff.added.high
    assert diff.added.exact is (removed == added == 0)
    assert diff.changed is None or diff.changed.low > rows / 2


def test_a_key_that_stands_twice_is_two_rows() -> None:
    """Rows of one key are counted as often as they are there."""
    keys = np.array([5, 5, 9, 12, 12], dtype=np.int64)
    rows = np.arange(5, dtype=np.int64)
    every = np.ones(5, np.bool_)
    base, head = sketched(keys, rows, every, 1), sketched(keys[1:], rows[1:] + np.array([0, 0, 7, 0]), every[1:], 1)
    counts = [estimate and (estimate.value, estimate.exact) for estimate in parts(rows_diff(base, head))]
    assert counts == [(1, True), (0, True), (1, True)]
    other = replace(head, key=("other",))
    assert parts(rows_diff(base, other)) == (None, None, None)


@pytest.mark.parametrize("rows", [40, 1000])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_bounds_of_a_sample_hold_for_every_number_in_it(rows: int, share: float) -> None:
    """Against drawn samples of every size: at most one in a hundred is beyond either bound."""
    draw = np.random.default_rng(3)
    truth = round(rows * share)
    for sampled in (1, 8, rows // 2, rows - 1, rows):
        hits = draw.hypergeometric(truth, rows - truth, sampled, 2000)
        estimates: dict[int, Any] = {number: estimated(number, sampled, rows) for number in set(hits.tolist())}
        misses = sum(not estimates[number].low <= truth <= estimates[number].high for number in hits.tolist())
        assert misses <= 0.01 * 2000 + 3 * (0.01 * 2000) ** 0.5
    assert estimated(0, 0, rows) == Estimate(0, 0, rows)
