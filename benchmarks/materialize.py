"""The online store: an increment against a full rebuild, and lookups while a server takes a generation up.

One million keys with three events each in thirty days of Parquet; then 1 % more events arrive. ``full`` and
``increment`` bring a store up to the same timestamp, whole commands with sources, contracts and switch, in alternating
rounds. ``bytes`` is what each puts in force. For ``swap`` a process looks up one random key after another by
the fast path of the server, and its own thread takes up the increment and the base that a full rebuild wrote;
it is compared with the same process while nothing comes.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.alternate import Measure, alternate, child, machine, measured, medians, met, ratio

# ruff: noqa: PLC0415 - the parent of the children stays small

NAME = "benchmarks.materialize"
TARGETS = {
    "increment_wall_vs_full": 0.1,
    "increment_cpu_vs_full": 0.1,
    "increment_bytes_vs_full": 0.1,
    "lookup_p99_during_swap": 1.5,
    "failed_lookups": 0,
}
DAYS, EACH = 30, 3
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
BASE, LATER = BEGIN + timedelta(days=DAYS), BEGIN + timedelta(days=DAYS, hours=7)
FILES = {
    "params.yaml": 'data: {case: bench, period: day, first: "2024-01-01", last: "2024-01-30", timezone: UTC}\n'
    "features: {label: high, select: ['*'], train: {first: '2024-01-01', last: '2024-01-20'}, "
    "holdout: {first: '2024-01-21', last: '2024-01-30'}}\ntrain: {estimator: 'bench.model:estimator'}\n",
    "leverframe.yaml": "online: {store: file}\n",
    "bench/star.yaml": """entities: {order: [id], user: [user]}
spine: {table: orders, key: order, columns: [amount]}
facts: {bought: {table: purchases, known_at: event_time, max_lag: 1h, own: include}}
measures: {user: {fact: bought, key: user, of: {paid: [mean, sum, count]}, windows: [1d, 7d, 28d]}}
labels: {high: {fact: bought, column: paid, kind: regression}}
""",
    "bench/sources.py": "from leverframe.case import Parquet, Source\n"
    "SOURCES = {name: Source(Parquet(f'raw/{name}-{{day}}.parquet'), event_time='at', known_at='at') "
    "for name in ('orders', 'purchases')}\n",
    "bench/contracts.py": "import pandera.polars as pa\nfrom leverframe.case import Contract\n\n\n"
    "class Purchases(pa.DataFrameModel):\n    user: int = pa.Field(ge=0)\n    paid: float = pa.Field(ge=0)\n\n\n"
    "CONTRACTS = {'purchases': Contract(Purchases)}\n",
}


def main() -> None:
    """Print the figures, or do the work of one side when this is a child."""
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, which is the only form there is")
    parser.add_argument("--quick", action="store_true", help="a tenth of the keys, 2 rounds")
    parser.add_argument("--side", choices=["make", "full", "increment", "swap"], help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--keys", type=int, default=1_000_000, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side == "make":
        measured(partial(make, given.root, given.keys))
    elif given.side == "swap":
        measured(partial(swapped, given.root, given.keys))
    elif given.side:
        measured(prepared(given.root, full=given.side == "full"))
    else:
        keys, rounds = (100_000, 2) if given.quick else (1_000_000, 3)
        print(json.dumps(figures(keys, rounds), indent=2))


def figures(keys: int, rounds: int) -> dict[str, Any]:
    """Return the figures, measured turn by turn."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        child(NAME, "--side", "make", "--root", folder, "--keys", str(keys))
        sides = {side: partial(_fresh, root, side) for side in ("full", "increment")}
        runs = alternate(sides, rounds)
        for side in sides:
            _fresh(root, side)
            shutil.copytree(root / ".leverframe/online", root / f"ready-{side}")
        swap = child(NAME, "--side", "swap", "--root", folder, "--keys", str(keys)).result
    sizes = {side: median(measure.result["bytes"] for measure in measures) for side, measures in runs.items()}
    ratios = {
        "increment_wall_vs_full": ratio(runs["increment"], runs["full"], "wall"),
        "increment_cpu_vs_full": ratio(runs["increment"], runs["full"], "cpu"),
        "increment_peak_vs_full": ratio(runs["increment"], runs["full"], "peak"),
        "increment_bytes_vs_full": round(sizes["increment"] / sizes["full"], 3),
        "lookup_p99_during_swap": swap["ratio"],
        "failed_lookups": swap["failed"],
    }
    facts = {side: measures[0].result for side, measures in runs.items()}
    return {
        "name": "materialize",
        "machine": machine(),
        "sizes": {"keys": keys, "events": keys * EACH, "new_events": keys * EACH // 100, "rounds": rounds, **facts},
        "ratios": ratios,
        "absolute": {**medians(runs), "swap": swap},
        "targets": TARGETS,
        "met": met(ratios, TARGETS),
    }


def _fresh(root: Path, side: str) -> Measure:
    """Run one side on the store as it was before the new events came."""
    shutil.rmtree(root / ".leverframe", ignore_errors=True)
    shutil.copytree(root / "before", root / ".leverframe")
    return child(NAME, "--side", side, "--root", str(root))


def make(root: Path, keys: int) -> dict[str, Any]:
    """Write the case, its days, and the store before and after the new events."""
    import numpy as np
    import polars as pl

    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    (root / "bench/__init__.py").write_text("")
    (root / "raw").mkdir()
    chance = np.random.default_rng(0)
    users = np.concatenate([np.arange(keys), chance.integers(0, keys, keys * (EACH - 1))])
    chance.shuffle(users)
    days = [*np.array_split(users, DAYS), chance.integers(0, keys, keys * EACH // 100)]
    for number, day in enumerate(days):
        begin = BEGIN + timedelta(days=number)
        seconds = np.sort(chance.integers(0, 86_400 if number < DAYS else 6 * 3_600, len(day)))
        at = pl.Series([begin]).dt.cast_time_unit("us")[0]
        times = pl.Series(seconds * 1_000_000).cast(pl.Duration("us")) + at
        rows = pl.DataFrame({"user": day, "paid": chance.gamma(2.0, 20.0, len(day)).round(2), "at": times})
        key = str(begin.date())
        ids = pl.int_range(number * keys * EACH, number * keys * EACH + len(day), eager=True)
        rows.with_columns(id=ids).write_parquet(root / f"raw/purchases-{key}.parquet")
        first = rows.head(10).select("user", "at", amount="paid", id=pl.int_range(10) + number * 10)
        first.write_parquet(root / f"raw/orders-{key}.parquet")
    prepared(root, full=True, until=BASE)()
    shutil.copytree(root / ".leverframe", root / "before")
    return {}


def prepared(root: Path, *, full: bool, until: datetime = LATER) -> Callable[[], dict[str, Any]]:
    """Return the work of bringing the store up to a timestamp, imports done."""
    import os

    from pandera.backends.polars.register import register_polars_backends

    from leverframe import wiring
    from leverframe.application.materialize import MaterializeOptions, materialize, store_folder

    os.chdir(root)
    sys.path.insert(0, str(root))
    workspace = wiring.workspace()
    _ = workspace.plan, workspace.sources, workspace.levers, workspace.declared("contracts", "CONTRACTS")
    register_polars_backends()  # what pandera imports at its first check

    def work() -> dict[str, Any]:
        result = materialize(workspace, MaterializeOptions(until.isoformat(), full=full), lambda _: None)
        folder = store_folder(workspace)
        generation = folder.current()
        assert generation is not None
        layer = generation.delta or generation.base
        return {
            "kind": result.kind,
            "rows": result.rows,
            "keys": result.keys,
            "bytes": folder.layer_path(layer).stat().st_size,
        }

    return work


def swapped(root: Path, keys: int) -> dict[str, Any]:
    """Return the response times of lookups while generations are taken up, and while none is."""
    import os

    from leverframe import wiring
    from leverframe.application.materialize import store_folder
    from leverframe.serving.freshness import Freshness
    from leverframe.serving.online_config import OnlineConfig

    os.chdir(root)
    workspace = wiring.workspace()
    store = store_folder(workspace).folder
    ready = {side: root / f"ready-{side}" / store.name for side in ("full", "increment")}
    shutil.rmtree(root / ".leverframe")
    shutil.copytree(root / "before", root / ".leverframe")
    freshness = Freshness(OnlineConfig("file", str(store.parent)), looks=0.05)
    freshness.watch(workspace.plan)
    spec, at = workspace.plan.spec, int((LATER + timedelta(hours=1)).timestamp() * 1_000_000)
    quiet: list[float] = []
    busy: list[float] = []
    failed, chance = 0, random.Random(1)  # noqa: S311 - which keys are asked for
    fields = {"user": 0, "amount": 1.0}

    def ask(times: list[float], until: Callable[[], bool]) -> None:
        nonlocal failed
        while not until():
            fields["user"] = chance.randrange(keys)
            began = time.perf_counter()
            try:
                source = freshness.source(spec)
                vector = source.rows.vector(fields, at, []) if source and source.rows else None
                failed += vector is None or vector["user_paid_count_28d"] is None
            except Exception:
                failed += 1
            times.append(time.perf_counter() - began)
            time.sleep(0.0005)

    for name in ("increment", "full") * 3:
        stop = time.perf_counter() + 2
        ask(quiet, lambda: time.perf_counter() >= stop)  # noqa: B023 - called at once
        before = freshness.source(spec)
        mover = threading.Thread(target=_put, args=(ready[name], store))
        mover.start()
        ask(busy, lambda: freshness.source(spec) is not before)  # noqa: B023 - as above
        mover.join()
    percentile = {name: _p99(times) for name, times in (("quiet", quiet), ("busy", busy))}
    return {
        "failed": failed, "ratio": round(percentile["busy"] / percentile["quiet"], 3), "lookups": len(busy),
        "p99_us": {name: round(value * 1e6, 1) for name, value in percentile.items()},
    }  # fmt: skip


def _put(ready: Path, store: Path) -> None:
    """Put a generation in force as `materialize` does: layers first, then the pointer."""
    for layer in (ready / "layers").iterdir():
        if not (store / "layers" / layer.name).exists():
            shutil.copyfile(layer, store / "layers" / layer.name)
    shutil.copyfile(ready / "current.json", store / "next.json")
    (store / "next.json").replace(store / "current.json")


def _p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


if __name__ == "__main__":
    main()
