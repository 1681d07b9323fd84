"""Features at request time against the build, which is itself held to the row-by-row reference."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leverframe.adapters.disk import Disk
from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.snapshot_file import SnapshotFile, write
from leverframe.domain import layout
from leverframe.domain.features.build import run as build
from leverframe.domain.features.online import Span, about, microseconds_of, online_files
from leverframe.domain.features.parity import Parity, refuse
from leverframe.domain.features.parity import run as compare
from leverframe.domain.features.plan import Plan, Step, Windows, compile_star
from leverframe.domain.features.request import Requests, parsed, required, timestamp
from leverframe.domain.features.snapshot.store import Store
from leverframe.domain.features.star import Star
from leverframe.domain.features.vector import answered, vectors
from leverframe.domain.partition import Partition
from leverframe.errors import ParityError, RequestError, SnapshotError, SourceError
from leverframe.serving.row import RowByRow
from tests.fakes.reference import reference
from tests.integration.worlds import (
    CORRECTED,
    CORRECTED_TYPES,
    ENGINE,
    MARCH,
    SNAPSHOOTER,
    STAR,
    TYPES,
    WORLD,
    ZONE,
    World,
    batched_star,
    close,
    corrected_worlds,
    drawn,
    numbered,
    plan_of,
    small_world,
    stored,
    worlds,
    write_world,
)
from tests.profiles import by_day, examples

MANY = 100 if settings().max_examples < 100 else 10_000  # worlds in CI, and in the deep suite
APRIL = Partition.of("2020-04")
slow = settings(max_examples=examples(0.2), suppress_health_check=list(HealthCheck))
WHOLE = Span(MARCH.start(ZONE) - timedelta(days=3), APRIL.start(ZONE))
FIELDS = {"id": "number", "k": "text", "g": "number", "x": "number"}


def taken(plan: Plan, root: Path, span: Span = WHOLE) -> SnapshotFile:
    """Return a snapshot of the tables under ``root``, opened."""
    files = online_files(plan, span, WORLD, Disk(root).exists, root)
    write(root / "snapshot.bin", about(plan, span, FIELDS), SNAPSHOOTER.tables(plan, files, span))
    return SnapshotFile(root / "snapshot.bin", spec=plan.spec)


def parity(plan: Plan, root: Path, online: Plan | None = None) -> Parity:
    """Build March and compare it with what a snapshot gives, by another plan if one is given."""
    build(plan, MARCH, WORLD, ENGINE, Disk(root).exists, root)
    return compare(online or plan, [MARCH], PolarsTables(root), lambda _: closing(taken(online or plan, root)))


@pytest.mark.parametrize(("star", "types"), [(STAR, TYPES), (CORRECTED, CORRECTED_TYPES)], ids=["once", "corrected"])
@pytest.mark.parametrize("lead_time", by_day(["0s", "3h"], "3h"))
def test_many_worlds_have_the_values_of_the_reference(
    star: dict[str, Any], types: dict[str, dict[str, Any]], lead_time: str, tmp_path: Path
) -> None:
    """Late rows, early facts and own events of many worlds in the same tables, at the build and at request time."""
    batched = batched_star(star)
    plan = compile_star(Star.model_validate(batched | {"spine": batched["spine"] | {"lead_time": lead_time}}))
    many = drawn(MANY // 4, corrected_worlds() if star is CORRECTED else worlds())
    for number, part in enumerate(many[start : start + 100] for start in range(0, len(many), 100)):
        root = tmp_path / str(number)
        apart = [numbered(place, world) for place, world in enumerate(part)]
        write_world({table: [row for world in apart for row in world[table]] for table in apart[0]}, root, types)
        assert parity(plan, root).lines()[1:] == []
        built = {(row["w"], row["id"]): row for row in pl.read_parquet(root / layout.features(str(MARCH))).to_dicts()}
        expected = [row for world in apart for row in reference(plan, world["visits"], stored(world))]
        assert len(built) == len(expected)
        for row in expected:
            ours = built[row["w"], row["id"]]
            assert {name: (ours[name], row[name]) for name in row if not close(ours[name], row[name])} == {}


@slow
@given(worlds(), st.sampled_from(["0s", "45m", "2d"]))
def test_a_request_gets_what_the_build_gave_to_the_last_bit(world: World, lead_time: str) -> None:
    """Every verb, with nulls, ties, empty windows, text and number keys, and rows known lead_time."""
    plan = plan_of(lead_time=lead_time)
    with TemporaryDirectory() as folder:
        write_world(world, Path(folder))
        outcome = parity(plan, Path(folder))
    assert outcome.rows == len(world["visits"])
    assert outcome.lines()[1:] == []


@pytest.mark.parametrize("kind", ["text", "uint64", "date", "decimal"])
def test_own_events_are_left_out_by_keys_of_any_type(kind: str, tmp_path: Path) -> None:
    """At request time as at the build, which leaves out what the reference does."""
    plan = plan_of()
    world = max(drawn(15), key=lambda candidate: len({row["id"] for row in candidate["notes"]}))
    keys = {
        "text": pl.col("id").cast(pl.String),
        "uint64": (pl.col("id").cast(pl.Int128) + 2**63).cast(pl.UInt64),
        "date": pl.col("id").cast(pl.Date),
        "decimal": pl.col("id").cast(pl.Decimal(20, 0)),
    }
    expected = reference(plan, world["visits"], stored(world))
    write_world(world, tmp_path)
    for path in [
        path for table in ("visits", "outcomes", "notes") for path in (tmp_path / "data/raw" / table).iterdir()
    ]:
        pl.read_parquet(path).with_columns(keys[kind]).write_parquet(path)
    outcome = parity(plan, tmp_path)
    assert outcome.lines()[1:] == []
    actual = pl.read_parquet(tmp_path / "data/features/2020-03.parquet").to_dicts()
    names = [name for name in plan.features() if name.startswith(("others", "beside", "mine", "past"))]
    assert [[row[name] for name in names] for row in actual] == [[row[name] for name in names] for row in expected]


def test_a_request_with_a_key_of_another_type_is_refused(tmp_path: Path) -> None:
    """A number where events have texts would be equal to none, and the row's own events would count."""
    plan, world = plan_of(), small_world()
    at = world["visits"][0]["event_time"]
    world["notes"] = [{"id": 0, "k": "a", "v": 1.0, "t": "p", "event_time": at, "known_at": at, "read_at": at}]
    write_world(world, tmp_path)
    fields = {"id": ["0"], "k": ["a"], "g": [0], "x": [1.0]}
    asked = Requests(fields, np.array([microseconds_of(at + timedelta(hours=1))], np.int64))
    with pytest.raises(SnapshotError, match="key `id` is asked with '0'"):
        vectors(plan, taken(plan, tmp_path), asked)


@slow
@given(corrected_worlds(), st.sampled_from(["0s", "2d"]))
def test_a_request_gets_what_the_build_gave_of_events_that_were_corrected(world: World, lead_time: str) -> None:
    """Versions that came late, moved to another key, or took an event back."""
    plan = plan_of(CORRECTED, lead_time=lead_time)
    with TemporaryDirectory() as folder:
        write_world(world, Path(folder), CORRECTED_TYPES)
        outcome = parity(plan, Path(folder))
    assert outcome.rows == len({row["id"] for row in world["visits"]})
    assert outcome.lines()[1:] == []


@slow
@given(worlds(), st.integers(0, 30))
def test_a_snapshot_taken_in_between_answers_as_the_whole_one_does_until_then(world: World, day: int) -> None:
    """What becomes known after the snapshot was taken changes nothing for earlier timestamps."""
    _in_between(world, day, plan_of(), TYPES)


@pytest.mark.deep
@slow
@given(corrected_worlds(), st.integers(0, 30))
def test_a_correction_after_the_snapshot_changes_nothing_for_earlier_moments(world: World, day: int) -> None:
    """The version that was the newest when the snapshot was taken is not ended by one that came later."""
    _in_between(world, day, plan_of(CORRECTED), CORRECTED_TYPES)


@settings(slow, max_examples=examples(0.15))
@given(worlds(), st.sampled_from(["0s", "45m", "2d"]))
def test_row_by_row_gives_what_many_rows_give_to_the_last_bit(world: World, lead_time: str) -> None:
    """The way of single requests, over every verb: no value differs, and the same keys are counted as missing."""
    plan = plan_of(included(), lead_time=lead_time)
    with TemporaryDirectory() as folder:
        root = Path(folder)
        write_world(world, root)
        build(plan, MARCH, WORLD, ENGINE, Disk(root).exists, root)
        rows = PolarsTables(root).arrays(MARCH, [*required(plan), "as_of"])
        store = taken(plan, root)
        single = RowByRow(plan, store)
        assert single.fits
        as_of = np.ma.getdata(rows["as_of"])
        many = vectors(plan, store, Requests({name: rows[name] for name in required(plan)}, as_of))
        plain = {name: np.ma.asarray(rows[name]).tolist() for name in required(plan)}
        for row, timestamp_of_row in enumerate(as_of.tolist()):
            fields = {name: values[row] for name, values in plain.items()}
            vector = single.vector(fields, timestamp_of_row, [])
            assert vector is not None
            for name, values in many.items():
                one, other = vector[name], np.ma.asarray(values).tolist()[row]
                assert one == other or (_null(one) and _null(other)), name
        assert single.vector(fields, 0, []) is None if len(as_of) else True  # before the snapshot
        store.close()


def included() -> dict[str, Any]:
    """Return the star whose rows also see what happened to themselves."""
    others = ("outcomes", "notes")
    facts = {
        name: fact | ({"own": "include"} if fact["table"] in others else {}) for name, fact in STAR["facts"].items()
    }
    return STAR | {"facts": facts}


@pytest.mark.parametrize(("star", "types"), [(STAR, TYPES), (CORRECTED, CORRECTED_TYPES)])
def test_a_step_whose_events_are_seen_one_by_one_has_no_short_way(
    star: dict[str, Any], types: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    """It says so, and the way of many rows answers."""
    plan = plan_of(star)
    write_world(small_world(), tmp_path, types)
    assert not RowByRow(plan, taken(plan, tmp_path)).fits


def _null(value: Any) -> bool:
    return value is None or value != value  # noqa: PLR0124 - only NaN differs from itself


def _in_between(world: World, day: int, plan: Plan, types: dict[str, dict[str, Any]]) -> None:
    until = datetime(2020, 3, 1, 5, tzinfo=UTC) + timedelta(hours=day * 2)
    with TemporaryDirectory() as folder:
        root = Path(folder)
        write_world(world, root, types)
        build(plan, MARCH, WORLD, ENGINE, Disk(root).exists, root)
        rows = PolarsTables(root).arrays(MARCH, [*required(plan), "as_of"])
        kept = np.flatnonzero(np.ma.getdata(rows["as_of"]) <= microseconds_of(until))
        asked = Requests({name: rows[name][kept] for name in required(plan)}, np.ma.getdata(rows["as_of"])[kept])
        early = vectors(plan, taken(plan, root, Span(WHOLE.since, until)), asked)
        late = vectors(plan, taken(plan, root), asked)
    for name in plan.features():
        assert np.ma.asarray(early[name]).tolist() == pytest.approx(np.ma.asarray(late[name]).tolist(), nan_ok=True)


def test_one_row_and_many_rows_give_the_same(tmp_path: Path) -> None:
    """A single request looks only at its own events, many at all of them: no difference to the last bit."""
    plan = plan_of()
    write_world(small_world(), tmp_path)
    build(plan, MARCH, WORLD, ENGINE, Disk(tmp_path).exists, tmp_path)
    rows, store = PolarsTables(tmp_path).arrays(MARCH, [*required(plan), "as_of"]), taken(plan, tmp_path)
    many = {name: np.ma.concatenate([rows[name]] * 40) for name in rows}
    at = np.ma.getdata(many["as_of"])
    batch = vectors(plan, store, Requests({name: many[name] for name in required(plan)}, at))
    for row in range(len(rows["as_of"])):
        one = Requests({name: many[name][row : row + 1] for name in required(plan)}, at[row : row + 1])
        single = vectors(plan, store, one)
        for name in plan.features():
            assert str(np.ma.asarray(single[name]).tolist()[0]) == str(np.ma.asarray(batch[name]).tolist()[row]), name


def test_a_wrong_window_online_is_caught_by_name(tmp_path: Path) -> None:
    """One window of the serving plan is an hour too long: parity names that feature and no other."""
    plan = plan_of()
    write_world(small_world(), tmp_path)
    wrong: list[Step] = []
    for step in plan.steps:
        if isinstance(step, Windows) and step.name == "place":
            longer = [
                replace(aggregate, window=timedelta(0, 1)) if aggregate.name == "place_v_sum_1h" else aggregate
                for aggregate in step.aggregates
            ]
            wrong.append(replace(step, aggregates=tuple(longer)))
        else:
            wrong.append(step)
    outcome = parity(plan, tmp_path, replace(plan, steps=tuple(wrong)))
    assert [difference.feature for difference in outcome.broken()] == ["place_v_sum_1h"]
    with pytest.raises(ParityError, match=r"1 of .* features") as refused:
        refuse(outcome)
    assert "place_v_sum_1h" in refused.value.why
    assert json.loads(json.dumps(outcome.to_json()))["verdict"] == "failed"


def small(tmp_path: Path) -> tuple[Plan, Store]:
    """Return the plan and a snapshot of the small world that answers from its end."""
    plan = plan_of()
    write_world(small_world(), tmp_path)
    return plan, taken(plan, tmp_path)


def test_a_request_in_text_is_answered_with_provenance(tmp_path: Path) -> None:
    """Values, their table and key, the rows that were read, and where each window opens."""
    plan, store = small(tmp_path)
    fields = {"id": "9", "k": "a", "g": "0", "x": ""}
    answer = answered(plan, store, parsed(plan, fields, timestamp("2020-03-02T08:30-05:00"), store.about()))
    origins = {origin.feature: origin for origin in answer.origins}
    assert list(answer.values) == plan.features()
    assert answer.values["x"] is None
    assert (answer.values["hour"], answer.values["place_v_count_2d"], answer.values["place_t_last_2d"]) == (8, 1, "p")
    assert (origins["place_v_sum_2d"].value, origins["place_v_sum_2d"].table, origins["place_v_sum_2d"].rows) == (
        "2",
        "events",
        1,
    )
    assert origins["place_v_sum_2d"].opens == "2020-02-29 13:30:00"
    assert origins["place_v_sum_2d"].newest == "2020-03-02 12:00:00"
    assert answer.values["place_v_sum_1h"] is None  # the event is an hour and a half old: it left this window
    assert "2020-04-01 04:00:00" in answer.lines()[-1]


def test_a_feature_given_by_its_name_goes_before_the_snapshot(tmp_path: Path) -> None:
    """As a forecast of the weather would be, which no table has yet."""
    plan, store = small(tmp_path)
    fields = {"id": "9", "k": "a", "g": "0", "x": "1.5", "state_level": "7.5", "state_mode": "on"}
    answer = answered(plan, store, parsed(plan, fields, timestamp("2020-03-02T12:00Z"), store.about()))
    assert (answer.values["state_level"], answer.values["state_mode"]) == (7.5, "on")
    assert next(origin.table for origin in answer.origins if origin.feature == "state_level") == "request"


@pytest.mark.parametrize(
    ("fields", "at", "message"),
    [
        ({"id": "9", "g": "0", "x": "1"}, "2020-03-02T12:00Z", "lacks `k`"),
        ({"k": "a", "g": "0", "x": "1"}, "2020-03-02T12:00Z", "lacks `id`"),  # of which own events are left out
        ({"id": "nine", "k": "a", "g": "0", "x": "1"}, "2020-03-02T12:00Z", "`id` is a number, not `nine`"),
        ({"k": "a", "g": "0", "x": "1", "kk": "1"}, "2020-03-02T12:00Z", "`kk` is no field"),
        ({"k": "a", "g": "zero", "x": "1"}, "2020-03-02T12:00Z", "`g` is a number, not `zero`"),
        ({"k": "a", "g": "0", "x": "1"}, "2020-03-02T12:00", "no time zone"),
        ({"k": "a", "g": "0", "x": "1"}, "noon", "no timestamp"),
        ({"id": "9", "k": "a", "g": "0", "x": "1"}, "2019-03-02T12:00Z", "cannot answer for 2019-03-02"),
    ],
)
def test_a_request_that_cannot_be_answered_is_refused(
    tmp_path: Path, fields: dict[str, str], at: str, message: str
) -> None:
    """What is lacking or wrong is named; nothing is guessed."""
    plan, store = small(tmp_path)
    with pytest.raises(RequestError) as refused:
        answered(plan, store, parsed(plan, fields, timestamp(at), store.about()))
    assert message in refused.value.what


def test_another_definition_or_a_missing_month_is_refused(tmp_path: Path) -> None:
    """A snapshot of another star.yaml is not opened; a month that is not there is named."""
    small(tmp_path)
    with pytest.raises(SnapshotError, match="cannot be used"):
        SnapshotFile(tmp_path / "snapshot.bin", spec=plan_of(lead_time="1h").spec)
    (tmp_path / "data/raw/events/2020-02.parquet").unlink()
    with pytest.raises(SourceError, match=r"2020-02\.parquet is missing"):
        taken(plan_of(), tmp_path)
    with pytest.raises(SnapshotError, match="cannot answer"):
        Span(APRIL.start(ZONE), MARCH.start(ZONE))


def test_the_columns_of_a_built_month_come_back_whole(tmp_path: Path) -> None:
    """Integers beyond 2**53, texts and nulls are compared as they are."""
    path = tmp_path / "data/features/2020-03.parquet"
    path.parent.mkdir(parents=True)
    at = datetime(2020, 3, 1, tzinfo=UTC)
    pl.DataFrame({"n": [2**60 + 1, None], "t": ["a", None], "b": [True, None], "at": [at, at]}).write_parquet(path)
    columns = PolarsTables(tmp_path).arrays(MARCH, ["n", "t", "b", "at"])
    assert [column.tolist() for column in columns.values()] == [
        [2**60 + 1, None], ["a", None], [True, None], [microseconds_of(at)] * 2,
    ]  # fmt: skip
