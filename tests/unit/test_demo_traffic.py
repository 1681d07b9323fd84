"""The rows that the demo sends: some of each day, in order of time, and their labels by request and place."""

from __future__ import annotations

import csv
import math
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.demo.loop_traffic import Rows, write_labels
from leverframe.demo.timeline import Timeline
from tests.profiles import examples

FIRST = datetime(2013, 5, 1, 4, tzinfo=UTC)  # midnight in New York
UNTIL = FIRST + timedelta(days=31)


def table(minutes: list[int]) -> pl.DataFrame:
    """Return rows of features at minutes after the first day began."""
    return pl.DataFrame({
        "as_of": pl.Series([FIRST + timedelta(minutes=minute) for minute in minutes], dtype=pl.Datetime("us", "UTC")),
        "place": ["x" if minute % 2 else None for minute in minutes],
        "delay": [float("nan") if minute % 5 == 0 else minute / 2 for minute in minutes],
        "late": pl.Series([None if minute % 3 == 0 else minute % 2 for minute in minutes], dtype=pl.Int8),
        "late_known_at": pl.Series([UNTIL for _ in minutes], dtype=pl.Datetime("us", "UTC")),
    })  # fmt: skip


@given(st.lists(st.integers(0, 33 * 24 * 60), min_size=1, max_size=300), st.integers(1, 20))
@settings(max_examples=examples(0.5))
def test_of_each_day_come_as_many_rows_as_asked_or_all(minutes: list[int], daily: int) -> None:
    """In order of time, none after the end, no more than there are, and none that JSON cannot write."""
    rows = Rows.of(table(minutes), until=UNTIL, timezone="America/New_York", daily=daily)
    times = [datetime.fromisoformat(text) for text in rows.values["as_of"]]
    assert times == sorted(times)
    assert all(at < UNTIL for at in times)
    asked = [FIRST + timedelta(minutes=minute) for minute in minutes]
    for day in {_day(at) for at in asked if at < UNTIL}:
        there = sum(_day(at) == day for at in asked if at < UNTIL)
        assert sum(_day(at) == day for at in times) == min(daily, there)
    assert all(value is None or math.isfinite(value) for value in rows.values["delay"])


def _day(at: datetime) -> date:
    return (at - timedelta(hours=4)).date()


def test_labels_are_named_by_request_and_place(tmp_path: Path) -> None:
    """Twenty rows are a request; a row without a label has none."""
    rows = Rows.of(table(list(range(50))), until=UNTIL, timezone="America/New_York", daily=50)
    write_labels(tmp_path / "labels" / "a.csv", rows, "2013-05", "late")
    with (tmp_path / "labels" / "a.csv").open(encoding="utf-8") as handle:
        labels = list(csv.DictReader(handle))
    assert len(labels) == len([number for number in range(50) if number % 3])
    assert (labels[0]["id"], labels[0]["row"], labels[0]["label"]) == ("2013-05-0", "1", "1")
    assert (labels[-1]["id"], labels[-1]["row"], labels[-1]["label"]) == ("2013-05-2", "9", "1")
    assert labels[0]["known_at"] == UNTIL.isoformat()


def test_a_timeline_tells_each_step_once_and_shows_all() -> None:
    """A partition is a heading; the page has every step, and text of data forms no markup in it."""
    lines: list[str] = []
    timeline = Timeline(lines.append)
    for partition, name, result in (("a", "monitor", "passed"), ("a", "retrain", "<b>none</b>"), ("b", "monitor", "x")):
        with timeline.step(partition, name) as step:
            step.outcome = result
    assert [line.split("  ")[0] or line.split()[0] for line in lines] == ["a", "monitor", "retrain", "b", "monitor"]
    page = timeline.page("The loop")
    assert page.count("<tr>") == 4
    assert "<b>none</b>" not in page
