"""The online store: any sequence of increments answers like one build of everything."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from leverframe.adapters.redis import RedisStore
from leverframe.domain.features.online import microseconds_of
from leverframe.domain.features.plan import Plan
from leverframe.domain.features.request import Requests, required
from leverframe.domain.features.snapshot.store import Store
from leverframe.domain.features.vector import vectors
from tests.integration.materialized import Living, filled
from tests.integration.redis_server import needed, running
from tests.integration.worlds import (
    CORRECTED,
    CORRECTED_TYPES,
    MORNING,
    STAR,
    TYPES,
    WORLD,
    World,
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


def changing(kind: str, living: Living) -> Iterator[datetime]:
    """Let a living world change, and yield the timestamps up to which its store should be brought."""
    world: World = {table: [] for table in living.types}
    for number, each in enumerate(drawn(COUNT, KINDS[kind][2]())):
        for table, rows in numbered(number, each).items():
            world[table] += rows
    chance = random.Random(7)  # noqa: S311 - which rows come late
    arrives = {table: [chance.choice((0, 0, 1, 2, 3, 4)) for _ in rows] for table, rows in world.items()}
    for number, until in enumerate(ENDS):
        here = {
            table: [_draft(row, chance, last=until == ENDS[-1])
                    for row, at in zip(rows, arrives[table], strict=True) if at <= number]
            for table, rows in world.items()
        }  # fmt: skip
        living.world = filled(here, living.types, WORLD)
        yield until


def lived(kind: str, folder: Path, **online: Any) -> Living:
    """Return a store whose tables are those of many worlds."""
    star, types, _ = KINDS[kind]
    numbered_types = {name: {"w": pl.Int64, **its} for name, its in types.items()}
    return Living(folder, plan_of(batched_star(star)), {}, numbered_types, WORLD, **online)


@pytest.mark.parametrize("kind", KINDS)
def test_increments_answer_like_one_build(kind: str, tmp_path: Path) -> None:
    """Rows that come in time, late, corrected, or change, and places that are new: no difference to the last bit."""
    living, kinds = lived(kind, tmp_path / "steps"), []
    for until in changing(kind, living):
        kinds.append(living.materialize(until).kind)
        once = lived(kind, tmp_path / until.strftime("%d-%H"))
        once.world = living.world
        once.materialize(until)
        at = around(until)
        assert answers(living.plan, living.store(), at) == answers(living.plan, once.store(), at)
    assert kinds.count("increment") >= 2


@needed
def test_redis_answers_like_the_file_and_gets_only_what_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each increment; a reader that stays with its generation answers as before."""
    with running() as (url, _):
        monkeypatch.setenv("FEATURES", url)
        living = lived("plain", tmp_path, store="redis", redis="FEATURES")
        follows, pinned = None, None
        before: tuple[list[datetime], dict[str, list[Any]]] = ([], {})
        for until in changing("plain", living):
            living.materialize(until)
            follows = follows or RedisStore(url, spec=living.plan.spec)
            at = around(until)
            now = answers(living.plan, living.store(), at)
            assert answers(living.plan, follows, at) == now
            if pinned is not None:
                assert answers(living.plan, pinned, before[0]) == before[1]
            pinned, before = RedisStore(url, spec=living.plan.spec, follow=False), (at, now)
        living.materialize(ENDS[-1] + timedelta(minutes=10))
        written = [int(told.split()[0].replace(",", "")) for told in living.told if "keys written" in told]
    assert written[-1] < max(written) / 10


def around(until: datetime) -> list[datetime]:
    """Return timestamps that a store as of ``until`` can be asked for."""
    return [until + timedelta(minutes=minutes) for minutes in (-47 * 60, -1, 0, 40, 60 * 30)]


def _draft(row: dict[str, Any], chance: random.Random, *, last: bool) -> dict[str, Any]:
    """Return a row as its source has it just now: some values are others for a while, and some keys."""
    if last or chance.random() < 0.9:
        return row
    return row | {name: None for name in ("v", "level", "size", "k", "who") if name in row and chance.random() < 0.4}
