"""The online store: any sequence of increments answers like one build of everything."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from leverframe.domain.features.online import microseconds_of
from leverframe.domain.features.plan import Plan
from leverframe.domain.features.request import Requests, required
from leverframe.domain.features.snapshot.store import Store
from leverframe.domain.features.vector import vectors
from tests.integration.materialized import Living, filled
from tests.integration.worlds import (
    CORRECTED,
    CORRECTED_TYPES,
    MORNING,
    STAR,
    TYPES,
    WORLD,
    batched_star,
    corrected_worlds,
    drawn,
    numbered,
    plan_of,
    worlds,
)

ENDS = [MORNING + timedelta(hours=hours) for hours in (-30, 0, 5, 29, 75)]
COUNT = 24  # drawn worlds, which lie in the same tables under keys of their own
KINDS = {"plain": (STAR, TYPES, worlds), "corrected": (CORRECTED, CORRECTED_TYPES, corrected_worlds)}


def answers(plan: Plan, store: Store, at: list[datetime]) -> dict[str, list[Any]]:
    """Return every feature for every key at every timestamp, nulls as None."""
    rows = list(product(range(COUNT), ("a", "b", "é'\"", "nobody", None), (0, 1), (0, 3), at))
    texts = np.array([k for _, k, *_ in rows], object)
    fields: dict[str, Any] = {
        "w": np.array([w for w, *_ in rows]), "k": np.ma.MaskedArray(texts, mask=[k is None for k in texts]),
        "g": np.array([g for _, _, g, *_ in rows]), "id": np.array([number for *_, number, _ in rows]),
        "x": np.full(len(rows), 1.5),
    }  # fmt: skip
    stamps = np.array([microseconds_of(each) for *_, each in rows], np.int64)
    made = vectors(plan, store, Requests({name: fields[name] for name in required(plan)}, stamps))
    return {name: [_plain(value) for value in np.ma.asarray(values).tolist()] for name, values in made.items()}


def _plain(value: Any) -> Any:
    return None if value is None or value != value else value  # noqa: PLR0124 - only NaN differs from itself


@pytest.mark.parametrize("kind", KINDS)
def test_increments_answer_like_one_build(kind: str, tmp_path: Path) -> None:
    """Rows that come in time, late, corrected, or change, and places that are new: no difference to the last bit."""
    star, types, strategy = KINDS[kind]
    plan, types = plan_of(batched_star(star)), {name: {"w": pl.Int64, **its} for name, its in types.items()}
    some = [numbered(number, world) for number, world in enumerate(drawn(COUNT, strategy()))]
    world = {table: [row for each in some for row in each[table]] for table in types}
    chance = random.Random(7)  # noqa: S311 - which rows come late
    arrives = {table: [chance.choice((0, 0, 1, 2, 3, 4)) for _ in rows] for table, rows in world.items()}
    living = Living(tmp_path / "steps", plan, {}, types, WORLD)
    kinds = []
    for number, until in enumerate(ENDS):
        living.world = filled(
            {
                table: [_draft(row, chance, last=until == ENDS[-1])
                        for row, at in zip(rows, arrives[table], strict=True) if at <= number]
                for table, rows in world.items()
            }, types, WORLD,
        )  # fmt: skip
        kinds.append(living.materialize(until).kind)
        at = [until + timedelta(minutes=minutes) for minutes in (-47 * 60, -1, 0, 40, 60 * 30)]
        once = Living(tmp_path / f"once-{number}", plan, living.world, types, WORLD)
        once.materialize(until)
        assert answers(plan, living.store(), at) == answers(plan, once.store(), at)
    assert kinds.count("increment") >= 2


def _draft(row: dict[str, Any], chance: random.Random, *, last: bool) -> dict[str, Any]:
    """Return a row as its source has it just now: some values are others for a while, and some keys."""
    if last or chance.random() < 0.9:
        return row
    return row | {name: None for name in ("v", "level", "size", "k", "who") if name in row and chance.random() < 0.4}
