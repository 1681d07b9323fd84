"""The point-in-time build: an as-of lookup over a long history, and 24 windowed measures of real flights.

``asof``: one million rows of a spine look up the newest of ten million rows of 100,000 keys, result
written as Parquet; against a hand-written DuckDB ASOF join (which neither keeps the order of the
rows, nor breaks ties, nor sees a key that stands twice), the same join with all three, pandas
``merge_asof``, and the floor of reading every column of the history and copying the spine.
``measures``: the 24 measures of ``pipelines/flights/star.yaml`` over the
whole of 2013, against one RANGE window in DuckDB for each; both results are compared value by value.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.alternate import Measure, alternate, child, machine, measured, medians, met, ratio

# ruff: noqa: PLC0415 - a side imports only what it compares, and the parent of the children stays small

Work = Callable[[], dict[str, Any]]

NAME = "benchmarks.features"
TARGETS = {
    "wall_vs_duckdb_asof": 1.3,
    "wall_vs_scan_floor": 6.5,
    "measures_wall_vs_range_windows": 0.2,  # at least five times faster
    "measures_mismatches": 0,
}
KEYS, YEAR = 100_000, 31_536_000_000_000  # microseconds

MAKE = """
COPY (SELECT (hash(i * 3) % {keys})::INT AS k, {timestamp} AS event_time, {timestamp} AS known_at, i AS id,
  (hash(i * 5) % 1000) / 1000::FLOAT AS a, (hash(i * 7) % 1000) / 1000::FLOAT AS b,
  (hash(i * 11) % 1000) / 1000::FLOAT AS c
FROM range({rows}) t(i)) TO '{path}' (COMPRESSION zstd, ROW_GROUP_SIZE 200000)
"""
TIMESTAMP = f"make_timestamptz(1356998400000000 + (hash(i * {{salt}}) % {YEAR})::BIGINT)"

STAR = {
    "entities": {"row": ["id"], "key": ["k"]},
    "spine": {"table": "spine", "key": "row"},
    "facts": {"done": {"table": "spine", "known_at": "known_at", "max_lag": "1s"}},
    "dimensions": {
        "h": {"table": "history", "key": "key", "columns": ["a", "b", "c"], "as_of": {"tolerance": "400d"}},
    },
    "labels": {"y": {"fact": "done", "column": "c", "kind": "regression"}},
}


def main() -> None:
    """Print the figures, or do the work of one side when this is a child."""
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, which is the only form there is")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, two months, 3 rounds")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        measured(SIDES[given.side](given.root, *given.size))
    else:
        print(json.dumps(figures(quick=given.quick), indent=2))


def figures(*, quick: bool) -> dict[str, Any]:
    """Return the figures of all sides, measured turn by turn."""
    spine, last, rounds = (100_000, 2, 3) if quick else (1_000_000, 12, 5)
    with tempfile.TemporaryDirectory() as root:

        def side(name: str) -> Measure:
            return child(NAME, "--side", name, "--root", root, "--size", str(spine), str(last))

        side("make")
        asof = alternate(
            {name: partial(side, name) for name in ("ours", "duckdb_asof", "duckdb_asof_checked", "scan", "pandas")},
            rounds,
        )
        windows = alternate({name: partial(side, name) for name in ("measures", "range_windows")}, 3)
        counts = side("compare").result
    ratios = {
        "wall_vs_duckdb_asof": ratio(asof["ours"], asof["duckdb_asof"], "wall"),
        "wall_vs_duckdb_asof_checked": ratio(asof["ours"], asof["duckdb_asof_checked"], "wall"),
        "cpu_vs_duckdb_asof": ratio(asof["ours"], asof["duckdb_asof"], "cpu"),
        "peak_vs_duckdb_asof": ratio(asof["ours"], asof["duckdb_asof"], "peak"),
        "wall_vs_scan_floor": ratio(asof["ours"], asof["scan"], "wall"),
        "wall_vs_pandas_merge_asof": ratio(asof["ours"], asof["pandas"], "wall"),
        "peak_vs_pandas_merge_asof": ratio(asof["ours"], asof["pandas"], "peak"),
        "measures_wall_vs_range_windows": ratio(windows["measures"], windows["range_windows"], "wall"),
        "measures_peak_vs_range_windows": ratio(windows["measures"], windows["range_windows"], "peak"),
    }
    return {
        "name": "features",
        "machine": machine(),
        "sizes": {"spine": spine, "history": spine * 10, "keys": KEYS, "months": last, "rounds": rounds, **counts},
        "ratios": ratios,
        "absolute": medians({**asof, **windows}),
        "targets": TARGETS,
        "met": met({**ratios, **counts}, TARGETS),
    }


def make(root: Path, spine: int, last: int) -> Work:
    """Write the spine, the history, and the flights of the first ``last`` months as one table."""
    import duckdb
    import polars as pl

    from leverframe import wiring
    from leverframe.adapters.polars import PolarsFrames
    from leverframe.domain.data.ingest import run

    def work() -> dict[str, Any]:
        for name, rows, salt in (("spine", spine, 13), ("history", spine * 10, 17)):
            timestamp, path = TIMESTAMP.format(salt=salt), root / f"{name}.parquet"
            duckdb.execute(MAKE.format(keys=KEYS, rows=rows, timestamp=timestamp, path=path))
        workspace = wiring.workspace()
        for month in workspace.partitions.groups(last=f"2013-{last:02d}"):
            frames = PolarsFrames(Path(), lambda *_: None)
            run(workspace.sources, month, workspace.partitions, frames, root)
        flights = pl.concat([pl.read_parquet(path) for path in sorted((root / "data/raw/flights").glob("*.parquet"))])
        flights.write_parquet(root / "flights.parquet", row_group_size=200_000)
        return {}

    return work


def ours(root: Path, spine: int, last: int) -> Work:
    """Build the as-of lookup with the star compiler."""
    from leverframe.adapters.duckdb.engine import DuckDBEngine
    from leverframe.domain.features.build import Inputs
    from leverframe.domain.features.plan import compile_star
    from leverframe.domain.features.star import Star

    assert last
    plan = compile_star(Star.model_validate(STAR))
    files = {name: (root / f"{name}.parquet",) for name in ("spine", "history")}
    inputs = Inputs(files["spine"][0], files, {})

    def work() -> dict[str, Any]:
        assert DuckDBEngine().build(plan, inputs, root / "ours.parquet") == spine
        return {}

    return work


def duckdb_asof(root: Path, spine: int, last: int) -> Work:
    """Run the join that an expert would write by hand."""
    import duckdb

    assert spine, last

    def work() -> dict[str, Any]:
        duckdb.execute(
            f"COPY (SELECT s.id, s.k, s.event_time AS as_of, h.a, h.b, h.c, s.c AS y FROM '{root}/spine.parquet' s "
            f"ASOF LEFT JOIN '{root}/history.parquet' h ON s.k = h.k AND s.event_time > h.known_at) "
            f"TO '{root}/duckdb.parquet' (COMPRESSION zstd)"
        )
        return {}

    return work


def duckdb_asof_checked(root: Path, spine: int, last: int) -> Work:
    """Run the join by hand with what makes its answer one: ties by place, rows in order, no key twice."""
    import duckdb

    assert spine, last
    rows = f"SELECT *, file_row_number AS row FROM '{root}"

    def work() -> dict[str, Any]:
        duckdb.execute(f"CREATE OR REPLACE TABLE asked AS {rows}/spine.parquet'")
        assert not duckdb.execute("SELECT id FROM asked GROUP BY id HAVING count(*) > 1").fetchall()
        duckdb.execute(
            f"COPY (SELECT s.id, s.k, s.event_time AS as_of, h.a, h.b, h.c, s.c AS y FROM asked s ASOF LEFT JOIN "
            f"(SELECT k, a, b, c, epoch_us(known_at)::HUGEINT * {2**60} + row AS m FROM ({rows}/history.parquet')) h "
            f"ON s.k = h.k AND epoch_us(s.event_time)::HUGEINT * {2**60} > h.m ORDER BY s.row) "
            f"TO '{root}/checked.parquet' (COMPRESSION zstd)"
        )
        return {}

    return work


def scan(root: Path, spine: int, last: int) -> Work:
    """Read every column of the history and copy the spine: less than this no build can do."""
    import duckdb

    assert spine, last

    def work() -> dict[str, Any]:
        every = "sum(k), max(known_at), max(event_time), sum(id), sum(a), sum(b), sum(c)"
        duckdb.execute(f"SELECT {every} FROM '{root}/history.parquet'").fetchall()
        duckdb.execute(f"COPY (SELECT * FROM '{root}/spine.parquet') TO '{root}/scan.parquet' (COMPRESSION zstd)")
        return {}

    return work


def pandas(root: Path, spine: int, last: int) -> Work:
    """Sort and join with pandas, and put the rows back into their order."""
    import pandas as pd

    assert last

    def work() -> dict[str, Any]:
        left = pd.read_parquet(root / "spine.parquet", columns=["id", "k", "event_time"])
        right = pd.read_parquet(root / "history.parquet", columns=["k", "known_at", "a", "b", "c"])
        joined = pd.merge_asof(
            left.sort_values("event_time"),
            right.sort_values("known_at", kind="stable"),
            left_on="event_time",
            right_on="known_at",
            by="k",
            allow_exact_matches=False,
        )
        joined.sort_values("id").to_parquet(root / "pandas.parquet", compression="zstd")
        assert len(joined) == spine
        return {}

    return work


def measures(root: Path, spine: int, last: int) -> Work:
    """Build the 24 measures of the reference case with the star compiler."""
    from leverframe.adapters.duckdb.engine import DuckDBEngine
    from leverframe.domain.features.build import Inputs

    assert spine, last
    plan, flights = _measures_only(), root / "flights.parquet"

    def work() -> dict[str, Any]:
        DuckDBEngine().build(plan, Inputs(flights, {"flights": (flights,)}, {}), root / "measures.parquet")
        return {}

    return work


def range_windows(root: Path, spine: int, last: int) -> Work:
    """Compute each measure as a RANGE window over events and rows together."""
    import duckdb

    assert spine, last
    plan, table = _measures_only(), f"'{root}/flights.parquet'"
    keys = "carrier, flight, origin, event_time"
    zone = "event_time AT TIME ZONE 'America/New_York'"

    def work() -> dict[str, Any]:
        duckdb.execute(f"CREATE TABLE f AS SELECT *, hour({zone}) AS hour FROM {table}")
        for step in plan.steps:
            by = ", ".join(step.key.table)
            partition = f"PARTITION BY {by}" if by else ""
            value = step.aggregates[0].column
            windows = ", ".join(_window(aggregate, partition) for aggregate in step.aggregates)
            columns = ", ".join(dict.fromkeys(["carrier", "flight", "origin", "event_time", *step.key.table]))
            duckdb.execute(
                f"CREATE TABLE {step.name}_m AS SELECT {keys}, {', '.join(step.outputs())} FROM (SELECT *, {windows} "
                f"FROM (SELECT {columns}, epoch_us({step.known_at}) AS timestamp, {value} AS v, false AS asked FROM f "
                f"UNION ALL SELECT {columns}, epoch_us(event_time), NULL, true FROM f)) WHERE asked"
            )
        joins = " ".join(f"JOIN {step.name}_m USING ({keys})" for step in plan.steps)
        duckdb.execute(f"COPY (SELECT * FROM f {joins}) TO '{root}/windows.parquet' (COMPRESSION zstd)")
        return {}

    return work


def compare(root: Path, spine: int, last: int) -> Work:
    """Count the values on which the two ways differ by more than rounding."""
    import duckdb

    assert spine, last
    plan = _measures_only()

    def work() -> dict[str, Any]:
        differ = " + ".join(
            f"count(*) FILTER (o.{name} IS DISTINCT FROM r.{name} AND coalesce(abs(o.{name} - r.{name}) > 1e-9, true))"
            for name in plan.features()
        )
        rows, mismatches = duckdb.execute(
            f"SELECT count(*), {differ} FROM '{root}/measures.parquet' o "
            f"JOIN '{root}/windows.parquet' r USING (carrier, flight, origin, event_time)"
        ).fetchall()[0]
        return {
            "flights": rows,
            "measures": len(plan.features()) - len(plan.calendar),
            "measures_mismatches": mismatches,
        }

    return work


def _window(aggregate: Any, partition: str) -> str:
    names = {"mean": "avg(v)", "count": "count(v)", "share_above": f"avg((v > {aggregate.threshold})::INT)"}
    length = int(aggregate.window.total_seconds() * 1_000_000)
    frame = f"RANGE BETWEEN {length} PRECEDING AND 1 PRECEDING"
    return f"{names[aggregate.function]} OVER ({partition} ORDER BY timestamp {frame}) AS {aggregate.name}"


def _measures_only() -> Any:
    """Return the plan of the reference case without its spine columns, dimensions and labels."""
    from dataclasses import replace

    from leverframe import wiring
    from leverframe.domain.features.plan import Windows

    plan = wiring.workspace().plan
    steps = tuple(step for step in plan.steps if isinstance(step, Windows))
    keys = tuple(dict.fromkeys([*plan.spine_key, *(column for step in steps for column in step.key.spine)]))
    kept = tuple(key for key in keys if key not in plan.calendar)
    return replace(plan, keys=kept, spine_features=(), calendar=("hour",), steps=steps, labels=())


SIDES = {
    side.__name__: side
    for side in (make, ours, duckdb_asof, duckdb_asof_checked, scan, pandas, measures, range_windows, compare)
}

if __name__ == "__main__":
    main()
