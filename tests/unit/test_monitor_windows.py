"""Windows of live traffic: the same figures in whatever pieces and order the rows come, and nothing of a row kept."""

from __future__ import annotations

import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.domain.features.online import microseconds_of
from leverframe.domain.monitoring.batch import NO_TIME, Batch, Levels, Numbers
from leverframe.domain.monitoring.log_histogram import LogHistogram
from leverframe.domain.monitoring.log_names import day_of, is_closed, matches, may_hold, split_pattern
from leverframe.domain.monitoring.monitored_column import MonitoredColumn
from leverframe.domain.monitoring.window_summary import (
    Summaries,
    SummarySetting,
    WindowSpan,
    WindowSummary,
    predictions_of,
    taken,
)
from leverframe.domain.partition import Partition
from tests.fakes.traffic import LIVE, batch, day, levels, numbers, profile, summed

KNOWN, SETTING = profile(days=5, rows=200)
SPANS = [day(LIVE, number) for number in range(3)]


def shown(window: WindowSummary) -> dict[str, Any]:
    """Return everything that a window says."""
    columns = {}
    for name, column in [*window.columns.items(), ("prediction", window.prediction)]:
        counts = column.counts
        columns[name] = vars(column) | {
            "counts": None if counts is None else [*counts.bins.tolist(), counts.missing, counts.new],
            "total": float(f"{column.total:.9g}"),
        }
    return {
        "columns": columns, "rows": window.rows, "requests": window.requests, "duplicates": window.duplicates,
        "future": window.future, "latency": window.latency.counts.tolist(), "age": window.age.counts.tolist(),
        "looked_up": window.looked_up, "missed": dict(window.missed), "ends": (window.first, window.last),
        "releases": {name: vars(rows) for name, rows in window.releases.items()}, "scores": window.scores.tolist(),
    }  # fmt: skip


def traffic(seed: int, rows: int) -> Batch:
    """Return rows of all days, in no order, with everything that rows may have."""
    draw = np.random.default_rng(seed)
    start, end = microseconds_of(SPANS[0].start), microseconds_of(SPANS[-1].end)
    at = draw.integers(start - 10**9, end + 10**9, rows)
    strange = draw.random(rows) < 0.1
    made = batch(
        SPANS[0], rows, seed, at=at, row=draw.integers(0, 20, rows).astype(np.uint64), place=draw.integers(0, 2, rows),
        snapshot=np.where(draw.random(rows) < 0.5, NO_TIME, at - draw.integers(1, 10**12, rows)),
        missed={"dimension plane": draw.random(rows) < 0.2}, release=levels(draw.choice(["r1", "r2"], rows)),
    )  # fmt: skip
    amount = made.columns["amount"]
    assert isinstance(amount, Numbers)
    broken = Numbers(np.where(strange, np.nan, amount.values), int(strange.sum()), strange)
    return replace(made, columns={**made.columns, "amount": broken})


@given(st.integers(0, 10**6), st.integers(1, 300), st.lists(st.integers(0, 299), max_size=4), st.randoms())
@settings(deadline=None, max_examples=40)
def test_pieces_in_any_order_make_the_same_windows(seed: int, rows: int, cuts: list[int], random: Any) -> None:
    """One batch, many, or several logs that are put together: not a figure differs."""
    whole = traffic(seed, rows)
    ends = sorted({0, rows, *(cut for cut in cuts if cut < rows)})
    parts = [taken(whole, np.arange(low, high)) for low, high in pairwise(ends)]
    random.shuffle(parts)
    at_once = summed(SPANS, [whole], SETTING)
    in_parts = summed(SPANS, parts, SETTING)
    logs = [summed(SPANS, [part], SETTING) for part in parts]
    for log in logs[1:]:
        for window, other in zip(logs[0], log, strict=True):
            window.merge(other)
    for one, other, merged in zip(at_once, in_parts, logs[0], strict=True):
        assert shown(other) == shown(one)
        assert shown(merged) == shown(one)


def test_rows_are_counted_where_they_belong() -> None:
    """At the first instant of a window, not at that of the next; rows of no window are told."""
    ends = [microseconds_of(SPANS[0].start), microseconds_of(SPANS[1].start) - 1, microseconds_of(SPANS[1].start),
            microseconds_of(SPANS[2].end), microseconds_of(SPANS[0].start) - 1, NO_TIME]  # fmt: skip
    summaries = Summaries(SPANS, SETTING)
    summaries.add(batch(SPANS[0], 6, 1, at=np.array(ends)))
    assert [window.rows for window in summaries.windows] == [2, 1, 0]
    assert summaries.outside == 3


def test_a_gap_between_windows_holds_no_row() -> None:
    """Windows need not follow one another."""
    summaries = Summaries([SPANS[0], SPANS[2]], SETTING)
    summaries.add(batch(SPANS[1], 7, 1))
    assert (summaries.outside, [window.rows for window in summaries.windows]) == (7, [0, 0])
    none = Summaries([], SETTING)
    none.add(batch(SPANS[1], 7, 1))
    assert none.outside == 7


def test_a_column_tells_missing_unreadable_and_absent_apart() -> None:
    """And what is new, impossible, or not allowed."""
    columns = (
        MonitoredColumn("amount", "numeric", minimum=0, maximum=10),
        MonitoredColumn("plan", "categorical", allowed=("basic", "plus")),
        MonitoredColumn("gone", "numeric"),
    )
    setting = replace(SETTING, columns=columns)
    given_columns = {
        "amount": Numbers(np.array([1.0, np.nan, np.nan, -1.0, 11.0]), 1, np.array([False, True, False, False, False])),
        "plan": Levels(np.array([0, 1, 2, -1, 2], np.int32), ("basic", "5", "pro")),
    }
    (window, *_) = summed(SPANS, [batch(SPANS[0], 5, 1, columns=given_columns)], setting)
    amount, plan, gone = (window.columns[name] for name in ("amount", "plan", "gone"))
    assert (amount.rows, amount.missing, amount.unreadable, amount.outside) == (5, 2, 1, 2)
    assert (amount.minimum, amount.maximum, amount.total) == (-1.0, 11.0, 11.0)
    assert amount.mean == pytest.approx(11 / 3)
    assert (plan.missing, plan.new, plan.forbidden, plan.numeric) == (1, 1, 3, 1)
    assert (gone.rows, gone.absent, gone.mean) == (0, 5, None)


def test_only_levels_that_ten_rows_share_are_named() -> None:
    """The five most frequent; a name that one row has may be that of a person."""
    names = ["a"] * 12 + ["b"] * 10 + ["c"] * 9 + [f"person {number}" for number in range(3000)]
    live = batch(SPANS[0], len(names), 1)
    live = replace(live, columns={**live.columns, "plan": levels(np.array(names))})
    (window, *_) = summed(SPANS, [taken(live, np.arange(start, len(names), 3)) for start in range(3)], SETTING)
    plan = window.columns["plan"]
    assert plan.named() == (("a", 12), ("b", 10))
    assert plan.new == len(names)
    assert len(plan.new_levels) <= 4000


def test_numbers_whose_sum_no_double_holds_have_no_mean() -> None:
    """And no warning that a person would see."""
    live = batch(SPANS[0], 2, 1)
    live = replace(live, columns={**live.columns, "amount": Numbers(np.array([1.7e308, 1.7e308]))})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (window, *_) = summed(SPANS, [live], SETTING)
    assert window.columns["amount"].mean is None
    assert window.columns["amount"].maximum == 1.7e308


def test_duplicates_are_counted_across_batches() -> None:
    """Rows without an id are no duplicates of one another."""
    rows = np.array([0, 0, 5, 6, 5], np.uint64)
    (window, *_) = summed(SPANS, [batch(SPANS[0], 5, 1, row=rows), batch(SPANS[0], 5, 2, row=rows)], SETTING)
    assert window.duplicates == 4
    assert window.duplicates == 4  # asked again
    assert window.requests == 10


def test_rows_of_the_future_are_counted() -> None:
    """Those of after the clock of the monitor."""
    now = SPANS[0].start + timedelta(hours=12)
    (window, *_) = summed(SPANS, [batch(SPANS[0], 500, 1)], replace(SETTING, now=now))
    assert 200 < window.future < 300


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_quantiles_of_durations_are_within_three_percent(values: list[float], share: float) -> None:
    """Of any number of values, in any number of parts."""
    whole, parts = LogHistogram(), [LogHistogram(), LogHistogram()]
    whole.add(np.array([*values, np.nan]))
    parts[0].add(np.array(values[::2]))
    parts[1].add(np.array(values[1::2]))
    parts[0].merge(parts[1])
    assert parts[0].counts.tolist() == whole.counts.tolist()
    exact = sorted(values)[max(1, int(np.ceil(share * len(values)))) - 1]
    assert whole.quantile(share) == pytest.approx(exact, rel=0.03)


def test_durations_that_are_none_count_for_nothing() -> None:
    """Negative ones, of clocks that went back, count as the shortest."""
    histogram = LogHistogram()
    histogram.add(np.array([np.nan, np.inf]))
    assert histogram.quantile(0.5) is None
    histogram.add(np.array([-5.0, 0.0]))
    assert histogram.quantile(1.0) == pytest.approx(0.001, rel=0.03)


def test_predictions_of_many_classes_are_the_most_probable_one() -> None:
    """A row without all probabilities has none."""
    made = batch(SPANS[0], 3, 1, predictions=np.array([[0.2, 0.8], [0.6, 0.4], [np.nan, 1.0]]))
    predictions = predictions_of(made, ("a", "b"))
    assert isinstance(predictions, Levels)
    assert predictions.codes.tolist() == [1, 0, -1]
    assert numbers([1.0]).values.tolist() == [1.0]


@pytest.mark.parametrize("period", ["hour", "day", "week", "month"])
def test_windows_follow_one_another_whatever_clocks_do(period: Any) -> None:
    """Also around the nights in which clocks change."""
    first = Partition.at(datetime(2026, 3, 28, 22), period)  # noqa: DTZ001 - local, as clocks show it
    spans = [WindowSpan.of(first.plus(number), "Europe/Berlin") for number in range(30)]
    assert all(one.end == other.start for one, other in pairwise(spans))
    assert all(span.start <= span.end for span in spans)


def test_names_of_files_tell_which_are_closed_and_of_when() -> None:
    """A day of slack on either side, as a file is named after the day on which it was opened."""
    assert is_closed("dt=2026-01-02/1.jsonl")
    assert is_closed("a/b.parquet")
    assert is_closed("b.csv.gz")
    for name in ("1.jsonl.part", ".x.jsonl", "_tmp/1.jsonl", "../1.jsonl", "a.md", "jsonl", "a/.git/b.csv"):
        assert not is_closed(name), name
    day_start = datetime(2026, 1, 2, tzinfo=UTC)
    kept = [day for day in range(1, 9) if may_hold(f"dt=2026-01-0{day}/1.jsonl", day_start + timedelta(days=2),
                                                     day_start + timedelta(days=3))]  # fmt: skip
    assert kept == [2, 3, 4, 5]
    assert may_hold("any.jsonl", day_start, day_start)
    assert day_of("dt=2026-13-45/1.jsonl") is None
    assert day_of("x/dt=2026-01-02/1.jsonl") == microseconds_of(day_start)


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("", "a/b.csv", True), ("*.csv", "a.csv", True), ("*.csv", "a/b.csv", False), ("**/*.csv", "b.csv", True),
        ("**/*.csv", "a/b/c.csv", True), ("a/**", "a/b/c.csv", True), ("dt=*/*.jsonl", "dt=1/2.jsonl", True),
        ("[ab].csv", "b.csv", True), ("?.csv", "ab.csv", False),
    ],
)  # fmt: skip
def test_patterns_are_those_of_paths(pattern: str, name: str, fits: bool) -> None:
    """One star stays within a name."""
    assert matches(name, pattern) is fits


def test_a_pattern_begins_at_its_first_wildcard() -> None:
    """What stands before it is the folder to look in."""
    assert split_pattern("s3://bucket/log/dt=*/*.jsonl") == ("s3://bucket/log", "dt=*/*.jsonl")
    assert split_pattern("log") == ("log", "")
    assert SummarySetting((), datetime(2026, 1, 1, tzinfo=UTC)).now_us == 1767225600000000
