"""Every type of column and every name: the value that the row-by-row reference has, or one error of ours."""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from hypothesis import HealthCheck, Phase, given, settings

from leverframe.adapters.disk import Disk
from leverframe.adapters.duckdb.engine import DuckDBEngine
from leverframe.adapters.duckdb.online import DuckDBSnapshooter
from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.snapshot_file import SnapshotFile, write
from leverframe.domain import layout
from leverframe.domain.features.build import run
from leverframe.domain.features.online import Span, about, online_files
from leverframe.domain.features.parity import compared
from leverframe.domain.features.plan import Plan
from leverframe.domain.features.request import Requests, required
from leverframe.domain.features.vector import vectors
from leverframe.errors import LeverframeError
from leverframe.serving.row import RowByRow
from tests.fakes.reference import reference
from tests.integration.typed_worlds import TypedWorld, typed_worlds
from tests.integration.worlds import MARCH, WORLD, ZONE

MANY = 300 if settings().max_examples < 100 else 10_000  # worlds in CI, and in the deep suite


def built(plan: Plan, world: TypedWorld, root: Path) -> list[dict[str, Any]]:
    """Return the features of March that the engine builds."""
    world.write(root)
    run(plan, MARCH, WORLD, DuckDBEngine(2), Disk(root).exists, root)
    return pl.read_parquet(root / layout.features(str(MARCH))).to_dicts()


def served(plan: Plan, root: Path) -> None:
    """Hold what a snapshot gives, for many rows and for one at a time, against the build."""
    span = Span(MARCH.start(ZONE) - timedelta(days=3), MARCH.plus(1).start(ZONE))
    files = online_files(plan, span, WORLD, Disk(root).exists, root)
    write(root / "snapshot.bin", about(plan, span, {}), DuckDBSnapshooter().tables(plan, files, span))
    store = SnapshotFile(root / "snapshot.bin", spec=plan.spec)
    rows = PolarsTables(root).arrays(MARCH, [*required(plan), *plan.features(), "as_of"])
    as_of, single = np.ma.getdata(rows["as_of"]), RowByRow(plan, store)
    many = vectors(plan, store, Requests({name: rows[name] for name in required(plan)}, as_of))
    for name in plan.features():
        assert compared(name, rows[name], many[name]).count == 0, (name, rows[name], many[name])
    plain = {name: np.ma.asarray(rows[name]).tolist() for name in required(plan)}
    for row, at in enumerate(as_of.tolist()):
        found = single.vector({name: values[row] for name, values in plain.items()}, at, Counter())
        assert found is not None
        for name, values in many.items():
            one, other = found[name], np.ma.asarray(values)[row : row + 1]
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
