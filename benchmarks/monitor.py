"""What the monitor costs: its check against Evidently's preset for drift, its files, and ten million rows of traffic.

100,000 rows of the reference, 10,000 live ones, 15 columns, turn by turn. A check gets the live rows in memory: ours
sums them up and looks at data quality and drift against the stored reference, Evidently's preset gets the rows of the
reference, too. ``cpu_read_and_check`` is ours with opening and reading the file, which Evidently's leaves out. The
whole command is `leverframe monitor` with its files and page, against a script that reads, runs the preset and saves
its page, imports and all. Evidently runs in an environment of its own under ``.leverframe/peers``, made once from
``evidently.txt``. Then one and ten million live rows are read: time grows as the rows do, memory does not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.alternate import Measure, alternate, child, machine, measured, medians, met, ratio
from benchmarks.peers.environments import python_of

# ruff: noqa: PLC0415 - a side imports only what it compares, and the parent of the children stays small

NAME, PEER = "benchmarks.monitor", "benchmarks.peers.monitor_side"
VERSION = "0.7.23"
PLACE = Path(".leverframe/peers/evidently-0.7")
PINS = Path(__file__).with_name("evidently.txt")
REFERENCE, LIVE = 100_000, 10_000
FIRST = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
DAYS, LIVE_DAYS = 60, 30
NOW = FIRST + timedelta(days=DAYS + LIVE_DAYS, hours=1)
NUMBERS = ("normal", "lognormal", "heavy", "gamma", "uniform", "count", "small", "rounded", "share", "skewed")
LEVELS = {"two": 2, "four": 4, "ten": 10, "twenty": 20, "thirty": 30}

TARGETS = {
    "cpu_check_vs_evidently": 0.02,  # at most a fiftieth
    "cpu_command_vs_evidently": 0.5,
    "profile_kb": 100,
    "profile_rows": 0,  # values of the reference that one row alone has, found in the stored reference
    "dashboard_kb": 150,
    "wall_10m_over_1m": 10,
    "peak_10m_gb": 1,
    "rows_lost": 0,
}

Work = Callable[[], dict[str, Any]]


def main() -> None:
    """Print the figures, or do the work of one side when this is a child."""
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, which is the only form there is")
    parser.add_argument("--quick", action="store_true", help="a tenth of the many rows, 2 rounds")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        measured(SIDES[given.side](given.root, given.rows))
    else:
        print(json.dumps(figures(quick=given.quick), indent=2))


def figures(*, quick: bool) -> dict[str, Any]:
    """Return the figures of all sides, measured turn by turn."""
    rows, rounds = (100_000, 2) if quick else (1_000_000, 3)
    python = python_of(f"Evidently {VERSION}", PLACE, PINS, f"evidently=={VERSION}", "pandas<3")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)

        def side(name: str, rows: int = 0) -> Measure:
            return child(NAME, "--side", name, "--root", folder, "--rows", str(rows))

        side("make", rows)
        command(root)  # makes the reference, which is kept
        results = root / "results"
        sides = alternate(
            {
                "check": partial(side, "check"),
                "read_and_check": partial(side, "live"),
                "check_evidently": partial(child, PEER, "--root", folder, python=python),
                "command": partial(command, root),
                "command_evidently": partial(whole, [python, "-m", PEER, "--root", folder]),
            },
            rounds,
        )
        growth = alternate({"few": partial(side, "read", rows), "many": partial(side, "read", 10 * rows)}, rounds)
        page = results / "dashboard.html"
        values = {
            "cpu_check_vs_evidently": ratio(sides["check"], sides["check_evidently"], "cpu"),
            "cpu_read_and_check_vs_evidently": ratio(sides["read_and_check"], sides["check_evidently"], "cpu"),
            "cpu_command_vs_evidently": ratio(sides["command"], sides["command_evidently"], "cpu"),
            "profile_kb": round((results / "profile.json").stat().st_size / 1000, 1),
            "profile_rows": side("look").result["rows"],
            "dashboard_kb": round(page.stat().st_size / 1000, 1) if page.is_file() else float("inf"),
            "wall_10m_over_1m": ratio(growth["many"], growth["few"], "wall"),
            "peak_10m_gb": round(max(measure.peak for measure in growth["many"]), 3),
            "rows_lost": sum(abs(measure.result["rows"] - 10 * rows) for measure in growth["many"]),
        }
    return {
        "name": "monitor",
        "machine": machine() | {"evidently": VERSION},
        "sizes": {"reference": REFERENCE, "live": LIVE, "columns": len(NUMBERS) + len(LEVELS), "rows": rows,
                  "many": 10 * rows, "rounds": rounds},
        "ratios": values,
        "absolute": _absolute(sides, growth),
        "targets": TARGETS,
        "met": met(values, TARGETS),
    }  # fmt: skip


def _absolute(measures: Mapping[str, Sequence[Measure]], growth: Mapping[str, Sequence[Measure]]) -> dict[str, Any]:
    page = measures["check_evidently"][0].result["page"]
    return {**medians({**measures, **growth}), "evidently_page_kb": page // 1000}


def whole(arguments: Sequence[str], folder: Path | None = None) -> Measure:
    """Run a program from its start to its end and return what it used; ends this process where it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(arguments, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    stderr = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}:\n{stderr.decode()[-2000:]}")
    return Measure(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6)


def command(root: Path) -> Measure:
    """Run `leverframe monitor` in the repository that ``make`` wrote."""
    arguments = ["--no-alerts", "--out", str(root / "results"), "--as-of", NOW.isoformat(), "--json"]
    return whole([sys.executable, "-m", "leverframe", "monitor", *arguments], root / "repository")


def make(root: Path, rows: int) -> Work:
    """Write a repository with the reference and a log of live traffic, the tables of Evidently, and many rows."""
    import numpy as np
    import yaml

    from leverframe.local.repository import TemporaryRepository

    role = {"path": "eval/test.parquet", "kind": "binary", "label": "label", "model": "churn"}
    monitor = {"log": "log", "lookback": LIVE_DAYS, "engine": "builtin", "skew_rows": 0}

    def work() -> dict[str, Any]:
        made = TemporaryRepository.create(root, dvc=False)
        draw = np.random.default_rng(7)
        (made.root / "eval").mkdir()
        (made.root / "log").mkdir()
        reference = table(draw, REFERENCE, 0, DAYS)
        live = table(draw, LIVE, DAYS + LIVE_DAYS - 1, 1)
        reference.drop("id").write_parquet(made.root / "eval/test.parquet")
        live.rename({"score": "prediction"}).write_parquet(made.root / "log/live.parquet")
        for name, frame in (("reference", reference), ("live", live)):
            frame.drop("at", "id", "label", "score").write_parquet(root / f"evidently_{name}.parquet")
        text = yaml.safe_dump({"pipeline": {"predictions": role}, "monitor": monitor})
        (made.root / "leverframe.yaml").write_text(text, encoding="utf-8")
        made.commit("Begin")
        for size in (rows, 10 * rows):
            many(root / f"many_{size}.parquet", size)
        return {}

    return work


def table(draw: Any, rows: int, first: int, days: int) -> Any:
    """Return rows that are spread over days, with a prediction and a label."""
    import numpy as np
    import polars as pl

    seconds = np.sort(draw.integers(first * 86_400, (first + days) * 86_400, rows))
    values = (
        draw.normal(0, 1, rows), draw.lognormal(3, 1, rows), draw.standard_t(4, rows), draw.gamma(2, 2, rows),
        draw.random(rows), draw.poisson(4, rows), draw.integers(0, 6, rows), draw.normal(50, 9, rows).round(1),
        draw.beta(2, 5, rows), draw.exponential(30, rows),
    )  # fmt: skip
    score = draw.beta(2, 4, rows)
    return pl.DataFrame(
        {
            "at": [FIRST + timedelta(seconds=int(second)) for second in seconds],
            "id": [f"{first}-{n}" for n in range(rows)],
        }
        | dict(zip(NUMBERS, values, strict=True))
        | {
            name: np.array([f"{name} {level}" for level in draw.integers(0, count, rows)])
            for name, count in LEVELS.items()
        }
        | {"score": score, "label": (draw.random(rows) < score).astype(int)}
    )


def many(path: Path, rows: int) -> None:
    """Write many rows of live traffic, as such as the reference has."""
    from leverframe.adapters.duckdb.connection import connect

    start = int((FIRST + timedelta(days=DAYS)).timestamp() * 1e6)
    step = LIVE_DAYS * 86_400_000_000 // rows
    shown = [f"make_timestamptz({start} + i * {step}) AS at", "i::VARCHAR AS id", "random() AS prediction"]
    shown += [f"random() * {number + 1} AS {name}" for number, name in enumerate(NUMBERS)]
    shown += [f"'{name} ' || floor(random() * {count})::INTEGER AS {name}" for name, count in LEVELS.items()]
    connect(2).execute(f"COPY (SELECT {', '.join(shown)} FROM range({rows}) t(i)) TO '{path}' (FORMAT parquet)")


def check(root: Path, _: int) -> Work:
    """Look at the live traffic of the repository, which is in memory, against the reference that the command stored."""
    return _looked_at(root, root / "repository/log/live.parquet", in_memory=True)


def live(root: Path, _: int) -> Work:
    """Read it, and look at it."""
    return _looked_at(root, root / "repository/log/live.parquet")


def read(root: Path, rows: int) -> Work:
    """Look at many rows."""
    return _looked_at(root, root / f"many_{rows}.parquet")


def _looked_at(root: Path, path: Path, *, in_memory: bool = False) -> Work:
    from leverframe.adapters.duckdb.requests import Requests
    from leverframe.documents import parsed
    from leverframe.domain.monitoring.drift import judged
    from leverframe.domain.monitoring.engine import BuiltinEngine
    from leverframe.domain.monitoring.log_query import LogFile, LogQuery
    from leverframe.domain.monitoring.quality import quality_findings
    from leverframe.domain.monitoring.reference import Reference, spans_between, window_counts
    from leverframe.domain.monitoring.window_summary import Summaries
    from leverframe.settings.monitor import MonitorSettings

    known = parsed(Reference, (root / "results/profile.json").read_text(encoding="utf-8"))
    settings = MonitorSettings(engine="builtin", lookback=LIVE_DAYS)
    spans = spans_between(FIRST + timedelta(days=DAYS), NOW - timedelta(hours=2), "day", "UTC")
    query = LogQuery(known.model, known.columns, since=spans[0].start, until=NOW)

    log = Requests([LogFile(path, path.name)], query)
    batches = list(log.batches()) if in_memory else None

    def work() -> dict[str, Any]:
        summaries = Summaries(spans, known.setting(NOW))
        for batch in batches or log.batches():
            summaries.add(batch)
        quality = quality_findings(known.profile, summaries.windows, log.facts, settings, NOW)
        counted = [window_counts(window) for window in summaries.windows if window.rows]
        drift = judged(known.profile, counted, settings, BuiltinEngine())
        rows = sum(window.rows for window in summaries.windows)
        return {"rows": rows, "findings": len(quality) + len(drift.findings)}

    return work


def look(root: Path, _: int) -> Work:
    """Count values of the reference that no two rows share, as far as they stand in the stored reference."""
    import numpy as np
    import polars as pl

    def work() -> dict[str, Any]:
        text = (root / "results/profile.json").read_text(encoding="utf-8")
        stored = set(_numbers(json.loads(text)))
        reference = pl.read_parquet(root / "repository/eval/test.parquet")
        alone = 0
        for name in NUMBERS:
            values, rows = np.unique(reference[name].to_numpy(), return_counts=True)
            alone += len(stored.intersection(values[rows == 1].tolist()))
        return {"rows": alone}

    return work


def _numbers(content: Any) -> list[float]:
    """Return every number with a fraction in a document."""
    if isinstance(content, dict):
        return [number for value in content.values() for number in _numbers(value)]
    if isinstance(content, list):
        return [number for value in content for number in _numbers(value)]
    return [content] if isinstance(content, float) and content % 1 else []


SIDES: Mapping[str, Callable[[Path, int], Work]] = {
    "make": make,
    "check": check,
    "live": live,
    "read": read,
    "look": look,
}

if __name__ == "__main__":
    main()
