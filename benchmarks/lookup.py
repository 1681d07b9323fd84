"""The online lookup: 16 random keys of one million, 12 float32 each, as a float32 matrix.

Sides: the snapshot file and the Redis store of Leverframe; a dict of rows in the process, as most
engineers write it, and the harder dict of positions in one matrix; a plain Redis client with MGET;
SQLite and LMDB. Each side is a process of its own and answers the same questions; the answers are
compared. ``memory`` asks Linux what two readers of the snapshot file hold together.
LMDB lives in an environment that the benchmark makes; without network it is left out.
"""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.alternate import Measure, alternate, child, machine, measured, met
from benchmarks.redis_server import redis_server

# ruff: noqa: PLC0415 - a side imports only what it compares, and the parent of the children stays small

Work = Callable[[], dict[str, Any]]
Ask = Callable[[Any], Any]

NAME = "benchmarks.lookup"
TARGETS = {
    "p50_vs_dict": 1.5,
    "p50_vs_redis_mget": 0.3,
    "p50_vs_redis_store": 0.3,
    "p50_vs_sqlite": 1.0,
    "p50_vs_lmdb": 1.0,
    "memory_two_readers_vs_one": 1.1,
    "mismatches": 0,
}
KEYS, WIDTH = 16, 12
NAMES = [f"f{number}" for number in range(WIDTH)]
SPEC = "0" * 64


def main() -> None:
    """Print the figures, or do the work of one side when this is a child."""
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, which is the only form there is")
    parser.add_argument("--quick", action="store_true", help="a tenth of the entities, a fifth of the calls, 3 rounds")
    parser.add_argument("--side", choices=[*BUILDS, *ASKS, "make", "reader"], help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side == "reader":
        reader(given.root)
    elif given.side == "make":
        measured(partial(make, given.root, *given.size))
    elif given.side in BUILDS:
        measured(partial(BUILDS[given.side], given.root, given.url))
    elif given.side:
        asked(ASKS[given.side], given.root, given.url)
    else:
        print(json.dumps(figures(quick=given.quick), indent=2))


def figures(*, quick: bool) -> dict[str, Any]:
    """Return the figures of all sides, measured turn by turn."""
    entities, calls, rounds = (100_000, 2_000, 3) if quick else (1_000_000, 10_000, 5)
    with tempfile.TemporaryDirectory() as folder, redis_server() as url:
        root = Path(folder)
        lmdb = _lmdb_python(root)
        absent = ({"redis_mget", "redis_store"} if not url else set()) | ({"lmdb"} if lmdb is None else set())

        def side(name: str) -> Measure:
            python = lmdb if lmdb and name.removeprefix("build_") == "lmdb" else sys.executable
            size = (str(entities), str(calls))
            return child(NAME, "--side", name, "--root", folder, "--url", url, "--size", *size, python=python)

        side("make")
        builds = {name: side(name) for name in BUILDS if name.removeprefix("build_") not in absent}
        sides = alternate({name: partial(side, name) for name in ASKS if name not in absent}, rounds)
        shared = memory(root)
    sums = {measure.result["sum"] for measures in sides.values() for measure in measures}
    ratios = {f"{kind}_vs_{name}": _ratio(sides, name, kind) for kind in ("p50", "p99") for name in sides}
    values = {**ratios, "mismatches": len(sums) - 1, **shared}
    targets = {name: bound for name, bound in TARGETS.items() if name in values}
    return {
        "name": "lookup",
        "machine": machine(),
        "sizes": {"entities": entities, "columns": WIDTH, "keys_a_call": KEYS, "calls": calls, "rounds": rounds},
        "ratios": {name: value for name, value in ratios.items() if not name.endswith("_vs_file")},
        "absolute": {name: _microseconds(measures) for name, measures in sides.items()},
        "build": {
            name.removeprefix("build_"): {"seconds": round(build.wall, 2), "megabytes": build.result["megabytes"]}
            for name, build in builds.items()
        },
        "memory": shared,
        "mismatches": values["mismatches"],
        "left_out": sorted(absent),
        "targets": targets,
        "met": met(values, targets),
    }


def make(root: Path, entities: int, calls: int) -> dict[str, Any]:
    """Write keys in random order, their values, and the keys of each call."""
    import numpy as np

    random = np.random.default_rng(7)
    keys = random.permutation(entities * 5)[:entities].astype(np.int64)
    np.save(root / "keys.npy", keys)
    np.save(root / "values.npy", random.random((entities, WIDTH), np.float32))
    np.save(root / "asked.npy", keys[random.integers(0, entities, (calls, KEYS))])
    return {}


def asked(prepare: Callable[[Path, str], Ask], root: Path, url: str) -> None:
    """Ask all questions, one call at a time, and tell the median and the 99th of the microseconds."""
    import numpy as np

    ask = prepare(root, url)
    questions = list(np.load(root / "asked.npy"))
    if prepare not in (file, redis_store):  # who wants Python's integers gets them for nothing
        questions = [question.tolist() for question in questions]
    for question in questions[:200]:
        ask(question)

    def work() -> dict[str, Any]:
        clock, times, total = time.perf_counter_ns, [], 0
        for question in questions:
            began = clock()
            answer = ask(question)
            times.append(clock() - began)
            total = zlib.crc32(answer.tobytes(), total)
        assert answer.shape == (KEYS, WIDTH)
        assert answer.dtype == np.float32
        p50, p99 = np.percentile(times, [50, 99]) / 1000
        return {"p50": p50, "p99": p99, "sum": total}

    measured(work)


def file(root: Path, _: str) -> Ask:
    """Ask the snapshot file."""
    from leverframe.adapters.snapshot_file import SnapshotFile

    store = SnapshotFile(root / "snapshot", spec=SPEC)
    return lambda keys: store.find("t", [keys]).matrix()


def dict_of_rows(root: Path, _: str) -> Ask:
    """Ask a dict from key to row."""
    import numpy as np

    keys, values = _data(root)
    rows = dict(zip(keys.tolist(), values, strict=True))
    return lambda asked: np.array([rows[key] for key in asked])


def dict_of_positions(root: Path, _: str) -> Ask:
    """Ask a dict from key to position, and take the rows from one matrix."""
    keys, values = _data(root)
    places = {key: place for place, key in enumerate(keys.tolist())}
    return lambda asked: values[[places[key] for key in asked]]


def redis_store(_: Path, url: str) -> Ask:
    """Ask our store in Redis."""
    from leverframe.adapters.redis import RedisStore

    store = RedisStore(url, spec=SPEC)
    return lambda keys: store.find("t", [keys]).matrix()


def redis_mget(_: Path, url: str) -> Ask:
    """Ask Redis with one MGET of plain values."""
    import numpy as np
    import redis

    client = redis.Redis.from_url(url)

    def ask(asked: Sequence[int]) -> Any:
        values: Any = client.mget([b"plain:%d" % key for key in asked])
        return np.frombuffer(b"".join(values), np.float32).reshape(-1, WIDTH)

    return ask


def sqlite(root: Path, _: str) -> Ask:
    """Ask SQLite, mapped into memory, with one statement a call."""
    import numpy as np

    connection = sqlite3.connect(root / "sqlite")
    connection.execute(f"PRAGMA mmap_size = {1 << 30}")
    statement = f"SELECT k, v FROM t WHERE k IN ({', '.join('?' * KEYS)})"

    def ask(asked: Sequence[int]) -> Any:
        rows = dict(connection.execute(statement, asked).fetchall())
        return np.frombuffer(b"".join([rows[key] for key in asked]), np.float32).reshape(-1, WIDTH)

    return ask


def lmdb(root: Path, _: str) -> Ask:
    """Ask LMDB in one read transaction a call."""
    import lmdb as library
    import numpy as np

    environment = library.open(str(root / "lmdb"), readonly=True, lock=False)
    pack = struct.Struct(">q").pack

    def ask(asked: Sequence[int]) -> Any:
        with environment.begin(buffers=True) as transaction:
            values = b"".join([transaction.get(pack(key)) for key in asked])
        return np.frombuffer(values, np.float32).reshape(-1, WIDTH)

    return ask


def build_file(root: Path, _: str) -> dict[str, Any]:
    """Write the snapshot file."""
    from leverframe.adapters.snapshot_file import write
    from leverframe.domain.features.snapshot.store import SnapshotInfo

    write(root / "snapshot", SnapshotInfo(SPEC, 0), [_table(root)])
    return _size(root / "snapshot")


def build_redis_store(root: Path, url: str) -> dict[str, Any]:
    """Publish the table in Redis."""
    from leverframe.adapters.redis import publish
    from leverframe.domain.features.snapshot.store import SnapshotInfo

    before = _redis_bytes(url)
    publish(url, SnapshotInfo(SPEC, 0), [_table(root)], ttl=86_400)
    return {"megabytes": round((_redis_bytes(url) - before) / 1e6, 1)}


def build_redis_mget(root: Path, url: str) -> dict[str, Any]:
    """Set one plain value a key."""
    import redis

    before = _redis_bytes(url)
    keys, values = _data(root)
    pipe = redis.Redis.from_url(url).pipeline(transaction=False)
    for number, (key, row) in enumerate(zip(keys.tolist(), values, strict=True), 1):
        pipe.set(b"plain:%d" % key, row.tobytes())
        if number % 2000 == 0:
            pipe.execute()
    pipe.execute()
    return {"megabytes": round((_redis_bytes(url) - before) / 1e6, 1)}


def build_sqlite(root: Path, _: str) -> dict[str, Any]:
    """Insert the rows as blobs, keys in order."""
    keys, values = _data(root)
    with sqlite3.connect(root / "sqlite") as connection:
        connection.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, v BLOB)")
        rows = ((int(keys[place]), values[place].tobytes()) for place in keys.argsort())
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
    return _size(root / "sqlite")


def build_lmdb(root: Path, _: str) -> dict[str, Any]:
    """Append the rows, keys in order."""
    import lmdb as library

    keys, values = _data(root)
    pack = struct.Struct(">q").pack
    with library.open(str(root / "lmdb"), map_size=1 << 30) as environment, environment.begin(write=True) as writing:
        for place in keys.argsort():
            writing.put(pack(int(keys[place])), values[place].tobytes(), append=True)
    return _size(root / "lmdb/data.mdb")


def memory(root: Path) -> dict[str, Any]:
    """Return the megabytes of the snapshot file in memory for one reader and for two."""
    if not Path("/proc/self/smaps").exists():
        return {}
    one = _reader(root)
    alone = _share(one.pid, root)
    two = _reader(root)
    both = _share(one.pid, root) + _share(two.pid, root)
    for process in (one, two):
        process.communicate("\n", timeout=60)
    return {
        "one_reader_mb": round(alone, 1),
        "two_readers_mb": round(both, 1),
        "memory_two_readers_vs_one": round(both / alone, 3),
    }


def reader(root: Path) -> None:
    """Open the snapshot file, ask every question, say so, and wait."""
    import numpy as np

    ask = file(root, "")
    for question in np.load(root / "asked.npy"):
        ask(question)
    print("ready", flush=True)
    sys.stdin.readline()


def _reader(root: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", NAME, "--side", "reader", "--root", str(root)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _share(pid: int, root: Path) -> float:
    """Return the megabytes of the snapshot file that count for a process: a page of two counts half."""
    text = Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8")
    match = re.search(r"^Pss:\s+(\d+) kB", text[text.index(str(root / "snapshot")) :], re.MULTILINE)
    assert match is not None
    return int(match[1]) * 1024 / 1e6


def _lmdb_python(root: Path) -> str | None:
    """Return the Python of a new environment with LMDB, None where it cannot be made."""
    place = root / "environment"
    python = str(place / "bin/python")
    commands = (
        ["uv", "venv", "--quiet", "--python", sys.executable, str(place)],
        ["uv", "pip", "install", "--quiet", "--python", python, "lmdb>=1.4", "numpy>=1.26,<2"],
    )
    done = all(subprocess.run(command, capture_output=True, check=False).returncode == 0 for command in commands)
    return python if done else None


def _data(root: Path) -> Any:
    import numpy as np

    return np.load(root / "keys.npy"), np.load(root / "values.npy")


def _table(root: Path) -> Any:
    from leverframe.domain.features.snapshot.store import Table

    keys, values = _data(root)
    return Table("t", {"k": keys}, {name: values[:, place] for place, name in enumerate(NAMES)})


def _size(path: Path) -> dict[str, Any]:
    return {"megabytes": round(path.stat().st_size / 1e6, 1)}


def _redis_bytes(url: str) -> int:
    import redis

    memory: Any = redis.Redis.from_url(url).info("memory")
    return int(memory["used_memory"])


def _ratio(sides: Any, name: str, kind: str) -> float:
    """Return the median over rounds of the file's ``kind`` over that of another side."""
    pairs = zip(sides["file"], sides[name], strict=True)
    ratios: list[float] = [ours.result[kind] / theirs.result[kind] for ours, theirs in pairs]
    return round(median(ratios), 3)


def _microseconds(measures: Sequence[Measure]) -> dict[str, float]:
    return {f"{kind}_us": round(median(measure.result[kind] for measure in measures), 1) for kind in ("p50", "p99")}


ASKS: dict[str, Callable[[Path, str], Ask]] = {
    "file": file,
    "dict": dict_of_rows,
    "dict_of_positions": dict_of_positions,
    "redis_store": redis_store,
    "redis_mget": redis_mget,
    "sqlite": sqlite,
    "lmdb": lmdb,
}
BUILDS = {side.__name__: side for side in (build_file, build_redis_store, build_redis_mget, build_sqlite, build_lmdb)}

if __name__ == "__main__":
    main()
