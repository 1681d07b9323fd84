"""How often the gate errs: equal candidates that it blocks, and worse ones that it lets through.

The world is the reference case's: its hold-out labels and what its model says of them. Each trial draws
the days of a new hold-out of the same size, gives the champion an error of its own (a retrained model
differs by about 0.2 in log odds a row, and a little more from day to day) and judges four candidates by
the shipped rules: one with an error of its own of the same kind, which is equal in truth; and for each
rule one whose error is so large that it truly loses twice what is tolerated, found beforehand by
bisection over the whole hold-out. Rates come with 95 % bounds of Wilson.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.alternate import machine, met
from leverframe.domain import layout
from leverframe.domain.model.evaluate.bootstrap import local_days
from leverframe.domain.model.evaluate.holdout import Holdout
from leverframe.domain.model.evaluate.metrics import METRICS
from leverframe.domain.model.evaluate.weighing import ByRow
from leverframe.domain.review.gate.paired import Pair, judged_metrics, judged_slices
from leverframe.settings.levers import GateSettings, read_levers
from leverframe.settings.params import read_params

ROOT = Path(__file__).parents[1]
TARGETS = {"equal_blocked": 0.05, "worse_passed": 0.05}
OWN, DAILY = 0.2, 0.05  # spread of a model's own error in log odds: a row, and a day in common
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """The hold-out: labels, log odds, day numbers and slices, each of shape (rows,)."""

    labels: Floats
    odds: Floats
    days: NDArray[np.int64]
    slices: dict[str, NDArray[np.str_]]

    def said(self, spread: float, draw: np.random.Generator) -> Holdout:
        """Return what a model with an error of this spread says of the rows."""
        daily = draw.normal(0, DAILY, int(self.days.max()) + 1)[self.days]
        odds = self.odds + draw.normal(0, spread, len(self.odds)) + daily
        return Holdout("binary", ("0", "1"), self.labels, 1 / (1 + np.exp(-odds)), self.days, self.slices)

    def drawn(self, draw: np.random.Generator) -> World:
        """Return a hold-out of as many days, drawn with replacement."""
        count = int(self.days.max()) + 1
        by_day = np.split(np.arange(len(self.days)), np.flatnonzero(np.diff(self.days)) + 1)
        chosen = [by_day[each] for each in draw.integers(0, count, count)]
        rows = np.concatenate(chosen)
        days = np.repeat(np.arange(count), [len(each) for each in chosen])
        slices = {name: values[rows] for name, values in self.slices.items()}
        return World(self.labels[rows], self.odds[rows], days, slices)


@cache
def world() -> World:
    """Return the reference case's hold-out, rows in order of their day."""
    levers = read_levers(ROOT / "leverframe.yaml")
    table = pl.read_parquet(ROOT / layout.PREDICTIONS)
    days = np.unique(
        local_days(table["as_of"].to_numpy(), read_params(ROOT / "params.yaml").data.timezone), return_inverse=True
    )[1]
    order = np.argsort(days, kind="stable")
    score = table["score"].to_numpy()[order]
    names = {name for rule in levers.gate.slices for name in rule.columns}
    slices = {name: np.array(table[name].to_list())[order] for name in sorted(names)}
    labels = table["label"].to_numpy()[order].astype(np.float64)
    return World(labels, np.log(score / (1 - score)), days[order].astype(np.int64), slices)


def value(side: Holdout, metric: str) -> float:
    """Return a metric on all rows, larger is better."""
    judge = side.judge()
    number = next(n for n, each in enumerate(METRICS["binary"]) if each.name == metric)
    found = float(judge.measure(ByRow(np.ones((1, judge.rows))))[0][number])
    return -found if METRICS["binary"][number].better == "lower" else found


def spread_that_loses(metric: str, loss: float) -> float:
    """Return the spread of error at which a metric is worse by ``loss``, by bisection, the same noise each time."""

    def lost(spread: float) -> float:
        champion = value(world().said(OWN, np.random.default_rng(1)), metric)
        return champion - value(world().said(spread, np.random.default_rng(2)), metric)

    low, high = OWN, 5.0
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (middle, high) if lost(middle) < loss else (low, middle)
    return high


def rules() -> GateSettings:
    """Return the shipped rules."""
    return read_levers(ROOT / "leverframe.yaml").gate


def trial(asked: tuple[int, dict[str, float]]) -> dict[str, list[str]]:
    """Return what the gate says of each candidate of one trial: the reasons for which it is blocked."""
    seed, spreads = asked
    draw = np.random.default_rng(1000 + seed)
    here, settings = world().drawn(draw), rules()
    champion = here.said(OWN, draw)
    equal = Pair(here.said(OWN, draw), champion)
    violations = judged_metrics(equal, settings)[1] + judged_slices(equal, settings)[1]
    found = {"equal": [each.reason.value for each in violations]}
    for metric, spread in spreads.items():
        alone = settings.metrics[metric].model_copy(update={"floor": None})
        single = settings.model_copy(update={"metrics": {metric: alone}, "slices": []})
        against = judged_metrics(Pair(here.said(spread, draw), champion), single)[1]
        found[metric] = [each.reason.value for each in against]
    return found


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """Return the 95 % bounds of a rate."""
    z, rate = 1.96, hits / trials
    middle = (rate + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials**2)) / (1 + z * z / trials)
    return round(max(0.0, middle - half), 4), round(middle + half, 4)


def figures(*, trials: int, workers: int) -> dict[str, Any]:
    """Return both error rates at the shipped rules."""
    tolerated = {name: rule.maximum_drop for name, rule in rules().metrics.items() if rule.maximum_drop is not None}
    spreads = {name: spread_that_loses(name, 2 * drop) for name, drop in tolerated.items()}
    with ProcessPoolExecutor(workers) as pool:
        found = list(pool.map(trial, [(seed, spreads) for seed in range(trials)]))
    blocked = sum(bool(each["equal"]) for each in found)
    passed = {name: sum(not each[name] for each in found) for name in spreads}
    rates = {"equal_blocked": blocked / trials, "worse_passed": max(passed.values()) / trials}
    return {
        "name": "gate",
        "machine": machine(),
        "sizes": {"rows": len(world().labels), "days": int(world().days.max()) + 1, "trials": trials},
        "ratios": rates,
        "absolute": {
            "equal_blocked_bounds": wilson(blocked, trials),
            "equal_blocked_for": dict(Counter(reason for each in found for reason in set(each["equal"]))),
            "worse_passed_bounds": {name: wilson(count, trials) for name, count in passed.items()},
            "spread_of_worse": {name: round(each, 3) for name, each in spreads.items()},
            "tolerated": tolerated,
        },
        "targets": TARGETS,
        "met": met(rates, TARGETS),
    }


def main() -> None:
    """Print the figures as one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, which is the only form there is")
    parser.add_argument("--quick", action="store_true", help="8 trials")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    print(json.dumps(figures(trials=8 if asked.quick else asked.trials, workers=asked.workers), indent=2))


if __name__ == "__main__":
    main()
