"""Two models on the same rows: one bootstrap over days serves both, so what they share cancels.

The burden of proof is the candidate's where it is judged as a whole: it passes a rule when the
one-sided bound of its gain keeps it. So whoever truly loses what is tolerated passes with a
probability of at most 1 - confidence. Within a slice, of which there are many small ones, the burden
is reversed and shared among all slices (Bonferroni): a slice fails when it is surely worse.
Sources: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13; Lehmann and
Romano, Testing Statistical Hypotheses (2005), chapter 9 (family-wise error).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.model.evaluate.bootstrap import MINIMUM_DAYS, day_weights
from leverframe.domain.model.evaluate.holdout import Holdout
from leverframe.domain.model.evaluate.metrics import METRICS, Metric
from leverframe.domain.model.evaluate.scores import plain
from leverframe.domain.model.evaluate.weighing import ByDay, ByRow, Floats
from leverframe.domain.review.gate.gate_result import Compared, SliceCompared
from leverframe.domain.review.gate.rules import said
from leverframe.domain.verdict import Reason, Violation
from leverframe.settings.levers import GateSettings, MetricRule, SliceRule

Five = tuple[float | None, float | None, float | None, float | None, float | None]

_BETTER_MODEL = "improve the model, or set another rule in a change of its own: rules count once they are merged"


@dataclass(frozen=True)
class Pair:
    """Candidate and champion on the same rows in the same order; no champion before the first merge."""

    candidate: Holdout
    champion: Holdout | None


@dataclass(frozen=True)
class Samples:
    """Values of every metric: on the rows, shape (metrics,), and in each resample, shape (resamples, metrics)."""

    values: Floats
    resampled: Floats


def judged_metrics(pair: Pair, settings: GateSettings) -> tuple[list[Compared], list[Violation]]:
    """Return every metric of the label's kind side by side, and what breaks the rules of the gate."""
    draws = day_weights(pair.candidate.number_of_days, settings.resamples, settings.seed)
    ours, theirs = _both(pair, np.arange(len(pair.candidate.labels)), draws)
    enough = pair.candidate.number_of_days >= MINIMUM_DAYS
    found, violations = [], list[Violation]()
    for number, metric in enumerate(METRICS[pair.candidate.kind]):
        rule = settings.metrics.get(metric.name)
        compared, against = _metric(metric, rule, _column(ours, number), _column(theirs, number), settings.confidence)
        if rule and theirs and not enough and (rule.maximum_drop, rule.minimum_gain) != (None, None):
            against.append(_too_few_days(metric, pair.candidate.number_of_days))
        found.append(compared)
        violations += against
    violations += [_unknown(name, pair) for name in settings.metrics if name not in {each.metric for each in found}]
    return found, violations


def _both(pair: Pair, rows: NDArray[np.int64], draws: NDArray[np.int64]) -> tuple[Samples, Samples | None]:
    days = pair.candidate.days[rows]
    sides = [_samples(side, rows, days, draws) for side in (pair.candidate, pair.champion) if side is not None]
    return sides[0], sides[1] if len(sides) > 1 else None


def _samples(side: Holdout, rows: NDArray[np.int64], days: NDArray[np.int64], draws: NDArray[np.int64]) -> Samples:
    judge = side.judge(rows)
    return Samples(judge.measure(ByRow(np.ones((1, judge.rows))))[0], judge.measure(ByDay(days, draws)))


def _column(samples: Samples | None, number: int) -> Samples | None:
    return None if samples is None else Samples(samples.values[number], samples.resampled[:, number])


def _metric(
    metric: Metric, rule: MetricRule | None, ours: Samples | None, theirs: Samples | None, confidence: float
) -> tuple[Compared, list[Violation]]:
    assert ours is not None  # noqa: S101 - the candidate is always there
    value = float(ours.values)
    gain, low, high = _gain(metric, ours, theirs, confidence)
    against = [] if rule is None else list(_against(metric, rule, value, (gain, low, theirs is not None)))
    champion = None if theirs is None else plain(float(theirs.values))
    figures = (plain(gain), plain(low), plain(high)) if theirs is not None else (None, None, None)
    words = said(rule, metric.better) if rule else ""
    return Compared(
        metric.name, metric.title, metric.better, champion, plain(value), *figures, words, not against
    ), against


def _gain(metric: Metric, ours: Samples, theirs: Samples | None, confidence: float) -> tuple[float, float, float]:
    """Return the gain with its one-sided bounds, NaN without a champion or where it is undefined."""
    if theirs is None:
        return math.nan, math.nan, math.nan
    sign = -1.0 if metric.better == "lower" else 1.0
    differences = sign * (ours.resampled - theirs.resampled)
    defined = differences[np.isfinite(differences)]
    gain = sign * (float(ours.values) - float(theirs.values))
    if 2 * len(defined) <= len(differences) or not math.isfinite(gain):
        return gain, math.nan, math.nan
    low, high = np.quantile(defined, [1 - confidence, confidence])
    return gain, float(low), float(high)


def _against(metric: Metric, rule: MetricRule, value: float, gain: tuple[float, float, bool]) -> Iterator[Violation]:
    if not math.isfinite(value):
        yield Violation(
            Reason.METRIC_MISSING,
            f"{metric.title} of the candidate is undefined, and a rule needs it",
            "look at the hold-out: a class that is missing there makes it undefined",
        )
        return
    words = said(rule, metric.better)
    if rule.floor is not None and (value < rule.floor if metric.better != "lower" else value > rule.floor):
        yield Violation(
            Reason.FLOOR_MISSED,
            f"{metric.title} is {value:.4f}, the rule is {words}",
            _BETTER_MODEL,
        )
    yield from _against_gain(metric, rule, gain)


def _against_gain(metric: Metric, rule: MetricRule, gain: tuple[float, float, bool]) -> Iterator[Violation]:
    found, low, compared = gain
    if not compared:
        return
    demanded = rule.minimum_gain if rule.minimum_gain is not None else -(rule.maximum_drop or 0.0)
    if (rule.minimum_gain, rule.maximum_drop) == (None, None) or low >= demanded:
        return
    if not math.isfinite(found) or not math.isfinite(low):
        yield Violation(
            Reason.METRIC_MISSING,
            f"the gain of {metric.title} is undefined",
            "look at the hold-out: a class that is missing there makes it undefined",
        )
        return
    told = f"{metric.title} changes by {found:+.4f} (better is positive), at worst by {low:+.4f}; the rule is: "
    told += said(rule, metric.better)
    if rule.minimum_gain is not None:
        yield Violation(Reason.GAIN_MISSED, told, _BETTER_MODEL)
    elif found < demanded:
        yield Violation(Reason.METRIC_DROPPED, told, _BETTER_MODEL)
    else:
        yield Violation(
            Reason.METRIC_UNCERTAIN, told, "judge on more days, which narrows the bounds, or improve the model"
        )


def _too_few_days(metric: Metric, days: int) -> Violation:
    return Violation(
        Reason.METRIC_UNCERTAIN,
        f"{metric.title} is judged on {days} days, fewer than the {MINIMUM_DAYS} that bounds need",
        "widen `features.holdout` in `params.yaml`",
    )


def _unknown(name: str, pair: Pair) -> Violation:
    known = ", ".join(f"`{each.name}`" for each in METRICS[pair.candidate.kind])
    return Violation(
        Reason.METRIC_MISSING,
        f"a rule is about `{name}`, which a {pair.candidate.kind} label does not have",
        f"correct `gate.metrics` on the base branch; there are {known}",
    )


def judged_slices(pair: Pair, settings: GateSettings) -> tuple[list[SliceCompared], list[Violation]]:
    """Return each slice that a rule is about side by side, and the slices that are surely worse than allowed."""
    draws = day_weights(pair.candidate.number_of_days, settings.resamples, settings.seed)
    judged = [(rule, *each) for rule in settings.slices for each in _values(pair.candidate, rule)]
    # Every comparison that is made takes its share of the error.
    share = NormalDist().inv_cdf(1 - (1 - settings.confidence) / max(1, len(judged)))
    found, violations = [], []
    for rule, column, value, rows in judged:
        metrics = METRICS[pair.candidate.kind]
        number = next((n for n, each in enumerate(metrics) if each.name == rule.metric), 0)
        sides = _both(pair, rows, draws)
        one = _slice(
            rule, (column, value), metrics[number], (_column(sides[0], number), _column(sides[1], number)), share
        )
        found.append(SliceCompared(column, value, metrics[number].name, len(rows), *one[0], not one[1]))
        violations += one[1]
    missing = [
        Violation(
            Reason.METRIC_MISSING,
            f"a rule slices by `{column}`, which the hold-out does not have",
            "correct `gate.slices` on the base branch, or keep the column",
        )
        for rule in settings.slices
        for column in rule.columns
        if column not in pair.candidate.slices
    ]
    return found, violations + missing


def _values(side: Holdout, rule: SliceRule) -> Iterator[tuple[str, str, NDArray[np.int64]]]:
    for column in rule.columns:
        values = side.slices.get(column)
        for value in np.unique(values).tolist() if values is not None else []:
            rows = np.flatnonzero(values == value)
            if len(rows) >= rule.minimum_rows:
                yield column, value, rows


def _slice(
    rule: SliceRule,
    name: tuple[str, str],
    metric: Metric,
    sides: tuple[Samples | None, Samples | None],
    share: float,
) -> tuple[Five, list[Violation]]:
    ours, theirs = sides
    assert ours is not None  # noqa: S101 - the candidate is always there
    sign = -1.0 if metric.better == "lower" else 1.0
    value = float(ours.values)
    violations: list[Violation] = []
    if rule.floor is not None and sign * value + share * _spread(ours.resampled) < sign * rule.floor:
        what = f"{metric.title} of `{name[0]} = {name[1]}` is {value:.4f}, surely beyond the floor {rule.floor:g}"
        violations.append(Violation(Reason.FLOOR_MISSED, what, _BETTER_MODEL))
    if theirs is None:
        return (None, plain(value), None, None, None), violations
    gain = sign * (value - float(theirs.values))
    wide = share * _spread(ours.resampled - theirs.resampled)
    if rule.maximum_drop is not None and gain + wide < -rule.maximum_drop:
        what = (
            f"{metric.title} of `{name[0]} = {name[1]}` changes by {gain:+.4f} (better is positive), "
            f"surely worse than by {rule.maximum_drop:g}"
        )
        violations.append(Violation(Reason.SLICE_DROPPED, what, _BETTER_MODEL))
    return (plain(float(theirs.values)), plain(value), plain(gain), plain(gain - wide), plain(gain + wide)), violations


def _spread(samples: Floats) -> float:
    defined = samples[np.isfinite(samples)]
    return float(np.std(defined, ddof=1)) if len(defined) > 1 else math.nan
