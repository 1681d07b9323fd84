"""Numbers at the edge of what a type holds: no statistic overflows, wherever one is made of them."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leverframe.adapters.duckdb.sketch import DuckDBSketcher
from leverframe.adapters.duckdb.statistics import DuckDBStatistician
from leverframe.adapters.pygal import draw
from leverframe.domain import layout
from leverframe.domain.data.profile import table_profile
from leverframe.domain.data.sketch import Distribution, summed
from leverframe.domain.data.statistics import Survey
from leverframe.domain.model.charts import Axis, Bar, BarChart, Line, LineChart
from leverframe.domain.model.evaluate.metrics import METRICS, measured
from tests.integration.small_case import make
from tests.profiles import examples

LARGEST, TINY = 1.7976931348623157e308, 5e-324
EDGES = (
    0.0,
    -0.0,
    1.0,
    LARGEST,
    -LARGEST,
    LARGEST / 2,
    TINY,
    -TINY,
    2.2250738585072014e-308,
    math.inf,
    -math.inf,
    math.nan,
)
WHOLE = (0, 1, -1, 2**63 - 1, -(2**63), 2**53 + 1)
DOUBLES = st.lists(st.one_of(st.none(), st.sampled_from(EDGES), st.floats()), min_size=1, max_size=30)
INTEGERS = st.lists(
    st.one_of(st.none(), st.sampled_from(WHOLE), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=30
)


def summary(path: Path, frame: pl.DataFrame) -> dict[str, Any]:
    """Return profile and sketch of a table, which are written to git as JSON."""
    frame.write_parquet(path)
    facts = DuckDBStatistician(1).measure(Survey("t", "2024-01", path, "UTC"))
    made = {"profile": table_profile(facts), "sketch": summed(DuckDBSketcher(), path, (), facts.current.columns)}
    json.dumps(made, allow_nan=False)
    return made


@settings(max_examples=examples(0.1), deadline=None)
@example([LARGEST, LARGEST])
@example([LARGEST, -LARGEST, math.inf])
@example([TINY, -LARGEST])
@given(DOUBLES)
def test_a_profile_and_a_sketch_hold_any_doubles(
    tmp_path_factory: pytest.TempPathFactory, values: list[float | None]
) -> None:
    """Mean and bins are finite, the mean lies between minimum and maximum, and each finite value is in one bin."""
    path = tmp_path_factory.getbasetemp() / "doubles.parquet"
    frame = pl.DataFrame({"x": values, "y": pl.Series(values, dtype=pl.Float64).cast(pl.Float32, strict=False)},
                         schema_overrides={"x": pl.Float64})  # fmt: skip
    made = summary(path, frame)
    for name in frame.columns:
        finite = frame[name].filter(frame[name].is_finite())
        profile = made["profile"]["columns"][name]
        if not len(finite):
            continue
        low, high, mean = (profile[key] for key in ("min", "max", "mean"))
        assert low <= high
        assert min(low, high) - abs(low) * 1e-5 <= mean <= max(low, high) + abs(high) * 1e-5
        counts = Distribution.from_json(made["sketch"]["columns"][name]).counts
        assert sum(counts) == len(finite)
        assert len(counts) < 100


@settings(max_examples=examples(0.1), deadline=None)
@example([2**63 - 1, -(2**63)])
@given(INTEGERS)
def test_a_profile_and_a_sketch_hold_any_whole_numbers(
    tmp_path_factory: pytest.TempPathFactory, values: list[int | None]
) -> None:
    """Signed and unsigned, and decimals of 38 digits."""
    path = tmp_path_factory.getbasetemp() / "whole.parquet"
    signed = pl.Series("x", values, dtype=pl.Int64)
    unsigned = pl.Series("u", [None if value is None else value + 2**63 for value in values], dtype=pl.UInt64)
    wide = pl.Series("d", [None if value is None else 10**19 * value for value in values], dtype=pl.Decimal(38, 0))
    made = summary(path, pl.DataFrame([signed, unsigned, wide]))
    for name in ("x", "u", "d"):
        known = signed.len() - signed.null_count()
        assert known == 0 or sum(Distribution.from_json(made["sketch"]["columns"][name]).counts) == known


FINITE = st.one_of(st.sampled_from(EDGES[:9]), st.floats(allow_nan=False, allow_infinity=False))


@settings(max_examples=examples(0.5), deadline=None)
@example([(LARGEST, -LARGEST), (LARGEST, LARGEST)])
@example([(1e160, 0.0), (0.0, 1e160)])
@given(st.lists(st.tuples(FINITE, FINITE), min_size=2, max_size=20))
def test_metrics_of_a_regression_are_right_or_beyond_doubles(rows: list[tuple[float, float]]) -> None:
    """Squares of large numbers overflow, and the figures of them do not."""
    labels, predictions = np.array(rows).T
    metrics = dict(
        zip(
            [metric.name for metric in METRICS["regression"]],
            measured("regression", labels, predictions).values,
            strict=True,
        )
    )
    excess = [Fraction(p) - Fraction(y) for y, p in rows]
    mae = Fraction(sum(map(abs, excess), Fraction())) / len(rows)
    squared = Fraction(sum((error**2 for error in excess), Fraction())) / len(rows)
    assert metrics["mae"] == pytest.approx(as_double(mae), rel=1e-9, abs=1e-320)
    root = Fraction(math.isqrt(int(squared * 2**2200))) / 2**1100
    assert metrics["rmse"] == pytest.approx(
        as_double(root), rel=1e-9, abs=1e-160 * float(np.abs(np.array(rows)).max() or 1)
    )


def as_double(number: Fraction) -> float:
    """Return the nearest double, or infinity."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


@pytest.mark.parametrize(
    "values", [(LARGEST, -LARGEST, LARGEST), (1e160, 1e160), (TINY, -TINY), (1.7e18, 1.7e18 + 256)]
)
def test_a_label_at_the_edge_is_evaluated(values: tuple[float, ...], tmp_path: Path) -> None:
    """Figures, intervals, plots and pictures are made of it, and end."""
    case = make(tmp_path, "regression", rows=300)
    for path in (layout.TRAIN, layout.HOLDOUT):
        labels = case.table(path)["label"].to_list()
        case.replace(path, label=pl.Series([*values, *labels[len(values) :]], dtype=pl.Float64))
    case.train()
    case.evaluate(slices=[])
    json.loads((tmp_path / layout.METRICS).read_text(encoding="utf-8"), parse_constant=pytest.fail)


@settings(max_examples=examples(0.5), deadline=None)
@example([1.7e18, 1.7e18 + 256])
@example([LARGEST, -LARGEST])
@given(st.lists(st.floats(), min_size=1, max_size=5))
def test_a_picture_of_any_numbers_ends(values: list[float]) -> None:
    """Its axis has marks, whatever lies on it; numbers without a place there break the line."""
    line = Line("observed", [(value, value) for value in values])
    assert "<svg" in draw(LineChart("Any", Axis("x"), Axis("y"), [line]))
    assert "<svg" in draw(
        BarChart("Any", Axis("x"), [Bar(str(n), value, value, value) for n, value in enumerate(values)])
    )
