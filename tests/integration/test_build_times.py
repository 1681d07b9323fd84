"""When rows count and which timestamps may say so: arrivals, own events, and the types of times, on real files."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from leverframe.adapters.disk import Disk
from leverframe.adapters.duckdb.provenance import provenance
from leverframe.adapters.duckdb.query import arrow_table
from leverframe.adapters.polars import PolarsFrames
from leverframe.domain import layout
from leverframe.domain.data.ingest import Source
from leverframe.domain.data.ingest import run as ingest
from leverframe.domain.data.readers import Function
from leverframe.domain.features.build import needed_files, run
from leverframe.domain.features.plan import Plan
from leverframe.domain.partition import Partition
from leverframe.errors import DefinitionError, SourceError
from tests.fakes.reference import reference
from tests.integration.worlds import (
    ENGINE,
    MARCH,
    STAR,
    TIMESTAMP,
    WORLD,
    ZONE,
    World,
    close,
    in_month,
    plan_of,
    small_world,
    stored,
    worlds,
    write_world,
)
from tests.profiles import examples

NOON = datetime(2020, 3, 2, 12, tzinfo=UTC)
TIMES = {
    "visits": ["event_time", "known_at", "done_at"],
    "events": ["event_time", "known_at", "seen_at"],
    "states": ["event_time", "known_at"],
    "outcomes": ["event_time", "known_at", "settled_at"],
    "notes": ["event_time", "known_at", "read_at"],
}
READABLE: Mapping[str, pl.DataType] = {
    "milliseconds": pl.Datetime("ms", "UTC"),
    "of another zone": pl.Datetime("us", ZONE),
    "milliseconds of another zone": pl.Datetime("ms", "Asia/Kathmandu"),
}
REFUSED: Mapping[str, pl.DataType] = {
    "local time": pl.Datetime("us"),
    "local time in nanoseconds": pl.Datetime("ns"),
    "local time in milliseconds": pl.Datetime("ms"),
    "nanoseconds": pl.Datetime("ns", "UTC"),
    "date": pl.Date(),
    "text": pl.String(),
    "number": pl.Int64(),
}


def built(plan: Plan, root: Path) -> list[dict[str, Any]]:
    """Return the features of March that the engine builds of the tables below ``root``."""
    run(plan, MARCH, WORLD, ENGINE, Disk(root).exists, root)
    return pl.read_parquet(root / layout.features(str(MARCH))).to_dicts()


def retyped(root: Path, table: str, column: str, dtype: pl.DataType, months: list[Partition]) -> None:
    """Write a time column of a table in another type, in some months."""
    for month in months:
        path = root / layout.raw(table, str(month))
        frame = pl.read_parquet(path)
        local = pl.col(column).dt.convert_time_zone(ZONE).dt.replace_time_zone(None)
        times = pl.col(column) if getattr(dtype, "time_zone", None) or dtype == pl.Int64 else local
        value = times.dt.convert_time_zone(dtype.time_zone) if getattr(dtype, "time_zone", None) else times  # type: ignore[attr-defined]
        frame.with_columns(value.cast(dtype)).write_parquet(path)


@settings(max_examples=examples(0.6), suppress_health_check=list(HealthCheck))
@given(world=worlds(), data=st.data())
def test_a_time_of_any_type_is_read_as_it_is_or_refused_by_name(world: World, data: Any) -> None:
    """Every time column of every table, in every month or in one: no value differs, and no error is a bug."""
    table = data.draw(st.sampled_from(sorted(TIMES)))
    column, kind = data.draw(st.sampled_from(TIMES[table])), data.draw(st.sampled_from([*READABLE, *REFUSED]))
    months = data.draw(st.sampled_from([WORLD.groups(), [MARCH]]))
    assume(any(row[column] for row in world[table] if months == WORLD.groups() or in_month(row["event_time"], MARCH)))
    plan, expected = plan_of(), reference(plan_of(), world["visits"], stored(world))
    with TemporaryDirectory() as folder:
        root = Path(folder)
        write_world(world, root)
        retyped(root, table, column, {**READABLE, **REFUSED}[kind], months)
        if kind in REFUSED:
            with pytest.raises(SourceError, match=rf"`{column}`"):
                built(plan, root)
            return
        actual = built(plan, root)
    for ours, theirs in zip(actual, expected, strict=True):
        assert {name: ours[name] for name in ours if not close(ours[name], theirs[name])} == {}


@pytest.mark.parametrize("kind", ["local time", "nanoseconds", "date", "text"])
def test_a_time_is_refused_with_the_line_that_mends_it(kind: str, tmp_path: Path) -> None:
    """At ingest and at build, with table and column; the line does what it says, and no date becomes midnight."""
    world = small_world()
    write_world(world, tmp_path)
    retyped(tmp_path, "events", "seen_at", REFUSED[kind], WORLD.groups())
    with pytest.raises(SourceError, match=f"`seen_at` of table `events` is {kind}, not a timestamp") as refused:
        built(plan_of(), tmp_path)
    hint = refused.value.next
    assert "in the transform of the source `events`" in hint
    frame = pl.read_parquet(tmp_path / layout.raw("events", "2020-03"))
    if kind == "text":
        frame = frame.with_columns(seen_at=pl.lit("2020-03-02T07:00:00"))  # a clock of the data's own zone
    mended = eval(hint.split("`")[1].removeprefix(".with_columns(").removesuffix(")"), {"pl": pl})  # noqa: S307 - the test is of this line
    (value,) = frame.select(mended)["seen_at"].dt.convert_time_zone("UTC").to_list()
    assert value == (datetime(2020, 3, 3, 4, 59, tzinfo=UTC) if kind == "date" else NOON)
    if kind == "text":
        with pytest.raises(pl.exceptions.InvalidOperationError):
            frame.with_columns(seen_at=pl.lit("2020-03-02")).select(mended)


@pytest.mark.parametrize(
    ("dtype", "months"),
    [
        *((dtype, months) for dtype in (pl.Null(), pl.String(), TIMESTAMP) for months in (WORLD.groups(), [MARCH])),
        (pl.Float64(), [MARCH]),  # as pandas writes a month without outcomes
    ],
)
def test_a_fact_that_nobody_knows_yet_never_counts(dtype: pl.DataType, months: list[Partition], tmp_path: Path) -> None:
    """A column without any value has no type of its own, in a file of CSV or of pandas, in one month or in all."""
    world = small_world()
    for table, column in (("events", "seen_at"), ("outcomes", "settled_at")):
        world[table] = [row | {column: None} for row in world[table]]
    write_world(world, tmp_path)
    for table, column in (("events", "seen_at"), ("outcomes", "settled_at"), ("visits", "done_at")):
        for month in months:
            path = tmp_path / layout.raw(table, str(month))
            pl.read_parquet(path).with_columns(pl.lit(None, dtype).alias(column)).write_parquet(path)
    actual, expected = built(plan_of(), tmp_path), reference(plan_of(), world["visits"], stored(world))
    assert [row["place_v_count_2d"] for row in actual] == [0, 0, 0]
    for ours, theirs in zip(actual, expected, strict=True):
        assert {name: ours[name] for name in ours if not close(ours[name], theirs[name])} == {}


def ingested(root: Path, **columns: pl.Series) -> pl.DataFrame:
    """Ingest March of a table with these columns besides its times, and return what was written."""
    rows = {"at": pl.Series([NOON, NOON], dtype=TIMESTAMP)} | columns
    source = Source(Function(lambda _: rows), event_time="at", known_at="at")
    ingest({"events": source}, MARCH, WORLD, PolarsFrames(root, arrow_table), root)
    return pl.read_parquet(root / layout.raw("events", str(MARCH)))


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", ZONE])
def test_ingest_writes_every_timestamp_in_microseconds_of_utc(unit: Any, zone: str, tmp_path: Path) -> None:
    """Those of facts too, whatever pandas or a database gives; null stays null."""
    given = pl.Series([NOON, None]).dt.convert_time_zone(zone).dt.cast_time_unit(unit)
    frame = ingested(tmp_path, seen_at=given, at=pl.Series([NOON, NOON]).dt.convert_time_zone(zone).cast(given.dtype))
    assert {frame.schema[name] for name in ("seen_at", "at", "event_time", "known_at")} == {TIMESTAMP}
    assert frame["seen_at"].to_list() == [NOON, None]
    assert frame["event_time"].to_list() == [NOON, NOON]


def test_nanoseconds_that_would_be_lost_are_refused_where_they_decide(tmp_path: Path) -> None:
    """At ingest for the times of the row, at build for those of facts; another column keeps them."""
    noon = pl.Series([NOON, NOON]).cast(pl.Datetime("ns", "UTC"))
    finer = pl.select(noon + pl.duration(nanoseconds=1, time_unit="ns")).to_series()
    assert ingested(tmp_path, trace=finer).schema["trace"] == pl.Datetime("ns", "UTC")
    with pytest.raises(SourceError, match="`at` of table `events` is nanoseconds, not a timestamp"):
        ingested(tmp_path, at=finer)


def test_rows_that_arrive_late_count_late(tmp_path: Path) -> None:
    """A day's events that arrive five days later leave the windows of these days, and `max_lag` has to allow it."""
    world = small_world()
    write_world(world, tmp_path)
    assert [row["place_v_count_2d"] for row in built(plan_of(), tmp_path)] == [0, 1, 1]
    late = {"known_at": NOON + timedelta(days=5)}
    write_world(world | {"events": [row | late for row in world["events"]]}, tmp_path)
    with pytest.raises(SourceError, match="1 rows of `events` became known more than max_lag after") as refused:
        built(plan_of(), tmp_path)
    assert "of their arrival is up to 5 days, 0:00:00 after event_time" in refused.value.why
    allowed = STAR["facts"] | {"events": STAR["facts"]["events"] | {"max_lag": "9d"}}
    after = {**world["visits"][0], "id": 9, "event_time": NOON + timedelta(days=6), "known_at": NOON}
    write_world(
        world | {"events": [row | late for row in world["events"]], "visits": [*world["visits"], after]}, tmp_path
    )
    rows = built(plan_of(STAR | {"facts": allowed}), tmp_path)
    assert [row["place_v_count_2d"] for row in rows] == [0, 0, 0, 1]


def test_a_label_is_known_when_it_and_its_row_are_there(tmp_path: Path) -> None:
    """The latest of the outcome's column, its arrival, and the arrival of the row that it belongs to."""
    world, day = small_world(), timedelta(days=1)
    for outcome, visit, expected in ((0, 0, NOON), (2, 0, NOON + 2 * day), (2, 3, NOON + 3 * day)):
        label = world["outcomes"][0] | {"known_at": NOON + outcome * day}
        row = world["visits"][0] | {"known_at": NOON + visit * day}
        write_world(world | {"outcomes": [label], "visits": [row]}, tmp_path)
        assert built(plan_of(), tmp_path)[0]["high_known_at"] == expected


def test_a_table_with_the_key_of_the_spine_needs_a_word(tmp_path: Path) -> None:
    """Its rows may be a row's own: the build says which two words there are, and each does what it says."""
    note = {"id": 1, "k": "a", "v": 5.0, "t": "p", "event_time": NOON, "known_at": NOON, "read_at": NOON}
    write_world(small_world() | {"notes": [note]}, tmp_path)
    silent = {name: value for name, value in STAR["facts"]["notes"].items() if name != "own"}

    def star(**own: str) -> Plan:
        return plan_of(STAR | {"facts": STAR["facts"] | {"notes": silent | own}})

    with pytest.raises(DefinitionError, match="rows of `notes` may belong to a row of the spine") as refused:
        built(star(), tmp_path)
    assert "`own: exclude`" in refused.value.next
    assert "`own: include`" in refused.value.next
    assert [row["others_v_count_2h"] for row in built(star(own="include"), tmp_path)] == [0, 1, 1]
    assert [row["others_v_count_2h"] for row in built(star(own="exclude"), tmp_path)] == [0, 0, 1]
    files = needed_files(star(own="exclude"), MARCH, WORLD, Disk(tmp_path).exists, tmp_path)
    for row, counted in ((1, 0), (2, 1)):
        origins = provenance(star(own="exclude"), tmp_path / layout.features(str(MARCH)), files, row)
        assert next(origin.rows for origin in origins if origin.feature == "others_v_count_2h") == counted
