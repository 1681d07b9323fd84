"""Rows that come again, corrected: what was built for a past timestamp is what was known then."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leverframe.adapters.disk import Disk
from leverframe.adapters.duckdb.provenance import provenance
from leverframe.adapters.duckdb.splits import DuckDBSplitter
from leverframe.domain import layout
from leverframe.domain.features.build import needed_files, run
from leverframe.domain.features.plan import Plan
from leverframe.domain.features.split import SplitPart
from leverframe.errors import DefinitionError, SourceError
from tests.fakes.reference import reference
from tests.integration.worlds import (
    CORRECTED,
    CORRECTED_TYPES,
    ENGINE,
    MARCH,
    WORLD,
    World,
    close,
    corrected_worlds,
    plan_of,
    small_world,
    stored,
    write_world,
)
from tests.profiles import examples

slow = settings(max_examples=examples(0.2), suppress_health_check=list(HealthCheck))
AT = datetime(2020, 3, 2, 12, tzinfo=UTC)


def built(plan: Plan, world: World, root: Path) -> list[dict[str, Any]]:
    """Return the features of March that the engine builds."""
    write_world(world, root, CORRECTED_TYPES)
    run(plan, MARCH, WORLD, ENGINE, Disk(root).exists, root)
    return pl.read_parquet(root / layout.features(str(MARCH))).to_dicts()


@slow
@given(world=corrected_worlds(), lead_time=st.sampled_from(["0m", "3h"]))
def test_engine_equals_the_reference_for_every_verb(world: World, lead_time: str) -> None:
    """Versions in any order, late, at once, moved to another key, taken back and given again."""
    plan = plan_of(CORRECTED, lead_time=lead_time)
    expected = reference(plan, world["visits"], stored(world))
    with tempfile.TemporaryDirectory() as folder:
        actual = built(plan, world, Path(folder))
    assert len(actual) == len(expected)
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.keys() == theirs.keys()
        assert {name: (ours[name], theirs[name]) for name in ours if not close(ours[name], theirs[name])} == {}


@slow
@given(data=st.data(), hours=st.integers(1, 40))
def test_a_training_set_built_today_is_the_one_that_was_built_then(data: Any, hours: int) -> None:
    """Whatever arrived since: late rows, corrections of events, of labels and of the spine's own rows."""
    plan, then = plan_of(CORRECTED), datetime(2020, 3, 1, 5, tzinfo=UTC) + timedelta(hours=hours)
    world = data.draw(corrected_worlds())
    settled = {"settled_at": then - timedelta(minutes=30), "recorded_at": None}
    world["outcomes"] = [row | {"y": 1.0} | settled for row in world["outcomes"]] or [
        {"id": row["id"], "y": 1.0, "event_time": row["event_time"], "known_at": row["event_time"]} | settled
        for row in world["visits"][:1]
    ]
    known = {
        table: [row for row in rows if row.get("recorded_at") is None or row["recorded_at"] < then]
        for table, rows in world.items()
    }
    there = {row["id"] for row in known["visits"]}  # an outcome did not come before its visit
    known["outcomes"] = [row for row in known["outcomes"] if row["id"] in there]
    for table, change in (("outcomes", {"y": 0.0}), ("events", {"v": 77.0}), ("visits", {"x": 77.0})):
        again = data.draw(st.lists(st.sampled_from(world[table]), max_size=4)) if world[table] else []
        world[table] += [row | change | {"recorded_at": then + timedelta(hours=1)} for row in again]
    assert trained(plan, known, then) == trained(plan, world, then)


@pytest.fixture
def world() -> World:
    """Give a small world in which nothing was corrected yet."""
    world = small_world()
    for table in ("visits", "events", "outcomes"):
        world[table] = [row | {"recorded_at": None} for row in world[table]]
    world["events"] = [row | {"e": number} for number, row in enumerate(world["events"])]
    return world


def corrected(world: World, table: str, hours: float, **change: Any) -> World:
    """Return the world in which the first row of a table came again, changed, so many hours after noon."""
    again = world[table][0] | {"recorded_at": AT + timedelta(hours=hours)} | change
    return world | {table: [*world[table], again]}


def test_a_correction_replaces_what_it_corrects_and_counts_from_when_it_came(world: World, tmp_path: Path) -> None:
    """The event of noon was 2.0 and is 50.0 from half past one on: before, after, and how often it counts."""
    rows = built(plan_of(CORRECTED), corrected(world, "events", 1.5, v=50.0), tmp_path)
    assert [row["place_v_sum_2d"] for row in rows] == [None, 2.0, 50.0]
    assert [row["place_v_last_2d"] for row in rows] == [None, 2.0, 50.0]
    assert [row["place_v_count_2d"] for row in rows] == [0, 1, 1]
    assert [row["place_v_count_1h"] for row in rows] == [0, 1, 0]  # a correction does not make an event younger


def test_an_event_can_be_taken_back_and_move_to_another_key(world: World, tmp_path: Path) -> None:
    """From half past one on the event is not there any more, or is one of another place."""
    rows = built(plan_of(CORRECTED), corrected(world, "events", 1.5, seen_at=None), tmp_path)
    assert [row["place_v_count_2d"] for row in rows] == [0, 1, 0]
    rows = built(plan_of(CORRECTED), corrected(world, "events", 1.5, k="b"), tmp_path)
    assert [row["place_v_count_2d"] for row in rows] == [0, 1, 0]
    assert [row["all_v_count_20d"] for row in rows] == [0, 1, 1]


def test_all_versions_of_a_label_are_kept_and_the_newest_is_shown(world: World, tmp_path: Path) -> None:
    """What a training set takes of them depends on its timestamp."""
    first, *_ = built(plan_of(CORRECTED), corrected(world, "outcomes", 5, y=0.0), tmp_path)
    later = AT + timedelta(hours=5)
    assert (first["high"], first["high_known_at"]) == (0, later)
    assert first["high_versions"] == [{"known_at": AT, "value": 1}, {"known_at": later, "value": 0}]
    labels = []
    for hours in (0, 1, 5, 6):
        cut = SplitPart((tmp_path / layout.features(str(MARCH)),), "high", ("id",), AT + timedelta(hours=hours))
        counted = DuckDBSplitter().cut(cut, tmp_path / "train.parquet")
        labels.append((counted, pl.read_parquet(tmp_path / "train.parquet")["label"].to_list()))
    assert labels == [((0, 2, 1, None), []), *(((1, 2, 0, None), [value]) for value in (1, 1, 0))]


def test_what_was_taken_back_before_it_happened_is_no_version(world: World, tmp_path: Path) -> None:
    """A row that does not know its outcome yet, and the one that does, count from one time: there is one version."""
    pending = corrected(world, "outcomes", -5, settled_at=None)
    pending["outcomes"] = [pending["outcomes"][1], pending["outcomes"][0] | {"recorded_at": AT}]
    first, *_ = built(plan_of(CORRECTED), pending, tmp_path)
    assert first["high_versions"] == [{"known_at": AT, "value": 1}]


def test_of_versions_known_at_one_time_the_one_recorded_last_counts(world: World, tmp_path: Path) -> None:
    """Whatever their order in the file: both were recorded before the event, with which they count."""
    early = corrected(world, "events", -3, v=50.0)
    last, before = early["events"][1], early["events"][0] | {"recorded_at": AT - timedelta(hours=5)}
    for events in ([last, before], [before, last]):
        rows = built(plan_of(CORRECTED), world | {"events": events}, tmp_path)
        assert [row["place_v_sum_2d"] for row in rows] == [None, 50.0, 50.0]


def test_provenance_counts_newest_versions(world: World, tmp_path: Path) -> None:
    """A person who asks where a feature came from is told one event, and when its newest version came."""
    plan, both = plan_of(CORRECTED), corrected(world, "events", 1.5, v=50.0)
    built(plan, both, tmp_path)
    files = needed_files(plan, MARCH, WORLD, Disk(tmp_path).exists, tmp_path)
    for row, newest in ((1, "2020-03-02 12:00:00"), (2, "2020-03-02 13:30:00")):
        origins = {
            origin.feature: origin for origin in provenance(plan, tmp_path / layout.features("2020-03"), files, row)
        }
        assert (origins["place_v_sum_2d"].rows, origins["place_v_sum_2d"].newest) == (1, newest)


def test_versions_must_lie_in_one_month(world: World, tmp_path: Path) -> None:
    """A version with another event_time could lie where it is not looked for."""
    moved = corrected(world, "events", 1.5, event_time=AT + timedelta(minutes=1))
    with pytest.raises(SourceError, match="versions of one row of `events` differ in event_time"):
        built(plan_of(CORRECTED), moved, tmp_path)


def test_only_the_first_version_has_to_come_in_time(world: World, tmp_path: Path) -> None:
    """A correction may come long after max_lag, a new event may not."""
    facts = {name: fact | {"max_lag": "1d"} for name, fact in CORRECTED["facts"].items()}
    plan = plan_of(CORRECTED | {"facts": facts})
    assert len(built(plan, corrected(world, "events", 100, v=50.0), tmp_path)) == 3
    with pytest.raises(SourceError, match="more than max_lag after they happened"):
        built(plan, corrected(world, "events", 100, e=9), tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"corrections": {"events": {"key": "even", "recorded_at": "recorded_at"}}}, "names `even`"),
        ({"corrections": {"event": {"key": "event", "recorded_at": "recorded_at"}}}, "names `event`, which is not"),
        ({"corrections": {"visits": {"key": "place", "recorded_at": "recorded_at"}}}, "the spine by `visit`"),
        ({"corrections": {"events": {"key": "event", "recorded_at": "recorded"}}}, "needs the column `recorded`"),
        ({"dimensions": {"e": {"table": "events", "key": "place", "columns": ["g"],
                               "as_of": {"tolerance": "1d"}}}}, "whose rows are corrected"),
    ],
)  # fmt: skip
def test_a_declaration_that_cannot_work_is_refused(
    change: dict[str, Any], words: str, world: World, tmp_path: Path
) -> None:
    """By name, before anything is built."""
    with pytest.raises(DefinitionError, match=words):
        built(plan_of(CORRECTED | change), world, tmp_path)


def test_versions_need_a_timestamp_to_be_put_in_order(world: World, tmp_path: Path) -> None:
    """A number says nothing of when a version arrived."""
    star = CORRECTED | {"corrections": {"events": {"key": "event", "recorded_at": "v"}}}
    with pytest.raises(SourceError, match="`v` of table `events` is number, not a timestamp"):
        built(plan_of(star), world, tmp_path)


def trained(plan: Plan, world: World, then: datetime) -> list[dict[str, Any]]:
    """Return the rows before ``then`` of a training set of that timestamp, by their key."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if not world["visits"]:
            return []
        built(plan, world, root)
        columns = tuple(dict.fromkeys([*plan.keys, *plan.features()]))
        cut = SplitPart((root / layout.features(str(MARCH)),), "amount", columns, then)
        kept, *_ = DuckDBSplitter().cut(cut, root / "train.parquet")
        rows = pl.read_parquet(root / "train.parquet").to_dicts()
    assert kept == len(rows)
    return sorted((row for row in rows if row["as_of"] <= then), key=lambda row: int(row["id"]))
