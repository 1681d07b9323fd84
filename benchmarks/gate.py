"""How often the gate errs, and how often stated intervals hold the truth, in worlds with a known truth.

Each trial draws a hold-out (``gate_worlds``) with a champion, a candidate that is equal in truth, and a worse one.
The true loss is measured beforehand over many hold-outs; the worse one is judged with exactly that loss allowed and
with half of it. Every rate comes with its 95 % bounds (Wilson). A cell is beyond its goal if even the bound that is
kinder to the gate is: 5 % of equal candidates said to have dropped, of candidates passed that lose the allowed drop or
twice it, and 93 to 97 % of intervals of ``evaluate`` that hold the truth. What stays undecided is counted, too.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from benchmarks.alternate import machine, met
from benchmarks.gate_worlds import SLICES, WORLDS, Drawn, Floats, Slices, World, draw, draw_slices
from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.evaluate.holdout import Holdout
from leverframe.domain.model.evaluate.metrics import METRICS, measured
from leverframe.domain.model.evaluate.scores import scored
from leverframe.domain.review.gate.paired import Pair, judged_metrics
from leverframe.domain.review.gate.sliced import judged_slices
from leverframe.domain.verdict import Reason
from leverframe.settings.levers import GateSettings, MetricRule, SliceRule
from leverframe.settings.params import EvaluateSettings

JUDGED: dict[LabelKind, tuple[str, ...]] = {
    "binary": ("auc", "average_precision", "brier", "log_loss"),
    "multiclass": ("accuracy", "auc", "log_loss"),
    "regression": ("mae", "rmse"),
}
DAYS = (40, 120)
TARGETS = {"cells_beyond_goal": 0.05, "equal_slices_blocked": 0.05}
_PASSED = ("exact_passed", "twice_passed")
GOALS = {"equal_dropped": 0.05, **dict.fromkeys(_PASSED, 0.05)}
COVERAGE = (0.93, 0.97)
_TRUTH = 100  # hold-outs of 120 days over which a true loss is measured


@dataclass(frozen=True)
class Cell:
    """A kind of label in a world, over a number of days."""

    kind: LabelKind
    world: World
    days: int


def holdouts(kind: LabelKind, drawn: Drawn) -> list[Holdout]:
    """Return what each model says of the rows."""
    classes = {"binary": ("0", "1"), "multiclass": ("a", "b", "c"), "regression": ()}[kind]
    return [Holdout(kind, classes, drawn.labels, prediction, drawn.days, {}) for prediction in drawn.predictions]


@cache
def truth(kind: LabelKind, world: World, draws: int) -> Floats:
    """Return the true metrics of an equal and of the worse model, shape (2, metrics)."""
    metrics = []
    for seed in range(draws):
        drawn = draw(world, kind, 120, 10_000_000 + seed)
        metrics.append([measured(kind, drawn.labels, prediction).values for prediction in drawn.predictions])
    first, second, worse = np.nanmean(metrics, axis=0)
    return np.stack([(first + second) / 2, worse])


def judged(candidate: Holdout, champion: Holdout, allowed: dict[str, float]) -> dict[str, tuple[str, float]]:
    """Return for each metric with a rule why it fails, empty where it passes, and the bound of its gain."""
    rules = {name: MetricRule(maximum_drop=drop) for name, drop in allowed.items()}
    compared, violations = judged_metrics(Pair(candidate, champion), GateSettings(metrics=rules))
    failures = iter(violations)
    return {
        result.metric: (
            "" if result.passed else next(failures).reason.value,
            -math.inf if result.low is None else result.low,
        )
        for result in compared
        if result.rule
    }


def trial(cell: Cell, truths: Floats, seed: int) -> dict[str, dict[str, float]]:
    """Return by metric what happened in one hold-out, as 0 or 1; NaN where no interval is stated."""
    names = [metric.name for metric in METRICS[cell.kind]]
    champion, equal, worse = holdouts(cell.kind, draw(cell.world, cell.kind, cell.days, seed))
    allowed = {name: abs(float(np.subtract(*truths[:, names.index(name)]))) for name in JUDGED[cell.kind]}
    of_equal, of_worse = (judged(one, champion, allowed) for one in (equal, worse))
    stated = scored(champion, EvaluateSettings()).figures["interval"]
    outcomes = {}
    for name in JUDGED[cell.kind]:
        low, high = stated[name]["low"], stated[name]["high"]
        held = math.nan if low is None else float(low <= truths[0, names.index(name)] <= high)
        outcomes[name] = {
            "equal_dropped": float(of_equal[name][0] == Reason.METRIC_DROPPED.value),
            "equal_uncertain": float(of_equal[name][0] == Reason.METRIC_UNCERTAIN.value),
            "exact_passed": float(not of_worse[name][0]),
            "twice_passed": float(of_worse[name][1] >= -allowed[name] / 2),  # what the rule would say of half the drop
            "covered": held,
        }
    return outcomes


def wilson(hits: float, trials: int) -> tuple[float, float]:
    """Return the 95 % bounds of a rate."""
    if not trials:
        return 0.0, 1.0
    z, rate = 1.96, hits / trials
    middle = (rate + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials**2)) / (1 + z * z / trials)
    return round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)


def row(cell: Cell, *, trials: int) -> list[dict[str, Any]]:
    """Return a line of the table for each metric of a cell."""
    truths = truth(cell.kind, cell.world, min(_TRUTH, 5 * trials))
    outcomes = [trial(cell, truths, seed) for seed in range(trials)]
    lines = []
    for name in JUDGED[cell.kind]:
        rates = {}
        for rate in outcomes[0][name]:
            values = [outcome[name][rate] for outcome in outcomes if not math.isnan(outcome[name][rate])]
            rates[rate] = {"rate": round(float(np.mean(values)), 4) if values else None, "trials": len(values),
                           "bounds": wilson(sum(values), len(values))}  # fmt: skip
        lines.append({"kind": cell.kind, "world": cell.world.name, "days": cell.days, "metric": name, **rates})
    return lines


def slices(world: Slices, *, trials: int) -> dict[str, Any]:
    """Return how often slices of equal models are blocked, and how often the worse one is found."""
    rule = GateSettings(slices=[SliceRule(columns=["slice"], maximum_drop=world.allowed)])
    blocked, hits, judged, gains = 0, 0, 0, list[float]()
    for seed in range(trials):
        drawn, names = draw_slices(world, seed)
        sides = [
            Holdout("binary", ("0", "1"), drawn.labels, prediction, drawn.days, {"slice": names})
            for prediction in reversed(drawn.predictions[:2])
        ]
        compared, _ = judged_slices(Pair(sides[0], sides[1]), rule)
        worse = {"s0"} if world.worse > 1 else set()
        blocked += any(not result.passed for result in compared if result.value not in worse)
        hits += any(not result.passed for result in compared if result.value in worse)
        judged += sum(result.low is not None for result in compared)
        gains += [result.gain for result in compared if result.value in worse and result.gain is not None]
    facts = {"world": world.name, "slices": world.slices, "rows": world.rows, "allowed": world.allowed,
             "judged": round(judged / (trials * world.slices), 3),
             "equal_blocked": {"rate": blocked / trials, "bounds": wilson(blocked, trials)}}  # fmt: skip
    if gains:
        facts["worse_found"] = {"rate": hits / trials, "bounds": wilson(hits, trials)}
        facts["mean_gain_of_worse"] = round(float(np.mean(gains)), 4)
    return facts


def beyond(line: dict[str, Any]) -> Iterator[str]:
    """Yield the goals of a line that even the kinder bound misses."""
    for name, goal in GOALS.items():
        if line[name]["bounds"][0] > goal:
            yield name
    low, high = line["covered"]["bounds"]
    if line["covered"]["trials"] and (high < COVERAGE[0] or low > COVERAGE[1]):
        yield "covered"


def cells() -> list[Cell]:
    """Return all cells of the table; a regression has no positives."""
    kinds: tuple[LabelKind, ...] = ("binary", "multiclass", "regression")
    return [
        Cell(kind, world, days)
        for kind in kinds
        for world in WORLDS
        for days in DAYS
        if not (kind == "regression" and "positives" in world.name)
    ]


class _Run:
    """A call with its number of trials, as processes pass it on."""

    def __init__(self, call: Callable[..., Any], trials: int) -> None:
        self._call, self._trials = call, trials

    def __call__(self, one: Any) -> Any:
        return self._call(one, trials=self._trials)


def figures(*, trials: int, workers: int) -> dict[str, Any]:
    """Return the table of metrics, that of slices, and which goals they miss."""
    with ProcessPoolExecutor(workers) as pool:
        table = [line for lines in pool.map(_Run(row, trials), cells()) for line in lines]
        of_slices = list(pool.map(_Run(slices, max(2, trials // 2 if trials < 50 else trials)), SLICES))
    missed = [
        {name: line[name] for name in ("kind", "world", "days", "metric")} | {"goals": goals}
        for line in table
        if (goals := list(beyond(line)))
    ]
    rates = {
        "cells_beyond_goal": sum(len(cell["goals"]) for cell in missed) / (len(table) * (len(GOALS) + 1)),
        "equal_slices_blocked": max(line["equal_blocked"]["bounds"][0] for line in of_slices),
    }
    return {
        "name": "gate",
        "machine": machine(),
        "sizes": {"trials": trials, "days": DAYS, "worlds": {world.name: world.says for world in WORLDS}},
        "ratios": rates,
        "absolute": {"table": table, "slices": of_slices, "beyond_goal": missed},
        "targets": TARGETS,
        "met": met(rates, TARGETS),
    }


def markdown(report: dict[str, Any]) -> str:
    """Return the tables of the guide: by world the worst of its metrics, and the slices."""
    lines = [
        "| world | days | equal: dropped | equal: undecided | loses the margin: passed | loses twice: passed | "
        "95 % intervals that hold |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for world, days in ((world.name, days) for world in WORLDS for days in DAYS):
        rows = [row for row in report["absolute"]["table"] if (row["world"], row["days"]) == (world, days)]
        worst = [max(row[name]["rate"] for row in rows) for name in ("equal_dropped", "equal_uncertain", *_PASSED)]
        held = sorted(row["covered"]["rate"] for row in rows if row["covered"]["trials"])
        cells = [*(f"{rate:.1%}" for rate in worst), f"{held[0]:.0%} to {held[-1]:.0%}"]
        lines.append(f"| {world} | {days} | {' | '.join(cells)} |")
    lines += [
        "",
        "| slices of 300 or 1,000 rows | allowed drop | judged | equal models: blocked | worse slice: found |",
    ]
    lines += ["| --- | ---: | ---: | ---: | ---: |"]
    for line in report["absolute"]["slices"]:
        hits = (
            f"{line['worse_found']['rate']:.1%} of {line['mean_gain_of_worse']:+.3f}" if "worse_found" in line else ""
        )
        cells = [f"{line['allowed']:g}", f"{line['judged']:.0%}", f"{line['equal_blocked']['rate']:.1%}", hits]
        lines.append(f"| {line['slices']}, {line['world']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the figures as one JSON object, or as the tables of the guide."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, which is the default")
    parser.add_argument("--markdown", action="store_true", help="print the tables of the guide instead")
    parser.add_argument("--quick", action="store_true", help="8 trials a cell")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    report = figures(trials=8 if asked.quick else asked.trials, workers=asked.workers)
    print(markdown(report) if asked.markdown else json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
