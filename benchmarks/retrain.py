"""How often a model is retrained for nothing, and how soon where it is worth it: the rules of `retrain` in histories.

Each history (``retrain_worlds``) has a champion, a reference, and half a year of traffic whose labels arrive late.
Every day the monitor's own rules for drift and performance look at it (``retrain_watch``); trigger, window, paired
comparison and outcome are those of `leverframe retrain`, and candidates are trained for real. A history ends with the
first pull request that is ready. Counted are those without a change of the labels, and the days from a change to it.
Aftercare is counted in the worlds of the gate: a model that is equal to the one before it, or that loses a stated AUC.
Rates come with 95 % bounds (Wilson).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np

from benchmarks.alternate import machine, met
from benchmarks.gate import wilson
from benchmarks.gate_worlds import WORLDS, World, draw
from benchmarks.retrain_watch import Case, Watch, day_name, now_after, number_of
from benchmarks.retrain_worlds import BASE, LIVE, LOST, MEMORY, MOVED, NOISY, SEASON, START, TRAIN, Floats
from leverframe.domain.model.evaluate.holdout import Holdout
from leverframe.domain.retraining.aftercare import aftercare, looks
from leverframe.domain.retraining.attempt import Attempt, Comparison, Outcome, RetrainWindow
from leverframe.domain.retraining.outcome import GateMisses, confidence_of, outcome
from leverframe.domain.retraining.retrain_window import newest_labelled, window
from leverframe.domain.retraining.trigger import Triggered
from leverframe.domain.retraining.trigger_rule import ModelFacts, about, trigger
from leverframe.domain.review.gate.paired import Pair, judged_metrics
from leverframe.domain.verdict import Reason, Violation
from leverframe.settings.levers import GateSettings, MetricRule
from leverframe.settings.retrain import RetrainSettings, WindowSettings

_GATE = GateSettings(metrics={"auc": MetricRule(maximum_drop=0.01), "brier": MetricRule(maximum_drop=0.002)})
_SLIDING = RetrainSettings(window=WindowSettings(policy="sliding", days=56))
MONTHLY = RetrainSettings(maximum_age_days=30, new_rows=1, cooldown_days=30)
QUIET = (
    Case("expanding", MEMORY),
    Case("expanding", NOISY),
    Case("expanding", MOVED),
    Case("expanding, age and new rows every month", SEASON, MONTHLY),
    Case("expanding, age and new rows every month", MEMORY, MONTHLY),
    Case("sliding 56 days, age every month", NOISY, MONTHLY.model_copy(update={"window": _SLIDING.window})),
)
CHANGED = (
    Case("expanding", LOST, within=70),
    Case("expanding", replace(LOST, name="AUC falls by 0.03", loss=0.03), within=90),
    Case("expanding", replace(LOST, name="AUC falls by 0.05, days remember weeks", memory=0.9), within=75),
    Case("expanding", replace(LOST, name="AUC falls by 0.05 over 60 days", over=60), within=120),
    Case("expanding, age every month before", LOST, MONTHLY, within=120),
)
POLICIES = (  # shown beside, without a goal
    Case("sliding 56 days", LOST, _SLIDING),
    Case("since-change", LOST, RetrainSettings(window=WindowSettings(policy="since-change"))),
)
_AFTER = ("independent", "memory 0.8", "week, memory 0.8", "heavy days")
REVERTED = (*(replace(world, rows=300) for world in WORLDS if world.name in _AFTER), replace(WORLDS[0], rows=1000))
_WORSE = 1.3  # noise in log odds of a model that is worse
TARGETS = {
    "ready_without_change": 0.05,
    "missed_within_days": 0.1,
    "reverted_though_equal": 0.05,
    "not_reverted_though_worse": 0.1,
}


@dataclass(frozen=True)
class Course:
    """The result of a history: the days of the watch with the first ready one and the first draft, and all outcomes."""

    ready: int | None
    outcomes: tuple[str, ...]
    draft: int | None = None


def trial(case: Case, seed: int) -> Course:
    """Return the result of a history."""
    watch, attempts, days = Watch(case, seed), list[Attempt](), dict[Outcome, int]()
    for day in range(LIVE):
        attempt = attempted(watch, day, attempts)
        if attempt is None:
            continue
        attempts.append(attempt)
        days.setdefault(attempt.outcome, day)
        if attempt.outcome is Outcome.BETTER:
            break
    outcomes = tuple(one.outcome.value for one in attempts)
    return Course(days.get(Outcome.BETTER), outcomes, days.get(Outcome.NOT_WORSE))


def attempted(watch: Watch, day: int, attempts: Sequence[Attempt]) -> Attempt | None:
    """Return the attempt of a day, None where none is due."""
    settings, now = watch.case.settings, now_after(day)
    current = RetrainWindow(*(day_name(at) for at in (0, TRAIN - 1, TRAIN, START - 1)))
    until = now_after(-1) - timedelta(days=START - TRAIN)
    monitored = watch.monitored(day)
    facts = ModelFacts("m", "e", "champion", 24.0, until, watch.case.world.rows * (day + 1), watch.lines)
    due = trigger(monitored, attempts, settings, facts, now)
    if not isinstance(due, Triggered):
        return None
    newest = newest_labelled(now, "day", "UTC", watch.case.delay)
    rows = window(current, day_name(0), newest, due.evidence, settings)
    if not isinstance(rows, RetrainWindow):
        return None
    sure = confidence_of(due.evidence, about(attempts, facts, now), settings, now, rows)
    comparison, missed = compared(watch, rows, sure)
    says, why = outcome(comparison, missed, settings, _GATE)
    return Attempt(
        "m", "e", now.isoformat(), "", "", due.evidence, says, why, rows, comparison, None, day_name(day), "champion"
    )


def compared(watch: Watch, rows: RetrainWindow, confidence: float) -> tuple[Comparison, GateMisses]:
    """Return both models on the new hold-out, and on days of the old one that the candidate did not learn from."""
    first, last, begins, ends = (
        number_of(key) for key in (rows.train_first, rows.train_last, rows.holdout_first, rows.holdout_last)
    )
    candidate = watch.fit(first, last)
    pair = Pair(watch.holdout(candidate, begins, ends), watch.holdout(watch.champion, begins, ends))
    _, here = judged_metrics(pair, _GATE)
    metrics, _ = judged_metrics(pair, GateSettings(confidence=confidence, metrics=_GATE.metrics))
    days = pair.candidate.number_of_days
    comparison = Comparison("auc", confidence, len(pair.candidate.labels), days, tuple(metrics), 0, "", (), (), ())
    return comparison, GateMisses(tuple(here), tuple(_forgotten(watch, candidate, first)))


def _forgotten(watch: Watch, candidate: Floats, first: int) -> Iterator[Violation]:
    """Yield the rules that even the better bound misses on the old hold-out, as the gate has it."""
    last = min(START - 1, first - 1)
    if last - TRAIN + 1 < 14:
        return
    pair = Pair(watch.holdout(candidate, TRAIN, last), watch.holdout(watch.champion, TRAIN, last))
    for metric in judged_metrics(pair, _GATE)[0]:
        rule = _GATE.metrics.get(metric.metric)
        if rule and metric.high is not None and metric.high < -(rule.maximum_drop or 0.0):
            yield Violation(Reason.METRIC_DROPPED, f"{metric.title} fell on the old hold-out", "look at it")


def line(case: Case, trials: int) -> dict[str, Any]:
    """Return a line of the table."""
    courses = [trial(case, seed) for seed in range(trials)]
    ready = [one.ready for one in courses if one.ready is not None]
    outcomes = [one for course in courses for one in course.outcomes]
    figures = {
        "case": case.name, "world": case.world.name, "histories": trials, "label_delay_days": case.delay,
        "attempts": round(len(outcomes) / trials, 2),
        "outcomes": {name: outcomes.count(name) for name in sorted(set(outcomes))},
    }  # fmt: skip
    if not case.world.loss:
        return figures | {"ready": _rate(len(ready), trials)}
    days = sorted(day - case.world.at + 1 for day in ready if day >= case.world.at)
    since = [one.draft - case.world.at + 1 for one in courses if one.draft is not None]
    drafts = sorted(day for day in since if day > 0)
    return figures | {
        "loss": case.world.loss, "within_days": case.within, "ready_before": len(ready) - len(days),
        "ready_within": _rate(sum(day <= case.within for day in days), trials - (len(ready) - len(days))),
        "days_to_half": _quantile(days, trials, 0.5), "days_to_90_percent": _quantile(days, trials, 0.9),
        "days_to_half_of_drafts": _quantile(drafts, trials, 0.5),
    }  # fmt: skip


def _rate(hits: int, trials: int) -> dict[str, Any]:
    return {"rate": round(hits / max(1, trials), 4), "bounds": wilson(hits, trials)}


def _quantile(days: Sequence[int], trials: int, share: float) -> int | None:
    """Return after how many days a share of all trials was ready, None where it never was."""
    needed = int(np.ceil(share * trials)) - 1
    return days[needed] if needed < len(days) else None


def reverts(world: World, trials: int) -> dict[str, Any]:
    """Return how often a merged model is reverted that is equal to the one before, and one that lost AUC."""
    settings = RetrainSettings()
    false, hits, losses = 0, 0, list[float]()
    for seed in range(trials):
        rows = draw(world, "binary", int(settings.watch_days), seed)
        equal, before, noise = rows.predictions[0], rows.predictions[1], np.random.default_rng(seed)
        odds = np.log(before / (1 - before)) + _WORSE * noise.standard_normal(len(before))
        one, other, old = (
            Holdout("binary", ("0", "1"), rows.labels, predictions, rows.days, {})
            for predictions in (equal, 1 / (1 + np.exp(-odds)), before)
        )
        losses.append(float(old.measured().values[0] - other.measured().values[0]))
        false += _reverted(one, old, settings)
        hits += _reverted(other, old, settings)
    return {
        "world": world.name, "rows_a_day": world.rows, "watches": trials, "looks": looks(settings.watch_days),
        "loss": round(float(np.mean(losses)), 4), "false": _rate(false, trials), "reverted": _rate(hits, trials),
    }  # fmt: skip


def _reverted(served: Holdout, before: Holdout, settings: RetrainSettings) -> bool:
    """Tell whether a watch with a run a day opens a revert; runs between two looks say what the last look said."""
    for day in looks(settings.watch_days):
        rows = np.flatnonzero(served.days < day)
        sides = [
            replace(side, labels=side.labels[rows], predictions=side.predictions[rows], days=side.days[rows])
            for side in (served, before)
        ]
        if aftercare(Pair(sides[0], sides[1]), settings, "auc").worse:
            return True
    return False


def figures(*, trials: int, workers: int, quick: bool = False) -> dict[str, Any]:
    """Return the tables: histories without a change, with one, and watches after a merge."""
    quiet, changed = (QUIET[::4], CHANGED[:1]) if quick else (QUIET, CHANGED)
    watched = REVERTED[:1] if quick else REVERTED
    with ProcessPoolExecutor(workers) as pool:
        still = pool.map(partial(line, trials=trials), quiet)
        moved = pool.map(partial(line, trials=max(2, trials // 4)), changed)
        after = pool.map(partial(reverts, trials=trials), watched)
        policies = pool.map(partial(line, trials=max(2, trials // 8)), POLICIES[: 1 if quick else None])
        tables = {"without_change": list(still), "with_change": list(moved), "aftercare": list(after)}
        tables["policies"] = list(policies)
    rates = {
        "ready_without_change": max(one["ready"]["bounds"][0] for one in tables["without_change"]),
        "missed_within_days": max(1 - one["ready_within"]["bounds"][1] for one in tables["with_change"]),
        "reverted_though_equal": max(one["false"]["bounds"][0] for one in tables["aftercare"]),
        "not_reverted_though_worse": max(1 - one["reverted"]["bounds"][1] for one in tables["aftercare"]),
    }
    return {
        "name": "retrain",
        "machine": machine(),
        "sizes": {"histories": trials, "days": LIVE, "rows_a_day": BASE.rows},
        "ratios": {name: round(rate, 4) for name, rate in rates.items()},
        "absolute": tables,
        "targets": TARGETS,
        "met": met(rates, TARGETS),
    }


def markdown(table: dict[str, Any]) -> str:
    """Return the tables of the guide."""
    parts = table["absolute"]
    lines = [
        "| labels as before | retraining | attempts a history | histories | ready pull request |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {one['world']} | {one['case']} | {one['attempts']:g} | {one['histories']} | {_cell(one['ready'])} |"
        for one in parts["without_change"]
    ]
    lines += [
        "",
        "| change | retraining | histories | ready within | half, 90 % ready after | half have a draft after |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {one['world']} | {one['case']} | {one['histories']} | {_cell(one['ready_within'])} in {one['within_days']} "
        f"days | {_days(one['days_to_half'])}, {_days(one['days_to_90_percent'])} | "
        f"{_days(one['days_to_half_of_drafts'])} |"
        for one in (*parts["with_change"], *parts["policies"])
    ]
    lines += [
        "",
        "| after a merge | rows a day | watches | equal model: reverted | AUC lost: reverted |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {one['world']} | {one['rows_a_day']} | {one['watches']} | {_cell(one['false'])} | {one['loss']:.3f}: "
        f"{_cell(one['reverted'])} |"
        for one in parts["aftercare"]
    ]
    return "\n".join(lines)


def _cell(rate: dict[str, Any]) -> str:
    return f"{rate['rate']:.1%}"


def _days(days: int | None) -> str:
    return "never" if days is None else f"{days} days"


def main() -> None:
    """Print the figures as one JSON object, or as the tables of the guide."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrain", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, which is the default")
    parser.add_argument("--markdown", action="store_true", help="print the tables of the guide instead")
    parser.add_argument("--quick", action="store_true", help="8 histories of three cases")
    parser.add_argument("--trials", type=int, default=200, help="histories without a change, a case")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    table = figures(trials=8 if asked.quick else asked.trials, workers=asked.workers, quick=asked.quick)
    sys.stdout.write((markdown(table) if asked.markdown else json.dumps(table, indent=2)) + "\n")


if __name__ == "__main__":
    main()
