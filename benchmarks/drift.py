"""How often drift is said to be where none is, and how soon it is found: our rule against those of others.

Each trial draws reference days, a live month in which nothing changes, and a week in which two columns move by 0.2
standard deviations (``drift_worlds``). Counted are months with any alarm, and weeks with an alarm of a column that
moved. Our rule runs as ``monitor`` runs it, on counts that are drawn as such: a day of rows falls into the bins as a
multinomial draw does. So do PSI > 0.2 and the rule of alibi-detect by default (p < 0.05 over the columns, a day at a
time, against all reference rows); its decisions are compared with those of its own ``TabularDrift`` on rows, a day at
a time. Evidently (its share of drifted columns) and NannyML (its thresholds by day), by their defaults, see rows in
environments of their own, on fewer trials. Rates come with 95 % bounds (Wilson).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import date, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import chdtrc, kolmogorov

from benchmarks.alternate import machine, met
from benchmarks.drift_worlds import (
    BASE,
    BINS,
    DEPENDENT,
    HEAVY,
    MONTH,
    SEASONAL,
    WORLDS,
    Drawn,
    DriftWorld,
    Floats,
    Ints,
    counts,
    drawn,
    edges,
    levels,
    rows,
)
from benchmarks.gate import wilson
from benchmarks.peers.environments import python_of
from leverframe.domain.monitoring.binning import Binning, Counts
from leverframe.domain.monitoring.distances import ks, psi
from leverframe.domain.monitoring.drift import decisions
from leverframe.domain.monitoring.engine import BuiltinEngine
from leverframe.domain.monitoring.monitored_column import MonitoredColumn
from leverframe.domain.monitoring.reference_counts import reference_profile
from leverframe.domain.monitoring.reference_profile import ReferenceProfile, WindowCounts
from leverframe.domain.monitoring.self_test import bands_of
from leverframe.settings.monitor import MonitorSettings

TARGETS = {
    "false_alarms_a_month": 0.07,  # in the worst of days that vary, from 20 reference days
    "missed_in_a_week": 0.05,  # the same
    "worlds_beyond_goal": 0,  # that raise more than 0.07 even by the kinder bound
    "check_alibi_detect_decides_otherwise": 0.02,
}
GOAL = 0.07
PEERS = {
    "evidently": ("Evidently 0.7.23", "evidently-0.7", ("evidently==0.7.23", "pandas<3")),
    "nannyml": ("NannyML 0.13.1", "nannyml-0.13", ("nannyml==0.13.1", "statsmodels")),
}
OF_PEERS = (BASE, DEPENDENT, SEASONAL, HEAVY)
_FIRST = date(2024, 1, 1)  # a Monday
_SETTINGS = MonitorSettings(engine="builtin")

Alarms = dict[str, tuple[bool, bool]]  # by rule: any in the quiet month, one of a moved column in the last week


def trial(world: DriftWorld, seed: int) -> Alarms:
    """Return the alarms of all rules that need counts only."""
    draw = np.random.default_rng(seed)
    days = drawn(world, draw)
    parts = [counts(world, effect, size, draw) for effect, size in zip(days.effects, days.sizes, strict=True)]
    return {"leverframe": _ours(world, days, parts)} | _others(world, parts)


def _ours(world: DriftWorld, days: Drawn, parts: list[list[Ints]]) -> tuple[bool, bool]:
    reference, quiet, moved = (_windows(days, part, number) for number, part in enumerate(parts))
    names = list(binnings(world))
    columns = [(MonitoredColumn(name, "numeric" if name[0] == "x" else "categorical"), "feature") for name in names]
    profile = reference_profile(columns, binnings(world), reference, BuiltinEngine())  # type: ignore[arg-type]
    live = [_fitting(profile, window) for window in (*quiet, *moved)]
    decided = decisions(profile, bands_of(profile), live, _SETTINGS, BuiltinEngine())
    fires = np.array([[decision.fires for decision in decided[name]] for name in names])
    return bool(fires[:, :MONTH].any()), bool(fires[list(world.moved), MONTH:].any())


def _windows(days: Drawn, part: list[Ints], number: int) -> list[WindowCounts]:
    windows = []
    for day, size in enumerate(days.sizes[number].tolist()):
        name = str(_FIRST + timedelta(days=days.first[number] + day))
        columns = {column_name(at, bins): Counts(_with_rest(bins[day])) for at, bins in enumerate(part)}
        windows.append(WindowCounts(name, name, size, columns))
    return windows


def _fitting(profile: ReferenceProfile, window: WindowCounts) -> WindowCounts:
    """Return the window in the bins of the profile, which halves them where it keeps a pool a season."""
    columns = dict(window.columns)
    for column in profile.columns:
        counts = columns[column.column.name]
        if column.binning.size < counts.bins.size:
            columns[column.column.name] = Counts(np.add.reduceat(counts.bins, np.arange(0, counts.bins.size, 2)))
    return WindowCounts(window.name, window.start, window.rows, columns)


def column_name(at: int, bins: Ints) -> str:
    """Return the name of a column, which says whether it is numeric."""
    return f"{'x' if bins.shape[1] == BINS else 'c'}{at}"


def _with_rest(bins: Ints) -> Ints:
    """Return counts of levels with a bin for others, as `Binning` has it."""
    return bins if len(bins) == BINS else np.append(bins, 0)


@cache
def binnings(world: DriftWorld) -> dict[str, Binning]:
    """Return the true quantiles and levels, as a large reference would have them."""
    binnings = {f"x{at}": Binning("quantiles", tuple(edges(world).tolist())) for at in range(world.numeric)}
    for at in range(world.numeric, world.columns):
        names = tuple(f"level {number}" for number in range(levels(at)))
        binnings[f"c{at}"] = Binning("levels", (), names, len(names))
    return binnings


def _others(world: DriftWorld, parts: list[list[Ints]]) -> Alarms:
    """Return the alarms of rules that compare a day with all rows of the reference."""
    alarms: Alarms = {}
    pools = [bins.sum(axis=0) for bins in parts[0]]
    live = [np.concatenate(both) for both in zip(parts[1], parts[2], strict=True)]
    for name, beyond in (
        ("alibi-detect", [_p(pool, bins) < 0.05 / world.columns for pool, bins in zip(pools, live, strict=True)]),
        ("psi", [_psi(pool, bins) > 0.2 for pool, bins in zip(pools, live, strict=True)]),
    ):
        days = np.array(beyond)
        alarms[name] = bool(days[:, :MONTH].any()), bool(days[list(world.moved), MONTH:].any())
    return alarms


def _p(pool: Ints, days: Ints) -> Floats:
    """Return the p values of alibi-detect's ``TabularDrift``, shape (days,): scipy's asymptotic tests, on counts."""
    size, rows = int(pool.sum()), days.sum(axis=1)
    if len(pool) == BINS:
        return np.asarray(kolmogorov(np.sqrt(size * rows / (size + rows)) * ks(pool[None, :], days)))
    expected = (pool + days) * (rows / (size + rows))[:, None]
    apart = np.abs(days - expected)
    apart = np.maximum(0.0, apart - 0.5) if len(pool) == 2 else apart  # Yates, as scipy has it
    parts = np.divide(apart**2, expected, out=np.zeros_like(apart), where=expected > 0)
    square = parts.sum(axis=1) * (size + rows) / size
    return np.asarray(chdtrc(len(pool) - 1, square))


def _psi(pool: Ints, days: Ints) -> Floats:
    """Return the population stability index, shape (days,), in tenths of the reference or by level."""
    starts = np.arange(0, len(pool), len(pool) // 10 if len(pool) == BINS else 1)
    kept = np.add.reduceat(pool, starts)
    return np.array([psi(kept, np.add.reduceat(day, starts)) for day in days])


def alibi_differs(world: DriftWorld, seed: int) -> tuple[int, int]:
    """Return on how many days ``TabularDrift`` on rows says otherwise than on their counts, and how many there are."""
    from alibi_detect.cd import TabularDrift  # noqa: PLC0415 - takes seconds

    draw = np.random.default_rng(seed)
    days = drawn(world, draw)
    reference = [np.stack(day, axis=1) for day in rows(world, days.effects[0], days.sizes[0], draw)]
    pool: Floats = np.concatenate(reference)
    live = [np.stack(day, axis=1) for day in rows(world, days.effects[1], days.sizes[1], draw)]
    texts = dict.fromkeys(range(world.numeric, world.columns))
    drift = TabularDrift(pool, p_val=0.05, categories_per_feature=texts)
    inside = edges(world)

    def binned(table: Floats, at: int) -> Ints:
        numbers = np.searchsorted(inside, table[:, at]) if at < world.numeric else table[:, at].astype(np.int64)
        return np.bincount(numbers, minlength=len(inside) + 1 if at < world.numeric else levels(at))

    pools = [binned(pool, at) for at in range(world.columns)]
    differ = 0
    for day in live:
        least = min(float(_p(pools[at], binned(day, at)[None, :])[0]) for at in range(world.columns))
        differ += bool(drift.predict(day)["data"]["is_drift"]) != (least < 0.05 / world.columns)
    return differ, len(live)


def line(world: DriftWorld, trials: int, first: int = 0) -> dict[str, Any]:
    """Return a line of the table, of trials whose seeds begin at ``first``."""
    many = max(2, trials // 4) if world.columns > 50 else trials
    return _line(world, [trial(world, seed) for seed in range(first, first + many)])


def _line(world: DriftWorld, trials: list[Alarms]) -> dict[str, Any]:
    rules: dict[str, Any] = {}
    for rule in trials[0]:
        false, hit = (sum(alarms[rule][side] for alarms in trials) for side in (0, 1))
        rules[rule] = {
            "false_alarms": {"rate": round(false / len(trials), 4), "bounds": wilson(false, len(trials))},
            "detected": {"rate": round(hit / len(trials), 4), "bounds": wilson(hit, len(trials))},
        }
    return {"world": world.name, "reference": world.reference, "trials": len(trials), **rules}


def of_peer(tool: str, world: DriftWorld, trials: int) -> dict[str, Any]:
    """Return the line of a peer, which runs in an environment of its own."""
    what, place, wanted = PEERS[tool]
    pins = Path(__file__).with_name(f"{tool}.txt")
    python = python_of(what, Path(".leverframe/peers") / place, pins, *wanted)
    command = [python, "-m", "benchmarks.peers.drift_side", "--tool", tool, "--trials", str(trials)]
    done = subprocess.run([*command, "--world", json.dumps(asdict(world))], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{what} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    alarms = json.loads(done.stdout.splitlines()[-1])
    return _line(world, [{rule: tuple(sides) for rule, sides in outcome.items()} for outcome in alarms])


def figures(*, trials: int, of_peers: int, workers: int, first: int = 0) -> dict[str, Any]:
    """Return the table of all rules in all worlds, and which of our goals are missed."""
    with ProcessPoolExecutor(workers) as pool:
        table = list(pool.map(partial(line, trials=trials, first=first), WORLDS))
    peers = [of_peer(tool, world, of_peers) for tool in PEERS for world in OF_PEERS] if of_peers else []
    differ, days = np.sum([alibi_differs(BASE, seed) for seed in range(2)], axis=0).tolist()
    worst = [row for row in table if row["world"] == BASE.name and row["reference"] >= 20]
    beyond = [
        {name: row[name] for name in ("world", "reference")}
        for row in table
        if row["leverframe"]["false_alarms"]["bounds"][0] > GOAL
    ]
    rates = {
        "false_alarms_a_month": max(row["leverframe"]["false_alarms"]["rate"] for row in worst),
        "missed_in_a_week": round(1 - min(row["leverframe"]["detected"]["rate"] for row in worst), 4),
        "worlds_beyond_goal": len(beyond),
        "check_alibi_detect_decides_otherwise": round(differ / days, 4),
    }
    return {
        "name": "drift",
        "machine": machine(),
        "sizes": {"trials": trials, "trials_of_peers": of_peers, "columns": BASE.columns, "rows": BASE.rows},
        "ratios": rates,
        "absolute": {"table": table, "peers": peers, "beyond_goal": beyond},
        "targets": TARGETS,
        "met": met(rates, TARGETS),
    }


def markdown(report: dict[str, Any]) -> str:
    """Return the tables of the guide."""
    names = {"leverframe": "Leverframe", "alibi-detect": "alibi-detect, p < 0.05", "psi": "PSI > 0.2"}
    lines = [
        f"| world | reference days | {' | '.join(names.values())} |",
        f"| --- | ---: |{' ---: |' * len(names)}",
    ]
    lines += [
        f"| {row['world']} | {row['reference']} | {_cells(row, list(names))} |" for row in report["absolute"]["table"]
    ]
    peers = report["absolute"]["peers"]
    if peers:
        lines += ["", "| world | rule | months | false alarm, found |", "| --- | --- | ---: | ---: |"]
    for peer in peers:
        rules = [name for name in peer if isinstance(peer[name], dict)]
        lines += [f"| {peer['world']} | {rule} | {peer['trials']} | {_cells(peer, [rule])} |" for rule in rules]
    return "\n".join(lines)


def _cells(row: dict[str, Any], rules: list[str]) -> str:
    return " | ".join(f"{row[rule]['false_alarms']['rate']:.1%}, {row[rule]['detected']['rate']:.0%}" for rule in rules)


def main() -> None:
    """Print the figures as one JSON object, or as the tables of the guide."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, which is the default")
    parser.add_argument("--markdown", action="store_true", help="print the tables of the guide instead")
    parser.add_argument("--quick", action="store_true", help="8 trials a world, 1 of peers")
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--peers", type=int, default=10, help="trials of peers; 0 leaves them out")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="first seed; others than those a rule was tuned on")
    asked = parser.parse_args()
    sizes = (8, min(1, asked.peers)) if asked.quick else (asked.trials, asked.peers)
    report = figures(trials=sizes[0], of_peers=sizes[1], workers=asked.workers, first=asked.seed)
    sys.stdout.write((markdown(report) if asked.markdown else json.dumps(report, indent=2)) + "\n")


if __name__ == "__main__":
    main()
