"""Every type of column and every name: the value that the row-by-row reference has, or one error of ours."""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from leverframe.adapters.disk import Disk
from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.snapshot_file import SnapshotFile, write
from leverframe.domain import layout
from leverframe.domain.features.build import run
from leverframe.domain.features.online import Span, about, online_files
from leverframe.domain.features.parity import compared
from leverframe.domain.features.plan import Plan, compile_star
from leverframe.domain.features.request import Requests, required
from leverframe.domain.features.star import Star
from leverframe.domain.features.vector import vectors
from leverframe.errors import DefinitionError, LeverframeError, SourceError
from leverframe.serving.row import RowByRow
from tests.fakes.reference import reference
from tests.integration.typed_worlds import TypedWorld, typed_worlds
from tests.integration.worlds import ENGINE, MARCH, SNAPSHOOTER, TIMESTAMP, WORLD, ZONE

MANY = 30 if settings().max_examples < 100 else 10_000  # worlds in CI, and in the deep suite

BIG = 2**53
AT = datetime(2020, 3, 2, 12, tzinfo=UTC)


def built(plan: Plan, world: TypedWorld, root: Path) -> list[dict[str, Any]]:
    """Return the features of March that the engine builds."""
    world.write(root)
    run(plan, MARCH, WORLD, ENGINE, Disk(root).exists, root)
    return pl.read_parquet(root / layout.features(str(MARCH))).to_dicts()


def served(plan: Plan, root: Path) -> None:
    """Hold what a snapshot gives, for many rows and for one at a time, against the build."""
    span = Span(MARCH.start(ZONE) - timedelta(days=3), MARCH.plus(1).start(ZONE))
    files = online_files(plan, span, WORLD, Disk(root).exists, root)
    write(root / "snapshot.bin", about(plan, span, {}), SNAPSHOOTER.tables(plan, files, span))
    store = SnapshotFile(root / "snapshot.bin", spec=plan.spec)
    rows = PolarsTables(root).arrays(MARCH, [*required(plan), *plan.features(), "as_of"])
    as_of, single = np.ma.getdata(rows["as_of"]), RowByRow(plan, store)
    many = vectors(plan, store, Requests({name: rows[name] for name in required(plan)}, as_of))
    for name in plan.features():
        assert compared(name, rows[name], many[name]).count == 0, (name, rows[name], many[name])
    plain = {name: np.ma.asarray(rows[name]).tolist() for name in required(plan)}
    for row, at in enumerate(as_of.tolist()):
        vector = single.vector({name: values[row] for name, values in plain.items()}, at, [])
        assert vector is not None
        for name, values in many.items():
            one, other = vector[name], np.ma.asarray(values)[row : row + 1]
            assert _null(one) == bool(compared(name, other, np.ma.masked_all(1)).count == 0), name
            assert _null(one) or float_or_text(one) == float_or_text(other.tolist()[0]), name
    store.close()


def float_or_text(value: Any) -> Any:
    """Return a value as a model takes it: a single row has whole numbers as doubles."""
    return value if isinstance(value, str) else float(value)


def _null(value: Any) -> bool:
    return value is None or value != value  # noqa: PLR0124 - only NaN differs from itself


def same(ours: Any, theirs: Any) -> bool:
    """Tell whether a value is the one of the reference, to the last bit."""
    return bool(ours == theirs) and (isinstance(ours, bool) == isinstance(theirs, bool))


def star_of(of: dict[str, Any]) -> dict[str, Any]:
    """Return a star with one measure of events by place."""
    return {
        "entities": {"visit": ["id"], "place": ["k"]},
        "spine": {"table": "visits", "key": "visit"},
        "facts": {name: {"table": name, "known_at": "known_at", "max_lag": "3d"} for name in ("events", "visits")},
        "measures": {"m": {"fact": "events", "key": "place", "of": of, "windows": ["20d"]}},
        "labels": {"y": {"fact": "visits", "column": "w", "kind": "regression"}},
    }


def small(
    root: Path, events: pl.DataFrame | dict[str, pl.DataFrame], of: dict[str, Any], **tables: Any
) -> pl.DataFrame:
    """Return the features of two visits to the place 1, of events of one month or of several."""
    star = star_of(of) | tables.pop("star", {})
    visits = {"id": [1, 2], "k": [1, 2], "w": [1.0, 2.0]} | tables.pop("visits", {})
    months = events if isinstance(events, dict) else {"2020-03": events}
    for month in ("2020-01", "2020-02", "2020-03"):
        frame = months.get(month, next(iter(months.values())).clear())
        at = pl.lit(AT - timedelta(days=3 if month != "2020-03" else 0), TIMESTAMP)
        _write(root / layout.raw("events", month), frame.with_columns(event_time=at, known_at=at))
        later = pl.lit(AT + timedelta(hours=1), TIMESTAMP)
        _write(root / layout.raw("visits", month), pl.DataFrame(visits).with_columns(event_time=later, known_at=later))
    for name, frame in tables.items():
        _write(root / layout.raw(name, layout.STATIC), frame)
    plan = compile_star(Star.model_validate(star))
    run(plan, MARCH, WORLD, ENGINE, Disk(root).exists, root)
    served(plan, root)
    return pl.read_parquet(root / layout.features(str(MARCH)))


def _write(path: Path, frame: pl.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path)


@pytest.mark.parametrize(
    ("dtype", "values", "distinct", "total"),
    [
        (pl.Int64, [BIG, BIG + 1, BIG + 2], 3, float(3 * BIG + 3)),
        (pl.Int64, [2**62, -(2**62), -2], 3, -2.0),
        (pl.UInt64, [2**64 - 1, 2**64 - 2, 2**64 - 2], 2, float(3 * 2**64 - 5)),
        (pl.Decimal(18, 2), ["0.10", "0.20", "0.30"], 3, 0.6),
        (pl.Decimal(38, 0), [str(2**62), str(2**62 + 1), str(-(2**62))], 3, float(2**62 + 1)),
        (pl.Float64, [1.797e308, 1.797e308, -1.797e308], 2, 1.797e308),
        (pl.Float64, [1e16, 1.0, 1.0], 2, 1e16 + 2),
    ],
)
def test_numbers_stay_exact_in_distinct_and_sum(
    dtype: Any, values: list[Any], distinct: int, total: float, tmp_path: Path
) -> None:
    """As doubles, neighbours above 2**53 were one, and a sum of -2 was 0."""
    column = pl.Series("v", [Decimal(value) if isinstance(value, str) else value for value in values], dtype)
    frame = small(tmp_path, pl.DataFrame({"k": [1, 1, 1], "v": column}), {"v": ["distinct", "sum", "last"]})
    assert frame.row(0, named=True)["m_v_distinct_20d"] == distinct
    assert frame.row(0, named=True)["m_v_sum_20d"] == total
    assert frame["m_v_last_20d"].to_list() == [column[-1], None]
    assert frame["m_v_last_20d"].dtype == dtype


def test_a_sum_that_no_double_holds_is_null_and_its_mean_is_not(tmp_path: Path) -> None:
    """Infinity counts as null everywhere else too."""
    frame = small(tmp_path, pl.DataFrame({"k": [1, 1], "v": [1.797e308, 1.797e308]}), {"v": ["sum", "mean"]})
    assert frame.row(0, named=True)["m_v_sum_20d"] is None
    assert frame.row(0, named=True)["m_v_mean_20d"] == 1.797e308


def test_ids_of_two_types_are_joined_exactly_or_refused(tmp_path: Path) -> None:
    """Whole numbers in one month and doubles in another: small ones are equal, large ones cannot be told apart."""
    ids = {
        "2020-02": pl.DataFrame({"k": [1.0, 1.0, 2.0], "v": 1}),
        "2020-03": pl.DataFrame({"k": [1, 2, BIG + 1], "v": 1}),
    }
    frame = small(tmp_path, ids, {"v": ["count"]}, visits={"k": [1, BIG]})
    assert frame["m_v_count_20d"].to_list() == [3, 0]
    large = ids | {"2020-02": pl.DataFrame({"k": [1.0, BIG + 2.0], "v": 1})}
    with pytest.raises(
        SourceError, match=r"the column `k` is float64 in 2020-02.parquet of events and int64 in 2020-03"
    ) as caught:
        small(tmp_path, large, {"v": ["count"]})
    assert "rounded" in caught.value.why


@pytest.mark.parametrize("dtype", [pl.Float64(), pl.Int64(), pl.Null(), pl.String()])
@pytest.mark.parametrize("key", ["a", 1])
def test_a_key_without_a_value_in_the_newest_month_matches_nothing(dtype: Any, key: Any, tmp_path: Path) -> None:
    """As pandas writes it, its type is another than that of the months before."""
    events = {month: pl.DataFrame({"k": [key], "v": [1.0]}) for month in ("2020-02", "2020-03")}
    small(tmp_path, events, {"v": ["count"]}, visits={"k": [key, key]})
    path = tmp_path / layout.raw("visits", "2020-03")
    _write(path, pl.read_parquet(path).with_columns(k=pl.lit(None, dtype)))
    star = star_of({"v": ["count"]})
    star["measures"]["w"] = {"fact": "visits", "key": "place", "of": {"w": ["count"]}, "windows": ["20d"]}
    plan = compile_star(Star.model_validate(star))
    run(plan, MARCH, WORLD, ENGINE, Disk(tmp_path).exists, tmp_path)
    assert pl.read_parquet(tmp_path / layout.features(str(MARCH)))["m_v_count_20d"].to_list() == [0, 0]


def test_keys_of_whole_numbers_and_doubles_are_compared_exactly(tmp_path: Path) -> None:
    """A key with nulls comes as doubles from pandas; beyond 2**53 it is refused, for several may have become one."""
    events = pl.DataFrame({"k": [1.0, None, 2.5], "v": 1})
    frame = small(tmp_path, events, {"v": ["count"]}, visits={"k": [1, BIG + 1]})
    assert frame["m_v_count_20d"].to_list() == [1, 0]
    with pytest.raises(SourceError, match="`k` of `events` is a key of type float64"):
        small(tmp_path, pl.DataFrame({"k": [float(BIG), 1.0], "v": 1}), {"v": ["count"]})


def test_a_month_without_a_value_has_no_type(tmp_path: Path) -> None:
    """CSV shows such a column as text, pandas as null: the other month tells what it is, and alone it is null."""
    full = pl.DataFrame({"k": [1], "v": [3]})
    for dtype in (pl.String, pl.Null):
        empty = pl.lit(None, dtype)
        months = {"2020-02": full, "2020-03": full.with_columns(v=empty)}
        frame = small(tmp_path, months, {"v": ["sum", "last", "count"]})
        assert frame.select(pl.col("^m_.*$")).row(0) == (3.0, 3, 1)
        alone = small(tmp_path, {"2020-03": full.with_columns(v=empty)}, {"v": ["sum", "last", "count", "distinct"]})
        assert alone.select(pl.col("^m_.*$")).row(0) == (None, None, 0, 0)
        labels = {"labels": {"y": {"fact": "visits", "column": "w", "kind": "binary", "at_least": 0.5}}}
        visits = {"w": pl.Series([None, None], dtype=dtype)}
        assert small(tmp_path, full, {"v": ["sum"]}, star=labels, visits=visits)["y"].to_list() == [None, None]


@pytest.mark.parametrize(
    ("values", "functions", "words"),
    [
        ([date(2020, 1, 1)], ["last"], "is a date, not a feature"),
        (pl.Series([None], dtype=pl.Date), ["last"], "is a date, not a feature"),
        ([[1, 2]], ["distinct"], "`distinct` of `v` in table `events` makes no sense: it is nested"),
        ([{"a": 1}], ["last"], "is nested, not a feature"),
        ([b"x"], ["sum"], "`sum` of `v` in table `events` makes no sense: it is bytes"),
        ([time(1)], ["max"], "it is time of day"),
    ],
)
def test_what_is_no_feature_is_refused_by_name(values: Any, functions: list[str], words: str, tmp_path: Path) -> None:
    """One error for each type, instead of another type or an error of numpy."""
    with pytest.raises(DefinitionError, match=words):
        small(tmp_path, pl.DataFrame({"k": [1], "v": values}), {"v": functions})


@pytest.mark.parametrize(
    "values", [[date(2020, 1, 1), None], [[1], [2]], [time(1), time(2)], [b"x", b"y"], [None, None]]
)
def test_every_type_can_be_counted(values: Any, tmp_path: Path) -> None:
    """A null is no value, whatever the type."""
    frame = small(tmp_path, pl.DataFrame({"k": [1, 1], "v": values}), {"v": ["count"]})
    assert frame["m_v_count_20d"].to_list() == [sum(value is not None for value in values), 0]


def test_a_duration_is_its_number_of_microseconds(tmp_path: Path) -> None:
    """Files have it as a number, and ingest writes no other unit."""
    frame = small(tmp_path, pl.DataFrame({"k": [1, 1], "v": [timedelta(seconds=1), timedelta(0)]}), {"v": ["sum"]})
    assert frame["m_v_sum_20d"].to_list() == [1e6, None]


def test_columns_that_differ_in_case_only_are_refused(tmp_path: Path) -> None:
    """DuckDB takes them for one; the hint named neither."""
    with pytest.raises(SourceError, match=r"the columns `v` and `V` of 2020-0.\.parquet of events differ in case only"):
        small(tmp_path, pl.DataFrame({"k": [1], "v": [1], "V": [2]}), {"v": ["sum"]})


def test_a_spine_without_rows_gives_an_empty_file(tmp_path: Path) -> None:
    """Every column is there, with its type."""
    none = {
        "id": pl.Series([], dtype=pl.Int64),
        "k": pl.Series([], dtype=pl.Int64),
        "w": pl.Series([], dtype=pl.Float64),
    }
    frame = small(tmp_path, pl.DataFrame({"k": [1], "v": ["x"]}), {"v": ["count", "last"]}, visits=none)
    assert frame.height == 0
    assert frame.schema["m_v_last_20d"] == pl.String


def test_a_date_is_a_key_and_asked_for_as_text(tmp_path: Path) -> None:
    """A calendar of holidays is looked up by day."""
    days = [date(2020, 3, 2), date(2020, 3, 3)]
    star = {
        "dimensions": {"day": {"table": "days", "key": "day", "columns": ["free"]}},
        "entities": {"visit": ["id"], "place": ["k"], "day": ["on"]},
    }
    calendar = pl.DataFrame({"on": days, "free": [True, False]})
    events = pl.DataFrame({"k": [1], "v": [1]})
    frame = small(tmp_path, events, {"v": ["count"]}, visits={"on": days[::-1]}, days=calendar, star=star)
    assert frame["day_free"].to_list() == [False, True]


def test_every_drawn_world_is_right_or_refused() -> None:
    """No wrong value, and no error that is not ours; a fair part of the worlds is not refused."""
    outcomes: Counter[str] = Counter()

    @settings(
        max_examples=MANY, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(world=typed_worlds())
    def hold(world: TypedWorld) -> None:
        with tempfile.TemporaryDirectory() as folder:
            try:
                plan = world.plan
                rows = built(plan, world, Path(folder))
                served(plan, Path(folder))
            except LeverframeError as error:
                outcomes[error.what[:20]] += 1
                return
        spine = [row for row in world.stored()["visits"] if row["__month"] == str(MARCH)]
        expected = reference(plan, spine, world.stored())
        assert len(rows) == len(expected)
        for ours, theirs in zip(rows, expected, strict=True):
            wrong = {name: (ours[name], theirs[name]) for name in ours if not same(ours[name], theirs[name])}
            assert wrong == {}, world
        outcomes["built"] += 1

    hold()
    assert outcomes["built"] > MANY / 4, outcomes
