"""The star compiler against the row-by-row reference, on real Parquet files."""

from __future__ import annotations

import math
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leverframe.adapters.duckdb.engine import DuckDBEngine
from leverframe.domain import layout
from leverframe.domain.build.plan import Plan, compile_star
from leverframe.domain.build.run import run
from leverframe.domain.build.spec import Star
from leverframe.domain.month import Month
from leverframe.errors import DefinitionError, LabelError, LeakError, SourceError
from leverframe.testing.reference import reference

JANUARY, MARCH = Month(2020, 1), Month(2020, 3)
MOMENT = pl.Datetime("us", "UTC")
TYPES: dict[str, dict[str, Any]] = {
    "visits": {"id": pl.Int64, "k": pl.String, "g": pl.Int64, "x": pl.Float64},
    "events": {"k": pl.String, "g": pl.Int64, "v": pl.Float64, "n": pl.Int64, "t": pl.String, "seen_at": MOMENT},
    "states": {"who": pl.String, "level": pl.Float64, "mode": pl.String},
    "places": {"k": pl.String, "size": pl.Int64},
    "outcomes": {"id": pl.Int64, "y": pl.Float64, "settled_at": MOMENT},
}
STAR: dict[str, Any] = {
    "entities": {"visit": ["id"], "place": ["k"], "pair": ["k", "g"], "slot": ["k", "hour"]},
    "spine": {
        "table": "visits",
        "key": "visit",
        "columns": ["x"],
        "calendar": {"timezone": "America/New_York", "parts": ["hour", "weekday", "day_of_year"]},
    },
    "facts": {
        "events": {"table": "events", "known_at": "seen_at", "max_lag": "3d"},
        "outcomes": {"table": "outcomes", "known_at": "settled_at", "max_lag": "60d"},
    },
    "dimensions": {
        "place": {"table": "places", "key": "place", "columns": ["size"]},
        "state": {
            "table": "states",
            "key": "place",
            "match": {"k": "who"},
            "columns": ["level", "mode"],
            "as_of": {"lag": "30m", "tolerance": "2d"},
        },
    },
    "measures": {
        "all": {"fact": "events", "of": {"v": ["sum", "count"]}, "windows": ["1h", "20d"]},
        "place": {
            "fact": "events",
            "key": "place",
            "of": {
                "v": ["mean", "sum", "count", "min", "max", "last", "distinct", {"share_above": 0.5}],
                "n": ["last", "sum"],
                "t": ["last", "count", "distinct"],
            },
            "windows": ["1h", "2d"],
        },
        "pair": {"fact": "events", "key": "pair", "of": {"v": ["mean"], "n": ["max"]}, "windows": ["20d"]},
        "past": {"fact": "outcomes", "of": {"y": ["mean"]}, "windows": ["20d"]},
        "slot": {"fact": "events", "key": "slot", "of": {"n": ["count"]}, "windows": ["20d"]},
    },
    "labels": {
        "high": {"fact": "outcomes", "column": "y", "kind": "binary", "at_least": 1},
        "amount": {"fact": "outcomes", "column": "y", "kind": "regression"},
    },
}

# Few places, few moments on a coarse grid: ties, duplicates and empty windows are the common case.
start = datetime(2020, 2, 28, tzinfo=UTC)
moments = st.one_of(
    st.integers(0, 40).map(lambda step: start + timedelta(hours=step * 2)),
    st.integers(0, 400).map(lambda step: start + timedelta(minutes=step * 15)),
    st.integers(0, 60).map(lambda day: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=day)),
)
lags = st.sampled_from([timedelta(0), timedelta(minutes=1), timedelta(hours=2), timedelta(days=3)])
places = st.sampled_from(["a", "b", "é'\"", None])
numbers = st.one_of(
    st.none(),
    st.sampled_from([0.0, -0.5, 0.5, 1e12, 0.1, math.nan, math.inf, -math.inf]),
    st.integers(-3, 3).map(float),
)


@st.composite
def visits(draw: Any) -> list[dict[str, Any]]:
    """Draw visits of March, in no order, two of them maybe at one moment."""
    steps = draw(st.lists(st.integers(0, 70), min_size=1, max_size=8))
    at = [datetime(2020, 3, 1, 5, tzinfo=UTC) + timedelta(minutes=step * 30) for step in steps]
    rows = [
        {"id": number, "k": draw(places), "g": draw(st.integers(0, 1)), "x": draw(numbers), "event_time": each}
        for number, each in enumerate(at)
    ]
    return [row | {"known_at": row["event_time"]} for row in rows]


events = st.lists(
    st.builds(
        lambda at, lag, k, g, v, n, t, seen: {
            "k": k, "g": g, "v": v, "n": n, "t": t, "event_time": at, "known_at": at + lag,
            "seen_at": at + lag if seen else None,
        },
        moments, lags, places, st.integers(0, 1), numbers, st.one_of(st.none(), st.integers(-(2**60), 2**60)),
        st.sampled_from(["p", "q", None]), st.integers(0, 9).map(bool),
    ),
    max_size=30,
)  # fmt: skip
states = st.lists(
    st.builds(
        lambda at, lag, who, level, mode: {
            "who": who, "level": level, "mode": mode, "event_time": at, "known_at": at + lag
        },
        moments, lags, places, numbers, st.sampled_from(["on", "off", None]),
    ),
    max_size=15,
)  # fmt: skip


@st.composite
def worlds(draw: Any) -> dict[str, list[dict[str, Any]]]:
    """Draw all tables of the star."""
    rows = draw(visits())
    settled = draw(st.lists(st.sampled_from([row["id"] for row in rows]), unique=True))
    outcomes = [
        {"id": each, "y": draw(numbers), "event_time": rows[each]["event_time"]}
        | {"settled_at": draw(st.one_of(st.none(), moments))}
        for each in settled
    ]
    return {
        "visits": rows,
        "events": draw(events),
        "states": draw(states),
        "places": [{"k": k, "size": n} for n, k in enumerate(draw(st.lists(places, unique=True)))],
        "outcomes": [row | {"known_at": row["settled_at"] or row["event_time"]} for row in outcomes],
    }


def plan_of(**spine: Any) -> Plan:
    """Return the plan of the star, the spine changed as told."""
    return compile_star(Star.model_validate(STAR | {"spine": STAR["spine"] | spine}))


def write_world(world: dict[str, list[dict[str, Any]]], root: Path) -> None:
    """Write every table as the ingest stage would: months by event_time in New York, rows as they stand."""
    for table, rows in world.items():
        timed = {} if table == "places" else {"event_time": MOMENT, "known_at": MOMENT}
        schema = TYPES[table] | timed
        for month in [None] if table == "places" else [Month(2019, 12), JANUARY, Month(2020, 2), MARCH]:
            inside = [row for row in rows if month is None or in_month(row["event_time"], month)]
            path = root / layout.raw(table, str(month) if month else layout.STATIC)
            path.parent.mkdir(parents=True, exist_ok=True)
            pl.DataFrame(inside, schema=schema, orient="row").write_parquet(path)


def in_month(moment: datetime, month: Month) -> bool:
    """Tell whether a moment lies in a month of New York."""
    zone = "America/New_York"
    return month.start(zone) <= moment < month.plus(1).start(zone)


def stored(world: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Return the tables in the order in which their files hold them: month by month."""
    return {
        table: rows if table == "places" else sorted(rows, key=lambda row: _month_of(row["event_time"]))
        for table, rows in world.items()
    }


def _month_of(moment: datetime) -> str:
    return next(str(m) for m in (Month(2019, 12), JANUARY, Month(2020, 2), MARCH) if in_month(moment, m))


def built(plan: Plan, world: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the features of March that the engine builds."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_world(world, root)
        run(plan, MARCH, Month(2019, 12), DuckDBEngine(), root)
        return pl.read_parquet(root / layout.features(str(MARCH))).to_dicts()


def close(ours: Any, theirs: Any) -> bool:
    """Tell whether two values are the same; sums may differ in the last bit."""
    if isinstance(ours, float) and isinstance(theirs, (int, float)):
        return math.isclose(ours, theirs, rel_tol=1e-12, abs_tol=1e-15)
    return bool(ours == theirs)


slow = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


@slow
@given(world=worlds(), ahead=st.sampled_from(["0m", "3h"]))
def test_engine_equals_the_reference_for_every_verb(world: dict[str, Any], ahead: str) -> None:
    """Ties, duplicate keys, no history, empty windows, nulls, disorder and time zones included."""
    plan = plan_of(ahead=ahead)
    expected = reference(plan, world["visits"], stored(world))
    actual = built(plan, world)
    assert len(actual) == len(expected)
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.keys() == theirs.keys()
        assert {name: ours[name] for name in ours if not close(ours[name], theirs[name])} == {}


@slow
@given(world=worlds(), data=st.data())
def test_nothing_known_later_changes_a_feature(world: dict[str, Any], data: Any) -> None:
    """Deleting, changing and shuffling rows with known_at >= as_of leaves a row's features as they are."""
    plan = plan_of()
    chosen = data.draw(st.integers(0, len(world["visits"]) - 1))
    as_of = world["visits"][chosen]["event_time"]
    later = dict(world)
    for table, known in (("events", "seen_at"), ("states", "known_at")):
        past = [row for row in world[table] if row[known] is not None and row[known] < as_of]
        future = [row for row in world[table] if row[known] is None or row[known] >= as_of]
        kept = data.draw(st.lists(st.sampled_from(future), unique_by=id)) if future else []
        changed = [row | {"v": 777.0, "level": 777.0} for row in kept]
        later[table] = [*past, *[{name: row[name] for name in world[table][0]} for row in changed]]
    features = [*plan.features(), "as_of"]
    before, after = built(plan, world)[chosen], built(plan, later)[chosen]
    assert {name: before[name] for name in features} == {name: after[name] for name in features}


@pytest.fixture
def world() -> dict[str, list[dict[str, Any]]]:
    """Give a small fixed world."""
    at = datetime(2020, 3, 2, 12, tzinfo=UTC)
    return {
        "visits": [
            {"id": n, "k": "a", "g": 0, "x": 1.0, "event_time": at + timedelta(hours=n), "known_at": at}
            for n in range(3)
        ],
        "events": [{"k": "a", "g": 0, "v": 2.0, "n": 1, "t": "p", "event_time": at, "known_at": at, "seen_at": at}],
        "states": [],
        "places": [{"k": "a", "size": 1}],
        "outcomes": [{"id": 0, "y": 1.0, "event_time": at, "known_at": at, "settled_at": at}],
    }


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
        run(plan_of(), MARCH, Month(2019, 12), DuckDBEngine(), tmp_path)
    assert not (tmp_path / layout.FEATURES).exists()


def test_a_truncated_file_is_named_and_the_old_result_stays(world: dict[str, Any], tmp_path: Path) -> None:
    """Damage is reported with the file; what was built before is still there."""
    write_world(world, tmp_path)
    run(plan_of(), MARCH, Month(2019, 12), DuckDBEngine(), tmp_path)
    good = (tmp_path / layout.features("2020-03")).read_bytes()
    damaged = tmp_path / layout.raw("events", "2020-03")
    damaged.write_bytes(damaged.read_bytes()[:-30])
    with pytest.raises(SourceError) as caught:
        run(plan_of(), MARCH, Month(2019, 12), DuckDBEngine(), tmp_path)
    assert "events/2020-03.parquet" in caught.value.what
    assert (tmp_path / layout.features("2020-03")).read_bytes() == good
    assert [each.name for each in (tmp_path / layout.FEATURES).iterdir()] == ["2020-03.parquet"]


def test_a_duplicated_key_is_refused_on_spine_and_dimension(world: dict[str, Any], tmp_path: Path) -> None:
    """A row must not get several values, nor be counted twice."""
    for table in ("visits", "places"):
        write_world(world | {table: [*world[table], world[table][0]]}, tmp_path)
        with pytest.raises(SourceError, match="a key stands more than once"):
            run(plan_of(), MARCH, Month(2019, 12), DuckDBEngine(), tmp_path)


def test_a_label_for_a_row_that_does_not_exist_is_refused(world: dict[str, Any], tmp_path: Path) -> None:
    """A label that belongs to nothing means that the two tables disagree."""
    world["outcomes"].append(world["outcomes"][0] | {"id": 99})
    write_world(world, tmp_path)
    with pytest.raises(LabelError, match="1 rows of label `high` belong to no row of `visits`"):
        run(plan_of(), MARCH, Month(2019, 12), DuckDBEngine(), tmp_path)


def test_a_row_known_later_than_max_lag_is_refused(world: dict[str, Any], tmp_path: Path) -> None:
    """Such a row could lie in a month that no window reaches."""
    world["events"][0]["seen_at"] += timedelta(days=4)
    write_world(world, tmp_path)
    with pytest.raises(SourceError, match="more than max_lag after they happened"):
        run(plan_of(), MARCH, Month(2019, 12), DuckDBEngine(), tmp_path)


def test_doors_for_outcomes_and_accidents_stay_shut(world: dict[str, Any], tmp_path: Path) -> None:
    """A label's table as a lookup, misspelt reveals, the compiler's own names, keys of two kinds: refused."""
    lookup = {"p": {"table": "outcomes", "key": "visit", "columns": ["y"]}}
    no_measure = {"measures": {}, "labels": STAR["labels"], "dimensions": lookup}
    with pytest.raises(LeakError, match="dimension `p` cannot show `y`"):
        Star.model_validate(STAR | no_measure)
    write_world(world, tmp_path)
    misspelt = {"e": {"table": "events", "known_at": "seen_at", "max_lag": "3d", "reveals": ["w"]}}
    for change, words in (
        ({"dimensions": {"p": lookup["p"] | {"columns": ["id"]}}}, "looks up `outcomes`, which changes over time"),
        ({"facts": STAR["facts"] | misspelt},
         "`reveals` of a fact needs the column `w`"),
        ({"spine": STAR["spine"] | {"columns": ["known_at"]}}, "is a moment, not a feature"),
        ({"entities": STAR["entities"] | {"place": ["g"]}}, "matches `g`, which is number, with"),
    ):  # fmt: skip
        changed = STAR | change
        if "place" in str(change.get("entities", "")):
            state = STAR["dimensions"]["state"] | {"match": {"g": "who"}}
            changed |= {"dimensions": {"state": state}}
        with pytest.raises(DefinitionError, match=words):
            run(compile_star(Star.model_validate(changed)), MARCH, Month(2019, 12), DuckDBEngine(), tmp_path)
    for column in ("__row", "hour"):
        path = tmp_path / layout.raw("visits", str(MARCH))
        write_world(world, tmp_path)
        pl.read_parquet(path).with_columns(pl.lit(1).alias(column)).write_parquet(path)
        with pytest.raises(DefinitionError, match=f"has a column `{column}`, which the compiler makes itself"):
            run(plan_of(), MARCH, Month(2019, 12), DuckDBEngine(), tmp_path)


def test_a_column_of_two_kinds_is_refused(world: dict[str, Any], tmp_path: Path) -> None:
    """Digits read as numbers in one month and as text in another are not quietly made one kind."""
    write_world(world, tmp_path)
    path = tmp_path / layout.raw("events", "2020-02")
    pl.read_parquet(path).with_columns(pl.col("n").cast(pl.String)).write_parquet(path)
    with pytest.raises(SourceError, match="the column `n` is text in 2020-02"):
        run(plan_of(), MARCH, Month(2019, 12), DuckDBEngine(), tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spine": STAR["spine"] | {"columns": ["xx"]}}, "the spine needs the column `xx`"),
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
        run(plan, MARCH, Month(2019, 12), DuckDBEngine(), tmp_path)
