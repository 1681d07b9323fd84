"""The star compiler against the row-by-row reference, on real Parquet files."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leverframe.adapters.disk import Disk
from leverframe.domain import layout
from leverframe.domain.features.build import run
from leverframe.domain.features.plan import Key, Lookup, Plan, compile_star
from leverframe.domain.features.star import Star
from leverframe.errors import DefinitionError, LabelError, LeakError, SourceError
from tests.fakes.reference import reference
from tests.integration.worlds import (
    ENGINE,
    MARCH,
    STAR,
    TIMESTAMP,
    TYPES,
    WORLD,
    World,
    close,
    plan_of,
    small_world,
    stored,
    worlds,
    write_world,
)
from tests.profiles import examples


def built(plan: Plan, world: World) -> list[dict[str, Any]]:
    """Return the features of March that the engine builds."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_world(world, root)
        run(plan, MARCH, WORLD, ENGINE, Disk(root).exists, root)
        return pl.read_parquet(root / layout.features(str(MARCH))).to_dicts()


slow = settings(max_examples=examples(0.2), suppress_health_check=list(HealthCheck))


@slow
@given(world=worlds(), lead_time=st.sampled_from(["0m", "3h"]))
def test_engine_equals_the_reference_for_every_verb(world: dict[str, Any], lead_time: str) -> None:
    """Ties, duplicate keys, no history, empty windows, nulls, disorder and time zones included."""
    plan = plan_of(lead_time=lead_time)
    expected = reference(plan, world["visits"], stored(world))
    actual = built(plan, world)
    assert len(actual) == len(expected)
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.keys() == theirs.keys()
        assert {name: ours[name] for name in ours if not close(ours[name], theirs[name])} == {}


@slow
@given(world=worlds(), data=st.data())
def test_nothing_known_later_changes_a_feature(world: dict[str, Any], data: Any) -> None:
    """Deleting, changing and shuffling rows that count from as_of on leaves a row's features as they are."""
    plan = plan_of()
    chosen = data.draw(st.integers(0, len(world["visits"]) - 1))
    at = as_of(plan, world["visits"][chosen])
    later = dict(world)
    columns = {"events": "seen_at", "states": "known_at", "notes": "event_time", "outcomes": "settled_at"}
    for table, known in columns.items():
        past = [row for row in world[table] if _counts_before(row, known, at)]
        future = [row for row in world[table] if not _counts_before(row, known, at)]
        kept = data.draw(st.lists(st.sampled_from(future), unique_by=id)) if future else []
        changed = [row | {"v": 777.0, "level": 777.0, "y": 777.0} for row in kept]
        later[table] = [*past, *[{name: row[name] for name in world[table][0]} for row in changed]]
    assert _features(plan, world, chosen) == _features(plan, later, chosen)


def _counts_before(row: dict[str, Any], known_at: str, at: datetime) -> bool:
    return row[known_at] is not None and bool(max(row["event_time"], row["known_at"], row[known_at]) < at)


def _features(plan: Plan, world: World, number: int) -> dict[str, Any]:
    row = built(plan, world)[number]
    return {name: row[name] for name in [*plan.features(), "as_of"]}


@slow
@given(world=worlds(), chosen=st.integers(0, 7), lead_time=st.sampled_from(["0m", "3h"]))
def test_a_row_needs_nothing_that_arrived_after_its_timestamp(world: World, chosen: int, lead_time: str) -> None:
    """All other rows of all tables that arrive at as_of or later are taken away: no feature changes."""
    plan, chosen = plan_of(lead_time=lead_time), chosen % len(world["visits"])
    visit = world["visits"][chosen]
    then = {
        table: [row for row in rows if table == "places" or _counts_before(row, "known_at", as_of(plan, visit))]
        for table, rows in world.items()
    }
    needed = {visit["id"], *(row["id"] for row in (*then["visits"], *then["outcomes"]))}  # an outcome needs its row
    then["visits"] = [row for row in world["visits"] if row["id"] in needed]
    assert _features(plan, world, chosen) == _features(plan, then, then["visits"].index(visit))


def as_of(plan: Plan, row: dict[str, Any]) -> datetime:
    """Return the timestamp that the features of a row are for."""
    timestamp: datetime = row["event_time"] - plan.lead_time
    return timestamp


@slow
@given(world=worlds(), chosen=st.integers(0, 7), lead_time=st.sampled_from(["0m", "3h"]))
def test_a_row_never_sees_what_happened_to_itself(world: World, chosen: int, lead_time: str) -> None:
    """Whatever its own outcome is, and that of rows of other tables with its key, before or after its timestamp."""
    plan, chosen = plan_of(lead_time=lead_time), chosen % len(world["visits"])
    visit = world["visits"][chosen]
    other = dict(world)
    seen = {"z": 777.0, "done_at": visit["event_time"] - timedelta(hours=1)}
    other["visits"] = [row | seen if row is visit else row for row in world["visits"]]
    for table in ("outcomes", "notes"):
        other[table] = [
            row | {"y": 777.0, "v": 777.0, "t": "own"} if row["id"] == visit["id"] else row for row in world[table]
        ]
        other[table] = [{name: row[name] for name in world[table][0]} for row in other[table]]
    assert _features(plan, world, chosen) == _features(plan, other, chosen)


@pytest.fixture
def world() -> World:
    """Give a small fixed world."""
    return small_world()


def test_a_late_correction_counts_from_when_it_was_known(world: dict[str, Any]) -> None:
    """A second version of an event leaves rows before it as they were and shows in rows after it."""
    plan, at = plan_of(), datetime(2020, 3, 2, 12, tzinfo=UTC)
    before = built(plan, world)
    late = world["events"][0] | {"v": 50.0, "seen_at": at + timedelta(minutes=90)}
    after = built(plan, world | {"events": [*world["events"], late]})
    assert before[1] == after[1]
    assert after[2]["place_v_last_2d"] == 50.0
    assert before[2]["place_v_last_2d"] == 2.0


def test_a_missing_partition_is_named(world: dict[str, Any], tmp_path: Path) -> None:
    """A month that a window reaches and that is not there stops the build; nothing is written."""
    write_world(world, tmp_path)
    gone = tmp_path / layout.raw("events", "2020-02")
    gone.unlink()
    with pytest.raises(SourceError, match=r"data/raw/events/2020-02\.parquet is missing"):
        run(plan_of(), MARCH, WORLD, ENGINE, Disk(tmp_path).exists, tmp_path)
    assert not (tmp_path / layout.FEATURES).exists()


def test_a_truncated_file_is_named_and_the_old_result_stays(world: dict[str, Any], tmp_path: Path) -> None:
    """Damage is reported with the file; what was built before is still there."""
    write_world(world, tmp_path)
    run(plan_of(), MARCH, WORLD, ENGINE, Disk(tmp_path).exists, tmp_path)
    good = (tmp_path / layout.features("2020-03")).read_bytes()
    damaged = tmp_path / layout.raw("events", "2020-03")
    damaged.write_bytes(damaged.read_bytes()[:-30])
    with pytest.raises(SourceError) as caught:
        run(plan_of(), MARCH, WORLD, ENGINE, Disk(tmp_path).exists, tmp_path)
    assert "events/2020-03.parquet" in caught.value.what
    assert (tmp_path / layout.features("2020-03")).read_bytes() == good
    assert [path.name for path in (tmp_path / layout.FEATURES).iterdir()] == ["2020-03.parquet"]


def test_a_duplicated_key_is_refused_on_spine_and_dimension(world: dict[str, Any], tmp_path: Path) -> None:
    """A row must not get several values, nor be counted twice."""
    for table in ("visits", "places"):
        write_world(world | {table: [*world[table], world[table][0]]}, tmp_path)
        with pytest.raises(SourceError, match="a key stands more than once"):
            run(plan_of(), MARCH, WORLD, ENGINE, Disk(tmp_path).exists, tmp_path)


def test_a_label_for_a_row_that_does_not_exist_is_refused(world: dict[str, Any], tmp_path: Path) -> None:
    """A label that belongs to nothing means that the two tables disagree."""
    world["outcomes"].append(world["outcomes"][0] | {"id": 99})
    write_world(world, tmp_path)
    with pytest.raises(LabelError, match="1 rows of label `high` belong to no row of `visits`"):
        run(plan_of(), MARCH, WORLD, ENGINE, Disk(tmp_path).exists, tmp_path)


def test_a_row_known_later_than_max_lag_is_refused(world: dict[str, Any], tmp_path: Path) -> None:
    """Such a row could lie in a month that no window reaches."""
    world["events"][0]["seen_at"] += timedelta(days=4)
    write_world(world, tmp_path)
    with pytest.raises(SourceError, match="more than max_lag after they happened"):
        run(plan_of(), MARCH, WORLD, ENGINE, Disk(tmp_path).exists, tmp_path)


def test_doors_for_outcomes_and_accidents_stay_shut(world: dict[str, Any], tmp_path: Path) -> None:
    """A label's table as a lookup, misspelt reveals, the compiler's own names, keys of two kinds: refused."""
    lookup = {"p": {"table": "outcomes", "key": "visit", "columns": ["y"]}}
    no_measure = {"measures": {}, "labels": STAR["labels"], "dimensions": lookup}
    with pytest.raises(LeakError, match="dimension `p` cannot show `y`"):
        Star.model_validate(STAR | no_measure)
    with pytest.raises(LeakError, match="dimension `p` looks up `outcomes`, whose rows belong to rows of the spine"):
        Star.model_validate(STAR | {"dimensions": {"p": lookup["p"] | {"columns": ["id"]}}})
    write_world(world, tmp_path)
    misspelt = {"e": {"table": "events", "known_at": "seen_at", "max_lag": "3d", "reveals": ["w"]}}
    for change, words in (
        ({"facts": STAR["facts"] | misspelt},
         "`reveals` of a fact needs the column `w`"),
        ({"spine": STAR["spine"] | {"columns": ["event_time"], "known": []}}, "`event_time` is a reserved name"),
        ({"entities": STAR["entities"] | {"place": ["g"]}}, "matches `g`, which is number, with"),
    ):  # fmt: skip
        changed = STAR | change
        if "place" in str(change.get("entities", "")):
            state = STAR["dimensions"]["state"] | {"match": {"g": "who"}}
            changed |= {"dimensions": {"state": state}}
        with pytest.raises(DefinitionError, match=words):
            run(
                compile_star(Star.model_validate(changed)),
                MARCH,
                WORLD,
                ENGINE,
                Disk(tmp_path).exists,
                tmp_path,
            )
    for column in ("__row", "hour"):
        path = tmp_path / layout.raw("visits", str(MARCH))
        write_world(world, tmp_path)
        pl.read_parquet(path).with_columns(pl.lit(1).alias(column)).write_parquet(path)
        with pytest.raises(DefinitionError, match=f"has a column `{column}`, which the compiler makes itself"):
            run(plan_of(), MARCH, WORLD, ENGINE, Disk(tmp_path).exists, tmp_path)


def test_a_column_of_two_kinds_is_refused(world: dict[str, Any], tmp_path: Path) -> None:
    """Digits read as numbers in one month and as text in another are not quietly made one kind."""
    write_world(world, tmp_path)
    path = tmp_path / layout.raw("events", "2020-02")
    earlier = pl.DataFrame(
        [world["events"][0]], schema=TYPES["events"] | {"event_time": TIMESTAMP, "known_at": TIMESTAMP}
    )
    earlier.with_columns(pl.lit("0012").alias("n")).write_parquet(path)
    with pytest.raises(SourceError, match=r"the column `n` is text in 2020-02.parquet of events and int64 in 2020-03"):
        run(plan_of(), MARCH, WORLD, ENGINE, Disk(tmp_path).exists, tmp_path)


def test_a_partition_without_rows_has_the_types_of_the_table(world: World, tmp_path: Path) -> None:
    """Keys too, which match nothing there: whoever reads all partitions gets one type a column."""
    types = []
    for rows in (world["visits"], []):
        root = tmp_path / str(len(rows))
        write_world(world | {"visits": rows, "outcomes": []}, root)
        types.append(pl.read_parquet_schema(root / run(plan_of(), MARCH, WORLD, ENGINE, Disk(root).exists, root).path))
    assert [(name, types[0][name]) for name in ("id", "k", "g", "x")] == [
        (name, types[1][name]) for name in ("id", "k", "g", "x")
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spine": STAR["spine"] | {"columns": ["xx"], "known": []}}, "the spine needs the column `xx`"),
        ({"dimensions": {"p": {"table": "states", "key": "place", "match": {"k": "who"}, "columns": ["level"]}}},
         "which changes over time"),
        ({"measures": {"m": {"fact": "events", "key": "place", "of": {"t": ["mean"]}, "windows": ["1h"]}}},
         "`mean` of `t` in table `events` makes no sense"),
        ({"dimensions": {"p": {"table": "places", "key": "place", "columns": ["sise"]}}}, "needs the column `sise`"),
    ],
)  # fmt: skip
def test_star_and_data_must_agree(change: dict[str, Any], words: str, world: dict[str, Any], tmp_path: Path) -> None:
    """What the tables do not have is refused by name before anything is built."""
    write_world(world, tmp_path)
    plan = compile_star(Star.model_validate(STAR | change))
    with pytest.raises(DefinitionError, match=words):
        run(plan, MARCH, WORLD, ENGINE, Disk(tmp_path).exists, tmp_path)


def test_a_step_that_no_engine_knows_is_refused_before_any_file_is_touched(tmp_path: Path) -> None:
    """A plan is refused by the name of the verb; there is not even a table here."""

    class Nearby(Lookup):
        """A verb of tomorrow."""

    step = Nearby("place", "places", Key(("k",), ("k",)), ("size",))
    with pytest.raises(DefinitionError, match="no engine can run the step `Nearby`"):
        run(replace(plan_of(), steps=(step,)), MARCH, WORLD, ENGINE, Disk(tmp_path).exists, tmp_path)
    assert list(tmp_path.iterdir()) == []
