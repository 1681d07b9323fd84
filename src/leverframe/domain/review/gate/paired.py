"""Two models on the same rows: what they share cancels, as each row contributes the difference of its influences.

Over all rows the candidate carries the burden of proof (a non-inferiority test): it passes a rule
when the one-sided lower bound of its gain passes it. So a candidate whose true loss equals the allowed drop
passes with a probability of at most 1 - confidence. A drop is called one only where the candidate is significantly
worse than the champion; what lies between is uncertain.
Source: Lehmann and Romano, Testing Statistical Hypotheses (2005), chapter 13 (equivalence).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.model.evaluate.dependence import (
    LEAST_EFFECTIVE,
    MINIMUM_DAYS,
    Uncertainty,
    by_day,
)
from leverframe.domain.model.evaluate.evaluation_summary import short
from leverframe.domain.model.evaluate.holdout import Holdout
from leverframe.domain.model.evaluate.metrics import METRICS, Measured, Metric
from leverframe.domain.model.evaluate.ranking import Floats
from leverframe.domain.model.evaluate.scores import plain
from leverframe.domain.review.gate.blocks import DAYS, Blocks
from leverframe.domain.review.gate.gate_result import Compared, rounding, signed
from leverframe.domain.review.gate.rules import allowed, floor_text, rule_text
from leverframe.domain.verdict import Reason, Violation
from leverframe.settings.levers import GateSettings, MetricRule

BETTER_MODEL = "improve the model, or change the rule in a pull request of its own: a rule applies once it is merged"
_ONE_CLASS = "check the hold-out: a metric is undefined where a class has no row"
_MOST_DAYS = 3653  # ten years: beyond that a number of days helps nobody


@dataclass(frozen=True)
class Pair:
    """Candidate and champion on the same rows in the same order; no champion before the first merge.

    ``whole`` is the candidate on all rows of its hold-out, None where the pair has them all; ``before`` holds the
    slice values of the base's rows on the days that the candidate covers by column, empty where they are not known.
    """

    candidate: Holdout
    champion: Holdout | None
    whole: Holdout | None = None
    before: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    blocks: Blocks = DAYS


def judged_metrics(pair: Pair, settings: GateSettings) -> tuple[list[Compared], list[Violation]]:
    """Return every metric of the label's kind side by side, and the violations of the gate's rules."""
    side = pair.candidate
    ours = side.measured()
    theirs = None if pair.champion is None else pair.champion.measured()
    gains = None if theirs is None else _Gains(ours, theirs, pair, settings.confidence)
    metrics, violations = [], list[Violation]()
    for number, metric in enumerate(ours.metrics):
        rule, value = settings.metrics.get(metric.name), float(ours.values[number])
        change = None if gains is None else gains.change(number)
        missed = [] if rule is None else list(_violations(metric, rule, value, change))
        metrics.append(_compared(metric, rule, value, change, passed=not missed))
        violations += missed
    violations += [_unknown(name, pair) for name in settings.metrics if name not in {entry.metric for entry in metrics}]
    return metrics, violations


def slopes(measured: Measured) -> Floats:
    """Return how the merit of each metric changes with its value, 1 or -1, shape (metrics,)."""
    pairs = zip(measured.metrics, measured.values.tolist(), strict=True)
    return np.array([metric.slope(value) for metric, value in pairs])


def merits(measured: Measured) -> Floats:
    """Return each metric as a figure of which more is better, shape (metrics,)."""
    pairs = zip(measured.metrics, measured.values.tolist(), strict=True)
    return np.array([metric.merit(value) for metric, value in pairs])


class _Gains:
    """The gain of each metric, positive where the candidate is better, and how sure it is."""

    def __init__(self, ours: Measured, theirs: Measured, pair: Pair, confidence: float) -> None:
        side, self._blocks = pair.candidate, pair.blocks
        span = side.number_of_days
        daily = by_day(slopes(ours) * ours.influence - slopes(theirs) * theirs.influence, side.days, span)
        self._values, self._gain = (theirs.values, ours.values), merits(ours) - merits(theirs)
        self._known: Uncertainty = pair.blocks.uncertainty(daily, ours.shares(side.days, span))
        self._margin = self._known.margin(confidence)
        self._metrics, self._days, self._confidence = ours.metrics, side.number_of_days, confidence

    def change(self, number: int) -> _Change:
        before, after = (float(value[number]) for value in self._values)
        least = rounding(before, after)
        gain, margin = (
            0.0 if abs(figure) <= least else figure
            for figure in (float(self._gain[number]), float(self._margin[number]))
        )
        limits = (gain, gain - margin, gain + margin)
        sure = (float(self._known.error[number]), float(self._known.effective[number]), self._days)
        return _Change(self._metrics[number], before, after, *limits, *sure, self._confidence, self._blocks)


@dataclass(frozen=True)
class _Change:
    """A metric before and after; ``gain`` and its bounds are positive where the candidate is better.

    ``effective`` is the number of independent days that would be as informative as the ``days``.
    """

    metric: Metric
    before: float
    after: float
    gain: float
    low: float
    high: float
    error: float
    effective: float
    days: int
    confidence: float
    blocks: Blocks

    def __str__(self) -> str:
        """Return the change in the direction of the metric: the lower bound of a gain is an upper one of a loss."""
        side, bound = ("lower", self.low) if self.metric.better in ("higher", "neither") else ("upper", -self.low)
        limit = f"{100 * self.confidence:g} % {side} bound {signed(bound)}" if math.isfinite(self.low) else "no bound"
        return moved(self.metric, "", (self.before, self.after), limit)

    def more_days(self, demanded: float) -> str:
        """Return how many more days would show that the gain is as demanded."""
        name = self.blocks.name
        worth = f"the {self.days} {name} tell as much as about {self.effective:.0f} independent ones"
        if self.gain <= demanded:
            return f"{worth}; more {name} would show either a drop or that there is none"
        more = self.blocks.until(self.gain - demanded, self.error, self.days, self.confidence) - self.days
        if more > _MOST_DAYS:
            return f"{worth}; at the present variance more than {self._forever()} would be needed"
        return f"{worth}; about {_rounded(max(more, 1.0))} more {name} would do at the present variance"

    def _forever(self) -> str:
        return "ten years" if self.blocks.name == "days" else f"{_MOST_DAYS:,} {self.blocks.name}"


def _rounded(days: float) -> str:
    return f"{math.ceil(days):,}" if days < 20 else f"{math.ceil(days / 10) * 10:,}"


def _compared(
    metric: Metric, rule: MetricRule | None, value: float, change: _Change | None, *, passed: bool
) -> Compared:
    figures = (None, None, None) if change is None else (plain(change.gain), plain(change.low), plain(change.high))
    champion = None if change is None else plain(change.before)
    text = rule_text(rule, metric.better) if rule else ""
    known = None if change is None or not math.isfinite(change.low) else round(change.effective, 1)
    return Compared(metric.name, metric.title, metric.better, champion, plain(value), *figures, text, passed, known)


def moved(metric: Metric, where: str, values: tuple[float, float], bound: str) -> str:
    """Return how a metric moved, in its own direction, with a bound in words."""
    before, after = values
    how, by = "did not change", after - before
    if metric.better == "nearer to 0" and min(before, after) < 0:
        by = abs(after) - abs(before)
        how = (
            f"{'came nearer to' if by < 0 else 'went farther from'} 0 by {short(abs(by))}" if by else "is as far from 0"
        )
    elif by:
        how = f"{'fell' if by < 0 else 'rose'} by {short(abs(by))}"
    return f"{titled(metric)}{where} {how} ({short(before)} to {short(after)}; {bound})"


def titled(metric: Metric) -> str:
    """Return the title of a metric as the beginning of a sentence."""
    return metric.title[:1].upper() + metric.title[1:]


def _violations(metric: Metric, rule: MetricRule, value: float, change: _Change | None) -> Iterator[Violation]:
    if not math.isfinite(value):
        yield Violation(
            Reason.METRIC_MISSING, f"a rule needs {metric.title}, which is undefined for the candidate", _ONE_CLASS
        )
        return
    if rule.floor is not None and metric.merit(value) < metric.merit(rule.floor):
        what = f"{titled(metric)} is {short(value)}. Required: {floor_text(rule.floor, metric.better)}."
        yield Violation(Reason.FLOOR_MISSED, what, BETTER_MODEL)
    if change is not None:
        yield from _change_violations(rule, change)


def _change_violations(rule: MetricRule, change: _Change) -> Iterator[Violation]:
    demanded = rule.minimum_gain if rule.minimum_gain is not None else -(rule.maximum_drop or 0.0)
    if (rule.minimum_gain, rule.maximum_drop) == (None, None) or change.low >= demanded:
        return
    if not math.isfinite(change.gain):
        what = f"a rule needs the change of {change.metric.title}, which is undefined"
        yield Violation(Reason.METRIC_MISSING, what, _ONE_CLASS)
        return
    if not math.isfinite(change.low):
        yield Violation(Reason.METRIC_UNCERTAIN, f"{change}: {_too_few(change)}", change.blocks.more)
        return
    required = allowed(rule, change.metric.better)
    what = f"{change}. {required[:1].upper()}{required[1:]}."
    if rule.minimum_gain is not None:
        yield Violation(Reason.GAIN_MISSED, what, BETTER_MODEL)
    elif change.gain < demanded and change.high < 0:
        yield Violation(Reason.METRIC_DROPPED, what, BETTER_MODEL)
    else:
        what += f" Too little evidence that the model is not worse: {change.more_days(demanded)}."
        yield Violation(Reason.METRIC_UNCERTAIN, what, change.blocks.more)


def _too_few(change: _Change) -> str:
    name = change.blocks.name
    if change.days < MINIMUM_DAYS:
        return f"the hold-out has {change.days} {name}, and a bound needs at least {MINIMUM_DAYS}"
    rows = "rows" if change.metric.rests_on == "rows" else "rows of the rarest class"
    return (
        f"too few independent periods: its {rows} lie on {name} that tell as much as {change.effective:.1f} equal "
        f"ones, and a bound needs at least {LEAST_EFFECTIVE:g} of them, and {MINIMUM_DAYS} {name}"
    )


def _unknown(name: str, pair: Pair) -> Violation:
    known = ", ".join(f"`{metric.name}`" for metric in METRICS[pair.candidate.kind])
    return Violation(
        Reason.METRIC_MISSING,
        f"a rule names the metric `{name}`, which a {pair.candidate.kind} label does not have",
        f"correct `gate.metrics` on the base branch; the metrics are {known}",
    )
