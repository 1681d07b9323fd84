"""Columns of the spine whose rows arrive after the timestamp at which they are used: said with the line to write."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.adapters.duckdb.late_rows import late_share
from leverframe.domain.features.late_columns import Arrivals, late_columns
from leverframe.domain.features.star import Star
from leverframe.errors import DefinitionError

LATE = Arrivals("came_at", "settled_at")
NAMES = ("channel", "amount", "copy", "visit", "customer")


def star(columns: Sequence[str] = ("channel", "copy"), known: Sequence[str] = ()) -> Star:
    return Star.model_validate(
        {
            "entities": {"visit": ["visit"], "customer": ["customer"]},
            "spine": {"table": "visits", "key": "visit", "columns": list(columns), "known": list(known)},
            "facts": {"outcome": {"table": "visits", "known_at": "settled_at", "max_lag": "3d", "reveals": ["bought"]}},
            "labels": {"bought": {"fact": "outcome", "column": "bought", "kind": "binary"}},
        }
    )


def test_the_note_has_the_lines_to_write() -> None:
    note = late_columns(star(), LATE)
    assert "rows of `visits` arrive at `settled_at`, later than `came_at`" in note
    assert "`channel`, `copy`" in note
    assert "`reveals: [bought, channel]` at the fact `outcome`" in note
    assert "`known: [channel, copy]`" in note
    assert "`copy`" in late_columns(star(known=["channel"]), LATE)
    assert "`channel`" not in late_columns(star(known=["channel"]), LATE)


@given(st.lists(st.sampled_from(NAMES), unique=True), st.data())
def test_what_is_declared_or_part_of_a_key_is_not_noted(columns: list[str], data: st.DataObject) -> None:
    known = data.draw(st.lists(st.sampled_from(columns), unique=True)) if columns else []
    note = late_columns(star(columns, known), LATE)
    asked = [name for name in columns if name not in (*known, "visit", "customer")]
    assert bool(note) is bool(asked)
    assert all(f"`{name}`" in note for name in asked)


@pytest.mark.parametrize(
    ("arrivals", "noted"),
    [
        (LATE, True),
        (Arrivals("came_at", "came_at"), False),
        (Arrivals(None, None), False),
        (Arrivals("came_at", "settled_at", 0.1), False),
        (Arrivals("came_at", "settled_at", 0.9), True),
    ],
)
def test_data_that_are_here_say_how_late_rows_are(arrivals: Arrivals, noted: bool) -> None:
    """A few late deliveries are no other knowledge."""
    assert bool(late_columns(star(), arrivals)) is noted


def test_known_changes_no_feature_and_names_a_column() -> None:
    """The definition's hash stays, so nothing is built again."""
    assert star(known=["channel"]).digest() == star().digest()
    with pytest.raises(DefinitionError, match="none of the `columns` of the spine and no key") as refused:
        star(known=["chanel"])
    assert "did you mean `channel`?" in refused.value.next


def test_the_share_of_late_rows_is_read_from_files(tmp_path: Path) -> None:
    first = datetime(2024, 1, 1, tzinfo=UTC)
    times = [first + timedelta(days=day) for day in range(4)]
    late = [times[0], times[1], *(time + timedelta(days=2) for time in times[2:])]
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    pl.DataFrame({"event_time": times, "known_at": times}).write_parquet(files[0])
    pl.DataFrame({"event_time": times, "known_at": late}).write_parquet(files[1])
    assert late_share(files) == 0.25
    assert late_share(files[1:]) == 0.5
    assert late_share([tmp_path / "none.parquet"]) is None
    pl.DataFrame({"a": [1]}).write_parquet(files[0])
    assert late_share(files[:1]) is None
