"""Two models on the same rows: one bootstrap over days serves both, so what they share cancels.

Over all rows the candidate carries the burden of proof (a non-inferiority test): it passes a rule
when the one-sided lower bound of its gain passes it. So a candidate whose true loss equals the allowed drop
passes with a probability of at most 1 - confidence. Within a slice, of which there are many small ones,
the burden is reversed: a slice fails when it is significantly worse, corrected for all slices (Bonferroni).
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
from leverframe.domain.review.gate.rules import allowed, floor_text, rule_text
from leverframe.domain.verdict import Reason, Violation
from leverframe.settings.levers import GateSettings, MetricRule, SliceRule

Five = tuple[float | None, float | None, float | None, float | None, float | None]

_BETTER_MODEL = "improve the model, or change the rule in a pull request of its own: a rule applies once it is merged"
_MORE_DAYS = "widen the hold-out, as more days narrow the bound, or improve the model"
_ONE_CLASS = "check the hold-out: a metric is undefined where a class has no row"


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
    """Return every metric of the label's kind side by side, and the violations of the gate's rules."""
    draws = day_weights(pair.candidate.number_of_days, settings.resamples, settings.seed)
    ours, theirs = _both(pair, np.arange(len(pair.candidate.labels)), draws)
    enough = pair.candidate.number_of_days >= MINIMUM_DAYS
    metrics, violations = [], list[Violation]()
    for number, metric in enumerate(METRICS[pair.candidate.kind]):
        rule = settings.metrics.get(metric.name)
        compared, missed = _metric(metric, rule, _column(ours, number), _column(theirs, number), settings.confidence)
        if rule and theirs and not enough and (rule.maximum_drop, rule.minimum_gain) != (None, None):
            missed.append(_too_few_days(metric, pair.candidate.number_of_days))
        metrics.append(compared)
        violations += missed
    violations += [_unknown(name, pair) for name in settings.metrics if name not in {each.metric for each in metrics}]
    return metrics, violations


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
    change = None if theirs is None else _Change(metric, float(theirs.values), value, gain, low, confidence)
    violations = [] if rule is None else list(_violations(metric, rule, value, change))
    champion = None if change is None else plain(change.before)
    figures = (None, None, None) if change is None else (plain(gain), plain(low), plain(high))
    text = rule_text(rule, metric.better) if rule else ""
    return Compared(
        metric.name, metric.title, metric.better, champion, plain(value), *figures, text, not violations
    ), violations


@dataclass(frozen=True)
class _Change:
    """A metric before and after; ``gain`` and its lower bound ``low`` are positive where the candidate is better."""

    metric: Metric
    before: float
    after: float
    gain: float
    low: float
    confidence: float

    def __str__(self) -> str:
        """Return the change in the direction of the metric: the lower bound of a gain is an upper one of a loss."""
        side, bound = ("upper", -self.low) if self.metric.better == "lower" else ("lower", self.low)
        limit = f"{100 * self.confidence:g} % {side} bound {bound:+.4f}"
        return _moved(self.metric, "", (self.before, self.after), limit)


def _moved(metric: Metric, where: str, values: tuple[float, float], bound: str) -> str:
    before, after = values
    moved = "did not change"
    if after != before:
        moved = f"{'fell' if after < before else 'rose'} by {abs(after - before):.4f}"
    return f"{_title(metric)}{where} {moved} ({before:.4f} to {after:.4f}; {bound})"


def _title(metric: Metric) -> str:
    return metric.title[:1].upper() + metric.title[1:]


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


def _violations(metric: Metric, rule: MetricRule, value: float, change: _Change | None) -> Iterator[Violation]:
    if not math.isfinite(value):
        yield Violation(
            Reason.METRIC_MISSING, f"a rule needs {metric.title}, which is undefined for the candidate", _ONE_CLASS
        )
        return
    if rule.floor is not None and (value < rule.floor if metric.better != "lower" else value > rule.floor):
        what = f"{_title(metric)} is {value:.4f}. Required: {floor_text(rule.floor, metric.better)}."
        yield Violation(Reason.FLOOR_MISSED, what, _BETTER_MODEL)
    if change is not None:
        yield from _change_violations(rule, change)


def _change_violations(rule: MetricRule, change: _Change) -> Iterator[Violation]:
    demanded = rule.minimum_gain if rule.minimum_gain is not None else -(rule.maximum_drop or 0.0)
    if (rule.minimum_gain, rule.maximum_drop) == (None, None) or change.low >= demanded:
        return
    if not math.isfinite(change.gain) or not math.isfinite(change.low):
        what = f"a rule needs the change of {change.metric.title}, which is undefined"
        yield Violation(Reason.METRIC_MISSING, what, _ONE_CLASS)
        return
    required = allowed(rule, change.metric.better)
    what = f"{change}. {required[:1].upper()}{required[1:]}."
    if rule.minimum_gain is not None:
        yield Violation(Reason.GAIN_MISSED, what, _BETTER_MODEL)
    elif change.gain < demanded:
        yield Violation(Reason.METRIC_DROPPED, what, _BETTER_MODEL)
    else:
        what += " The bound is beyond it: too little evidence that the model is not worse."
        yield Violation(Reason.METRIC_UNCERTAIN, what, _MORE_DAYS)


def _too_few_days(metric: Metric, days: int) -> Violation:
    return Violation(
        Reason.METRIC_UNCERTAIN,
        f"the hold-out has {days} days; the bounds of {metric.title} need at least {MINIMUM_DAYS}",
        "widen `features.holdout` in `params.yaml`",
    )


def _unknown(name: str, pair: Pair) -> Violation:
    known = ", ".join(f"`{each.name}`" for each in METRICS[pair.candidate.kind])
    return Violation(
        Reason.METRIC_MISSING,
        f"a rule names the metric `{name}`, which a {pair.candidate.kind} label does not have",
        f"correct `gate.metrics` on the base branch; the metrics are {known}",
    )


def judged_slices(pair: Pair, settings: GateSettings) -> tuple[list[SliceCompared], list[Violation]]:
    """Return each slice with a rule side by side, and a violation for each that is significantly worse than allowed."""
    draws = day_weights(pair.candidate.number_of_days, settings.resamples, settings.seed)
    judged = [(rule, *each) for rule in settings.slices for each in _values(pair.candidate, rule)]
    # Every comparison takes its share of the error (Bonferroni).
    share = NormalDist().inv_cdf(1 - (1 - settings.confidence) / max(1, len(judged)))
    slices, violations = [], []
    for rule, column, value, rows in judged:
        metrics = METRICS[pair.candidate.kind]
        number = next((n for n, each in enumerate(metrics) if each.name == rule.metric), 0)
        sides = _both(pair, rows, draws)
        one = _slice(
            rule, (column, value), metrics[number], (_column(sides[0], number), _column(sides[1], number)), share
        )
        slices.append(SliceCompared(column, value, metrics[number].name, len(rows), *one[0], not one[1]))
        violations += one[1]
    missing = [
        Violation(
            Reason.METRIC_MISSING,
            f"a rule slices by the column `{column}`, which the hold-out does not have",
            "correct `gate.slices` on the base branch, or keep the column",
        )
        for rule in settings.slices
        for column in rule.columns
        if column not in pair.candidate.slices
    ]
    return slices, violations + missing


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
    value, where = float(ours.values), f"`{name[0]} = {name[1]}`"
    violations: list[Violation] = []
    if rule.floor is not None and sign * value + share * _spread(ours.resampled) < sign * rule.floor:
        side = "above" if metric.better == "lower" else "below"
        what = f"{_title(metric)} of {where} is {value:.4f}, significantly {side} the floor of {rule.floor:g}"
        violations.append(Violation(Reason.FLOOR_MISSED, what, _BETTER_MODEL))
    if theirs is None:
        return (None, plain(value), None, None, None), violations
    gain = sign * (value - float(theirs.values))
    wide = share * _spread(ours.resampled - theirs.resampled)
    if rule.maximum_drop is not None and gain + wide < -rule.maximum_drop:
        least = f"by at least {-(gain + wide):.4f}, corrected for all slices"
        moved = _moved(metric, f" of {where}", (float(theirs.values), value), least)
        what = f"{moved}. Allowed {'rise' if metric.better == 'lower' else 'drop'}: {rule.maximum_drop:g}."
        violations.append(Violation(Reason.SLICE_DROPPED, what, _BETTER_MODEL))
    return (plain(float(theirs.values)), plain(value), plain(gain), plain(gain - wide), plain(gain + wide)), violations


def _spread(samples: Floats) -> float:
    defined = samples[np.isfinite(samples)]
    return float(np.std(defined, ddof=1)) if len(defined) > 1 else math.nan
