"""The online store: any sequence of increments answers like one build of everything."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pytest

from leverframe.adapters.redis import RedisStore
from leverframe.application.materialize import refuse_other, store_folder
from leverframe.domain.features.online import microseconds_of
from leverframe.domain.features.plan import Plan
from leverframe.domain.features.request import Requests, required
from leverframe.domain.features.snapshot.store import Store
from leverframe.domain.features.vector import vectors
from leverframe.domain.partition import Partition, Partitions
from leverframe.errors import MaterializeBusyError, ParityError, SnapshotError
from leverframe.serving.row import RowByRow
from tests.integration.materialized import Living, filled
from tests.integration.redis_server import needed, running
from tests.integration.worlds import (
    CORRECTED,
    CORRECTED_TYPES,
    MORNING,
    STAR,
    TYPES,
    WORLD,
    ZONE,
    World,
    batched_star,
    corrected_worlds,
    drawn,
    numbered,
    plan_of,
    small_world,
    worlds,
)
from tests.profiles import by_day, deep

ENDS = [MORNING + timedelta(hours=hours) for hours in (-29, 5, 29, 75)]  # some at the very time of rows
COUNT = 16 if deep() else 8  # drawn worlds, which lie in the same tables under keys of their own
SEEN = STAR | {"facts": {name: fact | ({"own": "include"} if fact["table"] in ("outcomes", "notes") else {})
                         for name, fact in STAR["facts"].items()}}  # fmt: skip
KINDS = {
    "seen": (SEEN, TYPES, worlds),
    "plain": (STAR, TYPES, worlds),
    "corrected": (CORRECTED, CORRECTED_TYPES, corrected_worlds),
}


def asked(plan: Plan, at: list[datetime]) -> Requests:
    """Return requests for every key at every timestamp."""
    rows = list(product(range(COUNT), ("a", "b", "é'\"", "nobody", None), (0, 1), (0, 3), at))
    texts = np.array([k for _, k, *_ in rows], object)
    fields: dict[str, Any] = {
        "w": np.array([w for w, *_ in rows]), "k": np.ma.MaskedArray(texts, mask=[k is None for k in texts]),
        "g": np.array([g for _, _, g, *_ in rows]), "id": np.array([number for *_, number, _ in rows]),
        "x": np.full(len(rows), 1.5),
    }  # fmt: skip
    stamps = np.array([microseconds_of(timestamp) for *_, timestamp in rows], np.int64)
    return Requests({name: fields[name] for name in required(plan)}, stamps)


def answers(plan: Plan, store: Store, at: list[datetime]) -> dict[str, list[Any]]:
    """Return every feature for every key at every timestamp, nulls as None."""
    made = vectors(plan, store, asked(plan, at))
    return {name: [_plain(value) for value in np.ma.asarray(values).tolist()] for name, values in made.items()}


def _plain(value: Any) -> Any:
    return None if value is None or value != value else value  # noqa: PLR0124 - only NaN differs from itself


def changing(kind: str, living: Living) -> Iterator[datetime]:
    """Let a living world change, and yield the timestamps up to which its store should be brought."""
    world: World = {table: [] for table in living.types}
    for number, sample in enumerate(drawn(COUNT, KINDS[kind][2]())):
        for table, rows in numbered(number, sample).items():
            world[table] += rows
    chance = random.Random(7)  # noqa: S311 - which rows come late
    arrives = {table: [chance.choice((0, 0, 1, 2, 3)) for _ in rows] for table, rows in world.items()}
    stays = {table: [chance.choice((9, 9, 9, 2, 3)) for _ in rows] for table, rows in world.items()}
    for number, until in enumerate(ENDS):
        here = {
            table: [_draft(row, chance, last=until == ENDS[-1])
                    for row, at, gone in zip(rows, arrives[table], stays[table], strict=True) if at <= number < gone]
            for table, rows in world.items()
        }  # fmt: skip
        living.world = filled(here, living.types, WORLD)
        yield until


def lived(kind: str, folder: Path, **online: Any) -> Living:
    """Return a store whose tables are those of many worlds."""
    star, types, _ = KINDS[kind]
    numbered_types = {name: {"w": pl.Int64, **its} for name, its in types.items()}
    return Living(folder, plan_of(batched_star(star)), {}, numbered_types, WORLD, **online)


def test_the_fast_path_reads_layers_as_the_batch_path_does() -> None:
    """Prepared part by part as generations come: the same values, to the last bit."""
    with TemporaryDirectory() as folder:
        living, rows = lived("seen", Path(folder)), None
        for until in changing("seen", living):
            living.materialize(until)
            store = living.store()
            rows = RowByRow(living.plan, store, rows)
            assert rows.fits
            requests = asked(living.plan, around(until))
            many = answers(living.plan, store, around(until))
            fields = {name: np.ma.asarray(values).tolist() for name, values in requests.fields.items()}
            for row, at in enumerate(requests.as_of.tolist()):
                one = rows.vector({name: values[row] for name, values in fields.items()}, at, [])
                assert one is not None
                assert {name: _plain(value) for name, value in one.items()} == {
                    name: values[row] for name, values in many.items()
                }


@pytest.mark.parametrize("kind", by_day(["plain", "corrected"], "corrected"))
def test_increments_answer_like_one_build(kind: str, tmp_path: Path) -> None:
    """Rows that come in time, late, corrected, or change, and places that are new: no difference to the last bit."""
    living, kinds = lived(kind, tmp_path / "steps"), []
    for until in changing(kind, living):
        kinds.append(living.materialize(until).kind)
        if until not in ENDS[-2:]:
            continue
        once = lived(kind, tmp_path / until.strftime("%d-%H"))
        once.world = living.world
        once.materialize(until)
        at = around(until)
        assert answers(living.plan, living.store(), at) == answers(living.plan, once.store(), at)
    assert kinds.count("increment") >= 2


@pytest.mark.deep
@pytest.mark.parametrize(("star", "types"), [(STAR, TYPES), (CORRECTED, CORRECTED_TYPES)], ids=["plain", "corrected"])
def test_another_order_of_rows_of_one_time_is_followed(
    star: dict[str, Any], types: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    """The later row of the table is the newer one, of a key and, as a version, of an event: a source may turn them."""
    world, plan = small_world(), plan_of(star)
    at = {"event_time": MORNING, "known_at": MORNING, "seen_at": MORNING}
    rows = [
        at | {"e": 1, "k": k, "g": 0, "v": v, "n": 1, "t": t, "x": v, "z": v}
        for k, v, t in (("a", 1.0, "p"), ("a", 2.0, "q"), ("b", 3.0, "r"))
    ]
    stores, until = [], MORNING + timedelta(hours=3)
    for name, orders in (("steps", (rows, rows[::-1])), ("once", (rows[::-1],))):
        for number, order in enumerate(orders):
            here = {table: list(order) if table == "events" else its for table, its in world.items()}
            living = Living(tmp_path / name, plan, filled(here, types, WORLD), types, WORLD)
            kind = living.materialize(until + timedelta(seconds=5 * number)).kind
            assert kind == ("increment" if number else "full")
        stores.append(living.store())
    requests = Requests(
        {"k": np.array(["a", "b"]), "g": np.array([0, 0]), "id": np.array([0, 1]), "x": np.array([1.0, 1.0])},
        np.full(2, microseconds_of(until), np.int64),
    )
    steps, once = (
        {name: [_plain(value) for value in np.ma.asarray(values).tolist()]
         for name, values in vectors(plan, store, requests).items()}
        for store in stores
    )  # fmt: skip
    assert steps == once


def test_a_source_that_stopped_in_the_middle_of_a_partition_is_read_again(tmp_path: Path) -> None:
    """The month it stopped in was there, so only its place as the newest one tells that it may lack rows."""
    world, plan, until = small_world(), plan_of(), MORNING + timedelta(days=49)
    world["visits"] += [row | {"event_time": until, "known_at": until, "id": 7} for row in world["visits"][:1]]
    events = [
        row | {"event_time": at, "known_at": at, "seen_at": at, "v": 5.0}
        for row in world["events"] for at in (MORNING + timedelta(days=days) for days in (29.5, 30.5, 45))
    ]  # fmt: skip
    stores = []
    for name in ("steps", "once"):
        living = Living(tmp_path / name, plan, filled(world, TYPES, WORLD), TYPES, WORLD)
        if name == "steps":
            assert living.materialize(until).absent["events"] == ["2020-04"]
        living.world["events"] = living.world["events"] + events
        assert living.materialize(until + timedelta(minutes=5)).kind == ("increment" if name == "steps" else "full")
        stores.append(living.store())
    requests = Requests(
        {"k": np.array(["a"]), "g": np.array([0]), "id": np.array([0]), "x": np.array([1.0])},
        np.array([microseconds_of(until)], np.int64),
    )
    steps, once = (
        {
            feature: _plain(np.ma.asarray(values).tolist()[0])
            for feature, values in vectors(plan, store, requests).items()
        }
        for store in stores
    )
    assert steps == once


@needed
@pytest.mark.deep
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
        kinds = [living.materialize(ENDS[-1] + timedelta(minutes=minutes)).kind for minutes in (10, 20)]
        written = [int(line.split()[0].replace(",", "")) for line in living.messages if "keys written" in line]
    assert kinds[-1] == "increment"
    assert written[-1] < max(written) / 10


def around(until: datetime) -> list[datetime]:
    """Return timestamps that a store as of ``until`` can be asked for."""
    return [until + timedelta(minutes=minutes) for minutes in (-47 * 60, -1, 0, 40, 60 * 30)]


def _draft(row: dict[str, Any], chance: random.Random, *, last: bool) -> dict[str, Any]:
    """Return a row as its source has it just now: some values are others for a while, and some keys."""
    if last or chance.random() < 0.9:
        return row
    return row | {name: None for name in ("v", "level", "size", "k", "who") if name in row and chance.random() < 0.4}


KILLED = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from tests.integration.test_materialize_worlds import small

folder, event, part, until = sys.argv[1:]


def hook(name, given):
    if name == event and any(part in str(path) for path in given[:2]):
        os.kill(os.getpid(), signal.SIGKILL)


living = small(Path(folder))
sys.addaudithook(hook)
living.materialize(datetime.fromisoformat(until))
"""
PLACES = [("os.link", "/raw/"), ("os.link", "/layers/"), ("os.rename", "current.json"), ("os.remove", "/layers/")]


HOURS = (30, 32, 36, 48)  # of March, up to which the small store is brought


def small(folder: Path) -> Living:
    """Return a store of the small world, whose events go on into March."""
    world = small_world()
    later = [
        row | {"event_time": at, "known_at": at, "seen_at": at}
        for row in world["events"]
        for at in (MORNING + timedelta(hours=hours) for hours in (29, 31, 33, 40))
    ]
    return Living(folder, plan_of(), filled(world | {"events": world["events"] + later}, TYPES, WORLD), TYPES, WORLD)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small store with some generations."""
    folder = tmp_path_factory.mktemp("grown")
    for hours in HOURS[:-1]:
        small(folder).materialize(MORNING + timedelta(hours=hours))
    return folder


@pytest.mark.deep
def test_a_check_compares_every_group_of_partitions(grown: Path) -> None:
    """The days that the store answers for lie in two months: both are asked of the same store."""
    parity = refuse_other(small(grown).workspace)
    assert parity.rows == 4
    assert not parity.broken()


@pytest.mark.parametrize("damage", by_day(["flip", "cut", "gone", "raw", "pointer"], "flip", "pointer"))
def test_a_damaged_store_is_not_built_upon(damage: str, tmp_path: Path, grown: Path) -> None:
    """An error with the step that helps, which does help; the file in force is not touched."""
    shutil.copytree(grown, tmp_path / "store")
    living, until = small(tmp_path / "store"), MORNING + timedelta(hours=HOURS[-1])
    folder = store_folder(living.workspace)
    current = folder.current()
    assert current is not None
    path = folder.layer_path(current.base)
    assert path.stat().st_mode & 0o222 == 0
    content = path.read_bytes()
    spoilt = {"flip": content[:-9] + bytes([content[-9] ^ 1]) + content[-8:], "cut": content[:99]}
    if damage in spoilt:
        path.chmod(0o644)
        path.write_bytes(spoilt[damage])
    elif damage == "pointer":
        pointer = folder.folder / "current.json"
        pointer.write_text(pointer.read_text().replace(str(current.as_of), "9" * 20))
    elif damage == "raw":
        folder.raw("events", min(current.raw["events"].items())[1]).unlink()
    else:
        path.unlink()
    with pytest.raises(SnapshotError) as caught:
        living.materialize(until)
    assert caught.value.next == "`leverframe materialize --full`"
    assert living.materialize(until, full=True).kind == "full"
    assert living.store().about().as_of == microseconds_of(until)


def test_a_check_of_data_without_partitions_and_of_a_source_that_changed(tmp_path: Path) -> None:
    """They are read as a whole; a difference is told as what it is, one between store and source."""
    ever = Partitions(WORLD.first, WORLD.last, "none", ZONE)
    living, until = small(tmp_path), MORNING + timedelta(hours=36)
    vars(living.workspace)["partitions"] = ever
    living.materialize(until)
    assert refuse_other(living.workspace).rows == 4
    living.world["events"] = [row for row in living.world["events"] if row["k"] is None]
    with pytest.raises(ParityError, match="others in the online store than in the sources") as caught:
        refuse_other(living.workspace)
    assert "materialize --full" in caught.value.next


def test_a_check_leaves_out_what_is_not_there_yet(tmp_path: Path) -> None:
    """The month that has just begun has no rows: the one before is compared all the same."""
    living, april = small(tmp_path), MORNING + timedelta(days=31, hours=5)
    living.world["visits"] += [
        row | {"id": row["id"] + 100, "event_time": at, "known_at": at}
        for row in small_world()["visits"] for at in (april - timedelta(hours=7),)
    ]  # fmt: skip
    assert living.materialize(april).absent["events"] == ["2020-04"]
    parity = refuse_other(living.workspace)
    assert parity.rows == 3
    assert not parity.broken()


@pytest.mark.parametrize(("event", "part"), by_day(PLACES, ("os.rename", "current.json"), ("os.link", "/layers/")))
def test_a_killed_run_leaves_the_old_generation_and_the_next_one_finishes(
    event: str, part: str, tmp_path: Path, grown: Path
) -> None:
    """Wherever it is killed: as rows are kept, as the layer is, at the switch, and as old files are removed."""
    folder, until = tmp_path / "store", MORNING + timedelta(hours=HOURS[-1])
    shutil.copytree(grown, folder)
    living = small(folder)
    before = store_folder(living.workspace).current()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), event, part, until.isoformat()], check=False,
        capture_output=True, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    after = store_folder(living.workspace).current()
    assert before is not None
    assert after is not None
    assert (after == before) == (event != "os.remove")
    assert living.store().about().as_of == after.as_of
    assert living.materialize(until).generation == after.number + 1
    current = store_folder(living.workspace).current()
    assert current is not None
    whole = {path.name for path in store_folder(living.workspace).folder.rglob("*") if path.is_file()}
    assert whole == current.files() | {"current.json", "lock"}


def test_data_without_partitions_go_on_beyond_their_declared_end(tmp_path: Path) -> None:
    """One file holds everything, and what came since is in it."""
    living = small(tmp_path)
    declared = Partitions(Partition.of("2019-12-01"), Partition.of("2020-03-01"), "none", ZONE)
    vars(living.workspace).update(partitions=declared)
    counts = []
    for hours in HOURS:
        until = MORNING + timedelta(hours=hours)
        living.materialize(until)
        fields = {"k": ["a"], "g": [0], "id": [0], "x": [1.0]}
        at = np.array([microseconds_of(until)], np.int64)
        made = vectors(living.plan, living.store(), Requests({name: np.array(v) for name, v in fields.items()}, at))
        counts.append(int(made["place_v_count_2d"][0]))
    assert counts == [1, 3, 4, 5]


def test_a_file_system_without_hard_links_gets_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is the same."""

    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    living = small(tmp_path)
    living.materialize(MORNING + timedelta(hours=HOURS[0]))
    assert living.materialize(MORNING + timedelta(hours=HOURS[1])).kind == "increment"
    assert living.store().about().as_of == microseconds_of(MORNING + timedelta(hours=HOURS[1]))


def test_one_run_at_a_time(tmp_path: Path) -> None:
    """Another one is told so, with the exit code of its own."""
    living = small(tmp_path)
    with store_folder(living.workspace).lock(), pytest.raises(MaterializeBusyError):
        living.materialize(ENDS[-1])
