"""The online store: any sequence of increments answers like one build of everything."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leverframe.domain.features.online import microseconds_of
from leverframe.domain.features.plan import Plan
from leverframe.domain.features.request import Requests, required
from leverframe.domain.features.snapshot.store import Store
from leverframe.domain.features.vector import vectors
from tests.integration.materialized import Living, Types, filled
from tests.integration.worlds import (
    CORRECTED,
    CORRECTED_TYPES,
    MORNING,
    STAR,
    TYPES,
    WORLD,
    World,
    corrected_worlds,
    plan_of,
    worlds,
)

ENDS = [MORNING + timedelta(hours=hours) for hours in (-200, -30, 0, 5, 29, 31, 75)]


def answers(plan: Plan, store: Store, at: list[datetime]) -> dict[str, list[Any]]:
    """Return every feature for every key at every timestamp, nulls as None."""
    keys = [(k, g, number) for k in ("a", "b", "é'\"", "nobody", None) for g in (0, 1, 7) for number in (0, 3, 8)]
    rows = [(*key, each) for key in keys for each in at]
    texts = np.array([k for k, *_ in rows], object)
    fields: dict[str, Any] = {
        "k": np.ma.MaskedArray(np.where(texts == None, "", texts), mask=texts == None),  # noqa: E711
        "g": np.array([g for _, g, *_ in rows]), "id": np.array([number for *_, number, _ in rows]),
        "x": np.full(len(rows), 1.5),
    }  # fmt: skip
    stamps = np.array([microseconds_of(each) for *_, each in rows], np.int64)
    made = vectors(plan, store, Requests({name: fields[name] for name in required(plan)}, stamps))
    return {name: [_plain(value) for value in np.ma.asarray(values).tolist()] for name, values in made.items()}


def _plain(value: Any) -> Any:
    return None if value is None or value != value else value  # noqa: PLR0124 - only NaN differs from itself


def held(star: dict[str, Any], types: Types, world: World, data: Any) -> None:
    """Bring two stores to the same timestamp, one step by step while rows arrive, one at once."""
    plan = plan_of(star)
    ends = sorted(data.draw(st.sets(st.sampled_from(ENDS), min_size=2, max_size=4), label="ends"))
    whole = filled(world, types, WORLD)
    arrives = {table: [data.draw(st.integers(0, len(ends) - 1)) for _ in rows] for table, rows in world.items()}
    with TemporaryDirectory() as folder:
        living = Living(Path(folder, "steps"), plan, whole, types, WORLD)
        for number, until in enumerate(ends):
            living.world = {
                table: [row for row, at in zip(rows, arrives[table], strict=False) if at <= number]
                + rows[len(arrives[table]):]
                for table, rows in whole.items()
            }  # fmt: skip
            living.materialize(until)
        once = Living(Path(folder, "once"), plan, whole, types, WORLD)
        once.materialize(ends[-1])
        at = [ends[-1] + timedelta(minutes=minutes) for minutes in (-47 * 60, -1, 0, 40, 60 * 30)]
        assert answers(plan, living.store(), at) == answers(plan, once.store(), at)


SLOW = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


@SLOW
@given(world=worlds(), data=st.data())
def test_increments_answer_like_one_build(world: World, data: Any) -> None:
    """Rows that come in time, late, in no order, and a list of places that grows: no difference to the last bit."""
    held(STAR, TYPES, world, data)


@SLOW
@given(world=corrected_worlds(), data=st.data())
def test_increments_answer_like_one_build_where_rows_are_corrected(world: World, data: Any) -> None:
    """A version moves what was known of its event under other keys."""
    held(CORRECTED, CORRECTED_TYPES, world, data)
