"""Small worlds of tables, full of ties, nulls and gaps, on which engines are held to the reference."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from leverframe.adapters.duckdb.engine import DuckDBEngine
from leverframe.adapters.duckdb.online import DuckDBSnapshooter
from leverframe.domain import layout
from leverframe.domain.features.plan import Plan, compile_star
from leverframe.domain.features.star import Star
from leverframe.domain.partition import Partition, Partitions

World = dict[str, list[dict[str, Any]]]
DECEMBER, JANUARY, MARCH = (Partition.of(key) for key in ("2019-12", "2020-01", "2020-03"))
ZONE = "America/New_York"
WORLD = Partitions(DECEMBER, MARCH, "month", ZONE)  # the months of every world
# Of all builds and snapshots in this process: to open a database takes longer than to build a small world.
ENGINE, SNAPSHOOTER = DuckDBEngine(2), DuckDBSnapshooter()
TIMESTAMP = pl.Datetime("us", "UTC")
TYPES: dict[str, dict[str, Any]] = {
    "visits": {"id": pl.Int64, "k": pl.String, "g": pl.Int64, "x": pl.Float64, "z": pl.Float64, "done_at": TIMESTAMP},
    "events": {"k": pl.String, "g": pl.Int64, "v": pl.Float64, "n": pl.Int64, "t": pl.String, "seen_at": TIMESTAMP},
    "states": {"who": pl.String, "level": pl.Float64, "mode": pl.String},
    "places": {"k": pl.String, "size": pl.Int64},
    "outcomes": {"id": pl.Int64, "y": pl.Float64, "settled_at": TIMESTAMP},
    "notes": {"id": pl.Int64, "k": pl.String, "v": pl.Float64, "t": pl.String, "read_at": TIMESTAMP},
}
STAR: dict[str, Any] = {
    "entities": {"visit": ["id"], "place": ["k"], "pair": ["k", "g"], "slot": ["k", "hour"]},
    "spine": {
        "table": "visits",
        "key": "visit",
        "columns": ["x"],
        "known": ["x"],
        "calendar": {"timezone": "America/New_York", "parts": ["hour", "weekday", "day_of_year"]},
    },
    "facts": {
        "done": {"table": "visits", "known_at": "done_at", "max_lag": "3d", "reveals": ["z"]},
        "events": {"table": "events", "known_at": "seen_at", "max_lag": "3d"},
        "outcomes": {"table": "outcomes", "known_at": "settled_at", "max_lag": "60d"},
        "notes": {"table": "notes", "known_at": "read_at", "max_lag": "3d", "own": "exclude"},
        "read": {"table": "notes", "known_at": "event_time", "max_lag": "3d", "own": "include"},
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
        "before": {"fact": "done", "of": {"z": ["sum", "last"], "x": ["max"]}, "windows": ["2h", "20d"]},
        "past": {"fact": "outcomes", "of": {"y": ["mean"]}, "windows": ["20d"]},
        "slot": {"fact": "events", "key": "slot", "of": {"n": ["count"]}, "windows": ["20d"]},
        "others": {
            "fact": "notes",
            "of": {
                "v": ["mean", "sum", "count", "min", "max", "last", "distinct", {"share_above": 0.5}],
                "t": ["last", "distinct"],
            },
            "windows": ["2h", "20d"],
        },
        "beside": {"fact": "notes", "key": "place", "of": {"v": ["sum", "max"]}, "windows": ["2d"]},
        "mine": {"fact": "read", "key": "visit", "of": {"id": ["count"]}, "windows": ["20d"]},
    },
    "labels": {
        "high": {"fact": "outcomes", "column": "y", "kind": "binary", "at_least": 1},
        "amount": {"fact": "outcomes", "column": "y", "kind": "regression"},
    },
}

# The same star, of whose tables three come again corrected.
_RECORDED = {"recorded_at": TIMESTAMP}
CORRECTED_TYPES: dict[str, dict[str, Any]] = TYPES | {
    "visits": TYPES["visits"] | _RECORDED,
    "events": TYPES["events"] | {"e": pl.Int64} | _RECORDED,
    "outcomes": TYPES["outcomes"] | _RECORDED,
    "notes": TYPES["notes"] | {"e": pl.Int64} | _RECORDED,
}
CORRECTED: dict[str, Any] = STAR | {
    "entities": STAR["entities"] | {"event": ["e"]},
    "facts": {name: fact | {"max_lag": "90d"} for name, fact in STAR["facts"].items()},
    "corrections": {
        "visits": {"key": "visit", "recorded_at": "recorded_at"},
        "events": {"key": "event", "recorded_at": "recorded_at"},
        "outcomes": {"key": "visit", "recorded_at": "recorded_at"},
        "notes": {"key": "event", "recorded_at": "recorded_at"},
    },
}

# Few places, few timestamps on a coarse grid: ties, duplicates and empty windows are the common case.
start = datetime(2020, 2, 28, tzinfo=UTC)
MORNING = datetime(2020, 3, 1, 5, tzinfo=UTC)  # at which March begins in New York
timestamps = st.one_of(
    st.integers(0, 40).map(lambda step: start + timedelta(hours=step * 2)),
    st.integers(0, 400).map(lambda step: start + timedelta(minutes=step * 15)),
    st.integers(0, 60).map(lambda day: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=day)),
)
lags = st.sampled_from([timedelta(0), timedelta(minutes=1), timedelta(hours=2), timedelta(days=3)])
# An arrival, or a fact's column, that tells of a time before the event moves nothing: the event does not wait for it.
delays = st.one_of(lags, lags.map(lambda lag: -lag))
places = st.sampled_from(["a", "b", "é'\"", None])
numbers = st.one_of(
    st.none(),
    st.sampled_from([0.0, -0.5, 0.5, 1e12, 0.1, math.nan, math.inf, -math.inf]),
    st.integers(-3, 3).map(float),
)


@st.composite
def visits(draw: Any) -> list[dict[str, Any]]:
    """Draw visits of March, in no order, two of them maybe at one timestamp."""
    steps = draw(st.lists(st.integers(0, 70), min_size=1, max_size=8))
    at = [MORNING + timedelta(minutes=step * 30) for step in steps]
    rows = [
        {"id": number, "k": draw(places), "g": draw(st.integers(0, 1)), "x": draw(numbers), "event_time": time}
        for number, time in enumerate(at)
    ]
    more = [{"z": draw(numbers), "done_at": time + draw(delays), "known_at": time + draw(delays)} for time in at]
    return [row | other for row, other in zip(rows, more, strict=True)]


events = st.lists(
    st.builds(
        lambda at, lag, late, k, g, v, n, t, seen: {
            "k": k, "g": g, "v": v, "n": n, "t": t, "event_time": at, "known_at": at + late,
            "seen_at": at + lag if seen else None,
        },
        timestamps, delays, delays, places, st.integers(0, 1), numbers,
        st.one_of(st.none(), st.integers(-(2**60), 2**60)),
        st.sampled_from(["p", "q", None]), st.integers(0, 9).map(bool),
    ),
    max_size=30,
)  # fmt: skip
states = st.lists(
    st.builds(
        lambda at, lag, who, level, mode: {
            "who": who, "level": level, "mode": mode, "event_time": at, "known_at": at + lag
        },
        timestamps | st.integers(0, 40).map(lambda hours: MORNING - timedelta(days=3) + timedelta(hours=hours)),
        delays | st.just(timedelta(days=3)),  # often later than the tolerance, and then the newest that is known
        places, numbers, st.sampled_from(["on", "off", None]),
    ),
    max_size=15,
)  # fmt: skip
notes = st.lists(
    st.builds(
        lambda at, lag, late, id_, k, v, t, seen: {
            "id": id_, "k": k, "v": v, "t": t, "event_time": at, "known_at": at + late,
            "read_at": at + lag if seen else None,
        },
        timestamps, delays, delays, st.none() | st.integers(0, 8), places, numbers,
        st.sampled_from(["p", "q", None]), st.integers(0, 9).map(bool),
    ),
    max_size=20,
)  # fmt: skip


@st.composite
def worlds(draw: Any) -> World:
    """Draw all tables of the star."""
    rows = draw(visits())
    settled = draw(st.lists(st.sampled_from([row["id"] for row in rows]), unique=True))
    happened = [
        draw(st.sampled_from([rows[number]["event_time"], MORNING])) for number in settled
    ]  # maybe before the visit
    outcomes = [
        {"id": number, "y": draw(numbers), "event_time": at, "known_at": at + draw(delays)}
        | {"settled_at": draw(st.one_of(st.none(), timestamps))}
        for number, at in zip(settled, happened, strict=True)
    ]
    return {
        "visits": rows,
        "events": draw(events),
        "states": draw(states),
        "places": [{"k": k, "size": n} for n, k in enumerate(draw(st.lists(places, unique=True)))],
        "outcomes": outcomes,
        "notes": draw(notes),
    }


@st.composite
def corrected_worlds(draw: Any) -> World:
    """Draw tables in which rows come again: late, changed, with another key, taken back, or all of it."""
    world: World = draw(worlds())
    for table in ("events", "notes"):
        world[table] = [row | {"e": number} for number, row in enumerate(world[table])]
    change = {
        "visits": ["k", "x", "z"],
        "events": ["k", "v", "n", "t"],
        "outcomes": ["y"],
        "notes": ["id", "k", "v", "t"],
    }
    for table, columns in change.items():
        rows = [row | {"recorded_at": draw(st.none() | timestamps)} for row in world[table]]
        again = draw(st.lists(st.sampled_from(rows), max_size=10)) if rows else []
        rows += [_corrected(draw, row, draw(st.sets(st.sampled_from(columns)))) for row in again]
        world[table] = draw(st.permutations(rows))
    return world


def _corrected(draw: Any, row: dict[str, Any], columns: set[str]) -> dict[str, Any]:
    """Draw another version of a row; what it says of the timestamp may be new, or that nothing happened."""
    drawn = {
        "k": places, "x": numbers, "v": numbers, "y": numbers, "z": numbers, "t": st.sampled_from(["p", "q", None]),
        "n": st.none() | st.integers(-3, 3), "id": st.none() | st.integers(0, 8),
    }  # fmt: skip
    new = {name: draw(drawn[name]) for name in sorted(columns)} | {"recorded_at": draw(st.none() | timestamps)}
    for known in ("done_at", "seen_at", "settled_at", "read_at"):
        if known in row and draw(st.booleans()):
            new[known] = draw(st.none() | st.just(row["event_time"] + draw(delays)))
    if draw(st.booleans()):
        new["known_at"] = row["event_time"] + draw(delays)
    return row | new


def plan_of(star: dict[str, Any] = STAR, **spine: Any) -> Plan:
    """Return the plan of a star, the spine changed as told."""
    return compile_star(Star.model_validate(star | {"spine": star["spine"] | spine}))


def write_world(world: World, root: Path, types: dict[str, dict[str, Any]] = TYPES) -> None:
    """Write every table as the ingest stage would: months by event_time in New York, rows as they stand."""
    for table, rows in world.items():
        timed = {} if table == "places" else {"event_time": TIMESTAMP, "known_at": TIMESTAMP}
        number = {"w": pl.Int64} if rows and "w" in rows[0] else {}
        schema = number | types[table] | timed
        for month in [None] if table == "places" else WORLD.groups():
            inside = [row for row in rows if month is None or in_month(row["event_time"], month)]
            path = root / layout.raw(table, str(month) if month else layout.STATIC)
            path.parent.mkdir(parents=True, exist_ok=True)
            pl.DataFrame(inside, schema=schema, orient="row").write_parquet(path)


def in_month(timestamp: datetime, month: Partition) -> bool:
    """Tell whether a timestamp lies in a month of New York."""
    return month.start(ZONE) <= timestamp < month.plus(1).start(ZONE)


def stored(world: World) -> World:
    """Return the tables in the order in which their files hold them: month by month."""
    return {
        table: rows if table == "places" else sorted(rows, key=lambda row: _month_of(row["event_time"]))
        for table, rows in world.items()
    }


def _month_of(timestamp: datetime) -> str:
    return next(str(month) for month in WORLD.groups() if in_month(timestamp, month))


def close(ours: Any, theirs: Any) -> bool:
    """Tell whether two values are the same; sums may differ in the last bit."""
    if isinstance(ours, float) and isinstance(theirs, (int, float)):
        return math.isclose(ours, theirs, rel_tol=1e-12, abs_tol=1e-15)
    return bool(ours == theirs)


def small_world() -> World:
    """Return a small fixed world."""
    at = datetime(2020, 3, 2, 12, tzinfo=UTC)
    return {
        "visits": [
            {"id": n, "k": "a", "g": 0, "x": 1.0, "event_time": at + timedelta(hours=n), "known_at": at}
            | {"z": None, "done_at": None}
            for n in range(3)
        ],
        "events": [{"k": "a", "g": 0, "v": 2.0, "n": 1, "t": "p", "event_time": at, "known_at": at, "seen_at": at}],
        "states": [],
        "notes": [],
        "places": [{"k": "a", "size": 1}],
        "outcomes": [{"id": 0, "y": 1.0, "event_time": at, "known_at": at, "settled_at": at}],
    }


def batched_star(star: dict[str, Any] = STAR) -> dict[str, Any]:
    """Return a star with the number of a world in every key: many worlds then lie in the same tables, apart."""
    entities = {name: ["w", *columns] for name, columns in star["entities"].items()} | {"world": ["w"]}
    measures = {name: {"key": "world"} | measure for name, measure in star["measures"].items()}
    return star | {"entities": entities, "measures": measures}


def numbered(number: int, world: World) -> World:
    """Return a world with its number in every row."""
    return {table: [{"w": number} | row for row in rows] for table, rows in world.items()}


def drawn(count: int, kind: st.SearchStrategy[Any] | None = None) -> list[Any]:
    """Return as many worlds, of a ``kind`` if one is told, the same in every run."""
    samples: list[Any] = []

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(world=worlds() if kind is None else kind)
    def keep(world: Any) -> None:
        samples.append(world)

    keep()
    return samples
