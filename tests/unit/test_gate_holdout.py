"""How the gate compares two hold-outs: rows by key, labels, the declared period; every kind of change has an answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.review.gate.holdout_change import Declared, HoldoutChange, compared, outside, same_rows
from leverframe.domain.review.gate.row_matching import differ
from leverframe.domain.verdict import Reason
from leverframe.errors import SourceError
from tests.profiles import examples

START = datetime(2024, 4, 1, tzinfo=UTC)
DAY = 86_400_000_000
APRIL = int(START.timestamp()) * 1_000_000
HERE = Declared(("order_id",), (APRIL - 90 * DAY, APRIL), (APRIL, APRIL + 60 * DAY))


def table(rows: Sequence[tuple[Any, Any, Any]], **columns: Any) -> pl.DataFrame:
    """Return a hold-out of rows of hours after the start, key and label."""
    times = [START + timedelta(hours=hours) for hours, _, _ in rows]
    frame = pl.DataFrame(
        {
            "as_of": pl.Series(times, dtype=pl.Datetime("us", "UTC")),
            "order_id": [key for _, key, _ in rows],
            "label": [label for *_, label in rows],
        },
        strict=False,
    )
    return frame.with_columns(**columns)


def changed(
    candidate: pl.DataFrame,
    base: pl.DataFrame,
    *,
    sides: tuple[Declared, Declared | None] = (HERE, HERE),
    kind: LabelKind = "binary",
    maximum: float = 0.001,
) -> HoldoutChange:
    """Return the change from base to candidate by the key of the base."""
    key = (sides[1] or sides[0]).key
    return compared((candidate, base), same_rows(candidate, base, key), sides, kind, maximum)


ROWS = [(hours, hours % 40, hours % 3 == 0) for hours in range(1000)]
BASE = table(ROWS)


@given(
    rows=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 2)), max_size=25),
    others=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 2)), max_size=25),
)
@settings(max_examples=examples(1.0))
def test_counts_are_those_of_a_plain_comparison(
    rows: list[tuple[int, int, int]], others: list[tuple[int, int, int]]
) -> None:
    """Drawn hold-outs with keys that repeat: counted as multisets of keys, and of keys with labels."""
    change = changed(table(others), table(rows))
    ours, theirs = (Counter((hours, key) for hours, key, _ in triples) for triples in (others, rows))
    shared = (ours & theirs).total()
    alike = (Counter(others) & Counter(rows)).total()
    assert change.rows == len(rows)
    assert (change.added, change.removed) == (len(others) - shared, len(rows) - shared)
    assert change.relabelled == shared - alike
    assert change.repeated == len(others) - len(ours) + len(rows) - len(theirs)


@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.0, 0.0005, 0.001, 0.002, 0.2, 1.0]))
@settings(max_examples=examples(0.5))
def test_a_violation_begins_beyond_the_declared_share(seed: int, share: float) -> None:
    """Relabelled, removed and added rows together, in any order of rows."""
    draw = np.random.default_rng(seed)
    touched = draw.choice(1000, round(1000 * share), replace=False)
    rows = [list(row) for row in ROWS]
    for number, row in enumerate(touched):
        match number % 3:
            case 0:
                rows[row][2] = not rows[row][2]
            case 1:
                rows[row][1] = 10_000 + number
            case _:
                rows[row] = []
    kept = [(row[0], row[1], row[2]) for row in rows if row]
    order = draw.permutation(len(kept)).tolist()
    change = changed(table([kept[index] for index in order]), BASE)
    keyed = sum(number % 3 == 1 for number in range(len(touched)))
    assert change.changed == len(touched) + keyed  # another key is a row removed and one added
    assert [violation.reason for violation in change.violations()] == (
        [Reason.HOLDOUT_CHANGED] if change.changed > 1 else []
    )


def test_the_same_rows_in_another_order_are_no_change() -> None:
    """Nor in other types that hold the same values."""
    shuffled = BASE.sample(fraction=1.0, shuffle=True, seed=3)
    assert not changed(shuffled, BASE).differs
    narrow = BASE.with_columns(pl.col("label").cast(pl.Int8), pl.col("order_id").cast(pl.Float64))
    assert not changed(narrow, BASE).differs
    assert not changed(BASE, narrow).differs


def test_flipped_labels_are_told_with_the_base_rate() -> None:
    """Every positive of some hours is called negative: the audit's first game."""
    (violation,) = changed(BASE.with_columns(label=pl.col("label") & (pl.col("order_id") < 30)), BASE).violations()
    assert "0 added, 0 removed, 84 relabelled, 8.40 % of the 1,000 rows of the base" in violation.what
    assert "share of positive labels 0.334 to 0.25." in violation.what
    assert "Allowed: 0.1 %." in violation.what
    assert "gate.maximum_holdout_change" in violation.next


def test_dropped_rows_are_told() -> None:
    """The audit's second game: an anti-join."""
    change = changed(BASE.filter(pl.col("order_id") >= 5), BASE)
    assert (change.added, change.removed, change.relabelled) == (0, 125, 0)
    assert change.share == 0.125
    assert change.violations()


def moved(first: int, last: int) -> Declared:
    """Return a declaration whose hold-out lies that many days after the start."""
    return replace(HERE, holdout=(APRIL + first * DAY, APRIL + last * DAY))


def test_rows_of_a_moved_period_are_no_violation() -> None:
    """Ten days given up at the start and ten more at the end; but inside of both periods every row counts."""
    rows = [(24 * day + hour, hour, hour % 2) for day in range(30) for hour in range(0, 24, 4)]
    before, after = table([row for row in rows if row[0] < 480]), table([row for row in rows if row[0] >= 240])
    sides = (moved(10, 30), moved(0, 20))
    change = changed(after, before, sides=sides)
    assert (change.moved_in, change.moved_out, change.changed, change.rows) == (60, 60, 0, 60)
    assert change.violations() == []
    assert change.differs
    assert "because of the declared period: 60 added, 60 removed" in change.line().lower()
    lacking = changed(after.filter(pl.col("order_id") != 4), before, sides=sides)
    assert (lacking.moved_in, lacking.removed) == (50, 10)
    assert lacking.violations()
    assert changed(after, before, sides=(moved(10, 30), None)).violations()  # nothing declared, nothing explained
    assert changed(after, before, sides=(moved(0, 20), moved(0, 20))).violations()  # rows that nobody declared


def test_periods_that_do_not_meet_share_no_row() -> None:
    """All rows are explained; nothing is divided by zero, and there is no base rate."""
    before, after = table([(hours, hours, 1) for hours in range(24)]), table([(hours, 1, 0) for hours in range(24, 48)])
    change = changed(after, before, sides=(moved(1, 2), moved(0, 1)))
    assert (change.rows, change.changed, change.share, change.before) == (0, 0, 0.0, None)
    assert change.violations() == []


@pytest.mark.parametrize(
    ("candidate", "cause"),
    [
        (BASE.rename({"order_id": "order_no"}), "the hold-out of this change has no column `order_id`"),
        (BASE.with_columns(order_id=pl.format("n{}", "order_id")), "`order_id` was of type Int64 and is of type String"),  # noqa: E501
        (BASE.with_columns(as_of=pl.col("as_of") + pl.duration(hours=5)), "the same keys have other timestamps"),
        (BASE.with_columns(order_id=pl.col("order_id") + 1_000_000), ""),
        (BASE.clear(), ""),
    ],
)  # fmt: skip
def test_what_made_the_keys_differ_is_said(candidate: pl.DataFrame, cause: str) -> None:
    """A renamed key, another type, another spine time, other ids, no row at all: a violation with its cause."""
    change = changed(candidate, BASE)
    (violation,) = change.violations()
    assert cause in change.because
    assert change.because if cause else not change.because
    assert change.share == 1.0
    assert violation.reason == Reason.HOLDOUT_CHANGED


def test_a_key_that_only_the_change_has_does_not_hide_rows() -> None:
    """The key of the base counts: one that is the same for all rows would let any two rows be the same."""
    other = replace(HERE, key=())
    change = changed(BASE.with_columns(order_id=pl.lit(7)), BASE, sides=(other, HERE))
    assert change.violations()
    renamed = BASE.rename({"order_id": "order_no"}), replace(HERE, key=("order_no",))
    assert (
        "the hold-out of the base has no column `order_no`"
        in changed(renamed[0], BASE, sides=(renamed[1], renamed[1])).line()
    )


def test_copies_of_rows_are_added_rows() -> None:
    """A hold-out in which easy rows stand twice is another hold-out."""
    change = changed(pl.concat([BASE, BASE.filter(pl.col("order_id") < 4)]), BASE)
    assert (change.added, change.relabelled, change.repeated) == (100, 0, 100)
    assert "rows that share their key with another: 100" in change.line().lower()


@pytest.mark.parametrize(
    ("labels", "others", "kind", "count"),
    [
        ([1, None, 0], [1, 0, 0], "binary", 1),
        ([None, None, 1], [None, None, 1], "binary", 0),
        (["a", None, "b"], ["a", "b", "b"], "multiclass", 1),
        ([1, 2, 3], ["1", "2", "3"], "multiclass", 0),
        ([1, 2, 3], ["x", "2", "3"], "multiclass", 1),
        ([True, False, True], [1, 0, 1], "binary", 0),
        ([0.5, 1e9, -3.25], [0.5 + 1e-12, 1e9 + 1e-3, -3.25], "regression", 0),
        ([0.5, 1e9, -3.25], [0.51, 1.1e9, -3.25], "regression", 2),
        ([0.0, 0.0, 0.0], [0.0, 1e-9, 0.0], "regression", 1),
    ],
)
def test_labels_of_every_kind(labels: list[Any], others: list[Any], kind: LabelKind, count: int) -> None:
    """Nulls, texts, numbers in another type, and the last digits of a sum."""
    base, candidate = (table([(row, row, label) for row, label in enumerate(values)]) for values in (labels, others))
    change = changed(candidate, base, kind=kind)
    assert (change.added, change.removed, change.relabelled) == (0, 0, count)


def test_the_class_whose_share_changed_most_is_named() -> None:
    """A base rate of several classes is one of them."""
    base = table([(row, row, "abc"[row % 3]) for row in range(300)])
    change = changed(base.with_columns(label=pl.col("label").replace("b", "c")), base, kind="multiclass")
    assert change.rate in ("share of `b`", "share of `c`")
    assert change.before == pytest.approx(1 / 3)
    assert change.after in (0.0, pytest.approx(2 / 3))


def test_a_tolerance_of_one_allows_any_change() -> None:
    """The owner of the base branch has said so; the counts are told all the same."""
    change = changed(BASE.clear(), BASE, maximum=1.0)
    assert change.violations() == []
    assert change.removed == 1000


def test_a_file_without_timestamps_is_an_error_with_a_remedy() -> None:
    """Never a traceback of numpy."""
    with pytest.raises(SourceError, match="holds no timestamps"):
        same_rows(BASE.with_columns(as_of=pl.lit("x")), BASE, ("order_id",))


def test_rows_outside_of_a_span() -> None:
    """Of a span the end is excluded; without one all rows are outside."""
    assert outside(BASE, (APRIL, APRIL + DAY)).tolist() == list(range(24, 1000))
    assert len(outside(BASE, None)) == 1000


@pytest.mark.parametrize(("near", "other"), [(1e-10, False), (1e-8, True)])
def test_labels_near_zero_differ_by_what_the_others_are_like(near: float, other: bool) -> None:
    """Where most labels are about one, the last digits of a label that is zero say nothing."""
    ours, theirs = np.array([near, 1.0, -1.0, np.nan]), np.array([0.0, 1.0, -1.0, np.nan])
    assert differ(ours, theirs).tolist() == [other, False, False, False]


@pytest.mark.filterwarnings("error")
def test_labels_of_which_none_is_known_are_the_same() -> None:
    """No median is asked of nothing."""
    nothing = np.array([np.nan, np.inf])
    assert differ(nothing, nothing).tolist() == [False, False]
