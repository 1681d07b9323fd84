"""Contracts of a large table: the stage against one hand-written SQL pass, and against pandera on pandas.

10 million rows, 12 columns, 17 checks. ``ours`` reads the Parquet file, checks it with pandera on
polars and writes report and Markdown; ``ours_bad`` does so where 1 % of the rows break a check;
``stage`` adds the monitors and the exact profile, which no other side computes.
"""

from __future__ import annotations

import argparse
import importlib
import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.alternate import Measure, alternate, child, machine, measured, medians, met, ratio

# ruff: noqa: PLC0415 - a side imports only what it compares, and the parent of the children stays small

Work = Callable[[], dict[str, Any]]

NAME = "benchmarks.contracts"
TARGETS = {"wall_vs_duckdb_sql": 1.5, "peak_gb": 0.5, "wall_vs_pandera_pandas": 1.0, "report_bytes": 4096}
START = "2013-01-01"

MAKE = """
COPY (SELECT i::BIGINT AS id, TIMESTAMPTZ '2013-01-01 00:00:00+00' + to_seconds(i * 2678400 // {rows}) AS event_time,
  chr((65 + hash(i) % 26)::INT) || chr((65 + hash(i + 1) % 26)::INT) AS code, 'K' || hash(i * 3) % 50000 AS key,
  (hash(i * 5) % 5)::INT AS kind, (hash(i * 7) % 100000) / 100.0::DOUBLE AS f1,
  (hash(i * 11) % 100000) / 100.0::DOUBLE AS f2,
  CASE WHEN hash(i * 13) % 50 > 0 THEN (hash(i * 17) % 100000) / 100.0::DOUBLE END AS f3,
  (hash(i * 31) % 100000) / 100.0::DOUBLE AS f4, (hash(i * 19) % 1000)::INT AS n1,
  (hash(i * 23) % 1000000)::BIGINT AS n2, hash(i * 29) % 2 = 0 AS flag
FROM range({rows}) t(i)) TO '{path}' (COMPRESSION zstd, ROW_GROUP_SIZE 200000)
"""

# The 17 checks, each as the condition that a broken row fulfils.
BROKEN = [
    "id IS NULL", "event_time IS NULL", "code IS NULL", "key IS NULL", "kind IS NULL", "id < 0",
    f"event_time < TIMESTAMPTZ '{START} 00:00:00+00'", "NOT regexp_matches(code, '^[A-Z]{2}$')",
    "NOT starts_with(key, 'K')", "kind NOT IN (0, 1, 2, 3, 4)", "f1 NOT BETWEEN 0 AND 1000",
    "f2 NOT BETWEEN 0 AND 1000", "f3 NOT BETWEEN 0 AND 1000", "f4 NOT BETWEEN 0 AND 1000",
    "n1 NOT BETWEEN 0 AND 999", "n2 < 0", "f1 + f2 < 0",
]  # fmt: skip


def main() -> None:
    """Print the figures, or do the work of one side when this is a child."""
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, which is the only form there is")
    parser.add_argument("--quick", action="store_true", help="1 million rows, 3 rounds")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        measured(SIDES[given.side](given.root, given.rows))
    else:
        print(json.dumps(figures(quick=given.quick), indent=2))


def figures(*, quick: bool) -> dict[str, Any]:
    """Return the figures of all sides, measured turn by turn."""
    rows, rounds = (1_000_000, 3) if quick else (10_000_000, 5)
    with tempfile.TemporaryDirectory() as root:

        def side(name: str) -> Measure:
            return child(NAME, "--side", name, "--root", root, "--rows", str(rows))

        side("make")
        sides = ("ours", "duckdb_sql", "ours_bad", "stage", "pandera_pandas")
        measures = alternate({name: partial(side, name) for name in sides}, rounds)
    ours = measures["ours"]
    ratios = {
        "wall_vs_duckdb_sql": ratio(ours, measures["duckdb_sql"], "wall"),
        "cpu_vs_duckdb_sql": ratio(ours, measures["duckdb_sql"], "cpu"),
        "wall_vs_pandera_pandas": ratio(ours, measures["pandera_pandas"], "wall"),
        "peak_vs_pandera_pandas": ratio(ours, measures["pandera_pandas"], "peak"),
        "bad_wall_vs_duckdb_sql": ratio(measures["ours_bad"], measures["duckdb_sql"], "wall"),
        "stage_wall_vs_duckdb_sql": ratio(measures["stage"], measures["duckdb_sql"], "wall"),
    }
    facts = measures["ours_bad"][0].result
    reached = {**ratios, "peak_gb": max(measure.peak for measure in (*ours, *measures["ours_bad"])), **facts}
    return {
        "name": "contracts",
        "machine": machine(),
        "sizes": {"rows": rows, "columns": 12, "checks": len(BROKEN), "rounds": rounds},
        "ratios": ratios,
        "absolute": {**medians(measures), "report_bytes": facts["report_bytes"], "broken_rows": facts["broken_rows"]},
        "targets": TARGETS,
        "met": met(reached, TARGETS),
    }


def make(root: Path, rows: int) -> Work:
    """Write the table."""
    import duckdb

    path = _table(root)
    path.parent.mkdir(parents=True)

    def work() -> dict[str, Any]:
        duckdb.connect().execute(MAKE.format(rows=rows, path=path))
        return {}

    return work


def ours(root: Path, rows: int) -> Work:
    """Check the table as the stage does and write what it writes."""
    return _checking(root, rows, highest=1000)


def ours_bad(root: Path, rows: int) -> Work:
    """Do the same where one row of a hundred breaks a check."""
    return _checking(root, rows, highest=990)


def stage(root: Path, rows: int) -> Work:
    """Run the whole room: checks, monitors with a unique key, and the profile."""
    from leverframe.adapters.disk import Disk
    from leverframe.adapters.duckdb.statistics import DuckDBStatistician
    from leverframe.adapters.pandera import PanderaChecker
    from leverframe.domain.data.contract import Contract
    from leverframe.domain.data.shape import UniqueKey
    from leverframe.domain.data.trend import Freshness, NullRate
    from leverframe.domain.data.validate import Validation, run
    from leverframe.domain.partition import Partition, Partitions
    from leverframe.files import write_json

    monitors = (Freshness(timedelta(days=1)), UniqueKey(("id",)), NullRate())
    contracts = {"table": Contract(_schema("polars", 1000), monitors)}
    january = Partition.of("2013-01")
    months, exists = Partitions(january, january, "month", "UTC"), Disk(root).exists
    room = Validation(contracts, {"table": False}, months, PanderaChecker(), DuckDBStatistician(), exists, root)

    def work() -> dict[str, Any]:
        report = run(room, "2013-01")
        write_json(root / "profile.json", report.profile())
        write_json(root / "report.json", report.to_json())
        assert not report.failed(), report.to_text()
        assert report.tables[0].current.rows == rows
        return {}

    return work


def duckdb_sql(root: Path, rows: int) -> Work:
    """Count what breaks each check in one hand-written pass."""
    import duckdb

    counts = ", ".join(f"count(*) FILTER ({condition})" for condition in BROKEN)

    def work() -> dict[str, Any]:
        row = duckdb.connect().execute(f"SELECT count(*), {counts} FROM '{_table(root)}'").fetchone()
        assert row == (rows, *[0] * len(BROKEN))
        return {}

    return work


def pandera_pandas(root: Path, rows: int) -> Work:
    """Load the table with pandas and validate it with pandera there."""
    import pandas as pd

    schema = _schema("pandas", 1000)

    def work() -> dict[str, Any]:
        assert len(schema.validate(pd.read_parquet(_table(root)), lazy=True)) == rows
        return {}

    return work


def _checking(root: Path, rows: int, *, highest: int) -> Work:
    from leverframe.adapters.pandera import PanderaChecker
    from leverframe.domain.data.contract_markdown import render
    from leverframe.domain.data.contract_report import Report
    from leverframe.files import write_json, write_text

    schema = _schema("polars", highest)

    def work() -> dict[str, Any]:
        constraints = PanderaChecker().check("table", _table(root), schema)
        report = Report("2013-01", constraints, ())
        write_json(root / "report.json", report.to_json())
        page = render(report)
        write_text(root / "report.md", page)
        broken = sum(constraint.count or 0 for constraint in report.failed())
        assert (broken > rows // 200) == (highest < 1000)
        return {"report_bytes": len(page.encode()), "broken_rows": broken}

    return work


def _schema(engine: str, highest: int) -> Any:
    """Return the 17 checks as a pandera schema for polars or for pandas."""
    pa = importlib.import_module(f"pandera.{engine}")
    column, check = pa.Column, pa.Check

    def nullable(checks: Any) -> Any:
        return column(None, checks, nullable=True)

    def positive(data: Any) -> Any:
        if engine == "pandas":
            return data["f1"] + data["f2"] >= 0
        import polars as pl

        return data.lazyframe.select(pl.col("f1") + pl.col("f2") >= 0)

    columns = {
        "id": column(None, check.ge(0)),
        "event_time": column(None, check.ge(datetime.fromisoformat(START).replace(tzinfo=UTC))),
        "code": column(None, check.str_matches(r"^[A-Z]{2}$")),
        "key": column(None, check.str_startswith("K")),
        "kind": column(None, check.isin([0, 1, 2, 3, 4])),
        **{name: nullable(check.in_range(0, 1000)) for name in ("f1", "f2", "f3")},
        "f4": nullable(check.in_range(0, highest)),
        "n1": nullable(check.in_range(0, 999)),
        "n2": nullable(check.ge(0)),
        "flag": nullable(None),
    }
    return pa.DataFrameSchema(columns, checks=[check(positive)])


def _table(root: Path) -> Path:
    return root / "data/raw/table/2013-01.parquet"


SIDES = {side.__name__: side for side in (make, ours, ours_bad, stage, duckdb_sql, pandera_pandas)}

if __name__ == "__main__":
    main()
