"""Both models within slices: a slice fails where it is significantly worse than allowed, corrected for all slices.

Slices are many and small, so the burden of proof is reversed. The variance of a slice is shrunk towards what all rows
of its classes tell, as far as slices are alike, and widened by what days have in common within slices; all slices share
the error as a rate of false discoveries.
Sources: Smyth (2004), moderated t; Benjamini and Hochberg (1995).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.model.evaluate.dependence import Uncertainty, by_day, uncertainty
from leverframe.domain.model.evaluate.evaluation_summary import short
from leverframe.domain.model.evaluate.holdout import Holdout
from leverframe.domain.model.evaluate.metrics import METRICS, Measured, Metric
from leverframe.domain.model.evaluate.ranking import Floats
from leverframe.domain.model.evaluate.scores import plain
from leverframe.domain.review.gate.gate_result import SliceCompared
from leverframe.domain.review.gate.paired import BETTER_MODEL, Pair, moved, slopes, titled
from leverframe.domain.review.gate.rules import worse
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import nearest
from leverframe.settings.levers import GateSettings, SliceRule
from leverframe.words import first_few

_UNDEFINED, _SHOWN = "undefined, as a class has no row", 3
_PRIOR = (4.0, 100.0)  # rows of the rarest class that all rows count for: where slices differ, where they are alike


@dataclass(frozen=True)
class _Figure:
    """One figure of a slice, larger is better: its value, the least it may be, and what is known of its variance.

    ``own`` comes from its rows, ``pooled`` from all rows, ``daily`` from its days, NaN where they are too few.
    """

    value: float
    least: float
    own: float
    pooled: float
    daily: float
    freedom: float


@dataclass(frozen=True)
class _Judged:
    """A figure with how sure it is, and the chance of a value this low if the truth were the least it may be."""

    figure: _Figure
    known: Uncertainty

    @property
    def chance(self) -> float:
        return float(self.known.tail(np.array([self.figure.least - self.figure.value]))[0])

    def margin(self, share: float) -> float:
        return float(self.known.margin(1 - share)[0])


@dataclass(frozen=True)
class _Slice:
    """A slice of a rule, what is measured of it, and what is judged of that."""

    rule: SliceRule
    metric: Metric
    result: SliceCompared
    gain: _Figure | None = None
    level: _Figure | None = None
    judged: tuple[_Judged, ...] = ()


def _weighed(figures: Sequence[_Figure]) -> list[_Judged]:
    """Return the figures of alike slices with their errors: moderated variances, times what days have in common."""
    alike = [measure for measure in figures if measure.own > 0 and measure.pooled > 0 and measure.freedom > 0]
    logs = np.array([math.log(measure.own / measure.pooled) for measure in alike])
    chance = float(np.mean([2 / measure.freedom for measure in alike])) if alike else 0.0
    excess = float(logs.var(ddof=1)) - chance if len(logs) > 1 else math.inf
    prior = float(np.clip(2 / excess, *_PRIOR)) if excess > 0 else _PRIOR[1]
    total = sum(measure.own for measure in figures)
    common = max(1.0, sum(measure.daily for measure in figures) / total) if total > 0 else 1.0
    judged = []
    for figure in figures:
        weight = prior + figure.freedom
        variance = common * (prior * figure.pooled + figure.freedom * figure.own) / weight
        known = (np.array([number]) for number in (math.sqrt(variance), weight, math.nan))
        judged.append(_Judged(figure, Uncertainty(*known)))
    return judged


def judged_slices(pair: Pair, settings: GateSettings) -> tuple[list[SliceCompared], list[Violation]]:
    """Return each slice with a rule side by side, and a violation for each that is significantly worse than allowed."""
    judged = [rule for rule in settings.slices if not _unknown(pair, rule)]
    measured = [part for rule in judged for part in _judged(list(_measured(pair, rule)), rule.maximum_drop, rule.floor)]
    chances = sorted(one.chance for part in measured for one in part.judged)
    error = (1 - settings.confidence) / max(1, len(chances))
    discovered = [rank for rank, chance in enumerate(chances, start=1) if chance <= rank * error]
    share = error * max(discovered, default=1)
    slices, violations = [], []
    for segment in measured:
        missed = list(_violations(segment, share))
        slices.append(replace(_with_bounds(segment, share), passed=not missed))
        violations += missed
    for rule in settings.slices:
        violations += _unknown(pair, rule)
        for column in rule.columns:
            gone, missed = _gone(pair, rule, column)
            slices += gone
            violations += missed
    return slices, violations


def undefined(slices: Sequence[SliceCompared]) -> list[str]:
    """Return in words which slices have no value, as a class has no row in them: no rule could fail there."""
    names = [f"`{part.column} = {part.value}`" for part in slices if part.note == _UNDEFINED]
    return [f"no rule was judged within {first_few(names, _SHOWN)}: {_UNDEFINED}"] if names else []


def _unknown(pair: Pair, rule: SliceRule) -> list[Violation]:
    """Return the violation for a rule whose metric the label has not: another one would be judged in its place."""
    known = [metric.name for metric in METRICS[pair.candidate.kind]]
    if rule.metric is None or rule.metric in known:
        return []
    what = f"a rule for slices names the metric `{rule.metric}`, which a {pair.candidate.kind} label does not have"
    remedy = f"correct `gate.slices` on the base branch: {nearest(rule.metric, known)}"
    return [Violation(Reason.METRIC_MISSING, what, remedy)]


def _gone(pair: Pair, rule: SliceRule, column: str) -> tuple[list[SliceCompared], list[Violation]]:
    """Return what the base has and this change has not: a column, or slices that are large enough to be judged."""
    side = pair.whole or pair.candidate
    if column not in side.slices:
        what = f"a rule slices by the column `{column}`, which the hold-out does not have"
        remedy = "correct `gate.slices` on the base branch, or keep the column"
        return [], [Violation(Reason.METRIC_MISSING, what, remedy)]
    metric, slices, violations = _metric(side, rule), [], []
    values, counts = np.unique(pair.before.get(column, np.array([], dtype=np.str_)), return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        if count >= rule.minimum_rows and value not in side.slices[column]:
            note = f"the hold-out of the base has {count:,} rows of it"
            slices.append(
                SliceCompared(column, value, metric.name, 0, None, None, None, None, None, passed=False, note=note)
            )
            what = f"`{column} = {value}` has no row in the hold-out; {note}"
            remedy = "keep its rows, or remove the slice from the rule in a pull request of its own"
            violations.append(Violation(Reason.METRIC_MISSING, what, remedy))
    return slices, violations


def _metric(side: Holdout, rule: SliceRule) -> Metric:
    metrics = METRICS[side.kind]
    return next((metric for metric in metrics if metric.name == rule.metric), metrics[0])


def _judged(slices: Sequence[_Slice], drop: float | None, floor: float | None) -> list[_Slice]:
    """Return the slices of one rule with what is judged of them."""
    judged = [list[_Judged]() for _ in slices]
    for limit, figures in ((drop, [part.gain for part in slices]), (floor, [part.level for part in slices])):
        known = [n for n, figure in enumerate(figures) if figure is not None and math.isfinite(figure.daily)]
        if limit is not None:
            for number, one in zip(known, _weighed([figure for n in known if (figure := figures[n])]), strict=True):
                judged[number].append(one)
    return [replace(part, judged=tuple(some)) for part, some in zip(slices, judged, strict=True)]


def _measured(pair: Pair, rule: SliceRule) -> Iterator[_Slice]:
    prior, side = _Prior(pair), pair.whole or pair.candidate
    for column in rule.columns:
        for value in np.unique(side.slices.get(column, np.array([], dtype=np.str_))).tolist():
            rows = np.flatnonzero(pair.candidate.slices[column] == value)
            if len(rows) >= rule.minimum_rows:
                yield _one(pair, rule, (column, value), rows, prior)
                continue
            alone = np.flatnonzero(side.slices[column] == value)
            if len(alone) >= rule.minimum_rows:  # rows that the champion did not predict: only a floor can fail
                segment = _one(Pair(side, None), rule, (column, value), alone, prior)
                yield replace(segment, result=replace(segment.result, note="the base has no such rows"))


class _Prior:
    """What all rows tell of the variance: of each metric and class, of the candidate and of the gain."""

    def __init__(self, pair: Pair) -> None:
        ours = pair.candidate.measured()
        self.metrics, influences = ours.metrics, [ours.influence]
        if pair.champion is not None:
            theirs = pair.champion.measured()
            influences.append(slopes(ours) * ours.influence - slopes(theirs) * theirs.influence)
        self._of_row = [
            {
                number: (ours.classes == number).sum() * (influence[ours.classes == number] ** 2).sum(axis=0)
                for number in np.unique(ours.classes).tolist()
            }
            for influence in influences
        ]

    def variance(self, column: int, classes: NDArray[np.int64], *, gain: bool) -> float:
        """Return the variance of a metric on rows of these classes, if their rows are like all others."""
        known = self._of_row[int(gain)]
        numbers, counts = np.unique(classes, return_counts=True)
        pairs = zip(numbers.tolist(), counts.tolist(), strict=True)
        return float(sum(known[number][column] / count for number, count in pairs if number in known))


def _one(pair: Pair, rule: SliceRule, name: tuple[str, str], rows: NDArray[np.int64], prior: _Prior) -> _Slice:
    side, metric = pair.candidate, _metric(pair.candidate, rule)
    number = prior.metrics.index(metric)
    ours = side.measured(rows)
    theirs = None if pair.champion is None else pair.champion.measured(rows)
    value = float(ours.values[number])
    before = None if theirs is None else float(theirs.values[number])
    gain = None if before is None else plain(metric.merit(value) - metric.merit(before))
    shown = SliceCompared(
        *name, metric.name, len(rows), None if before is None else plain(before), plain(value), gain, None, None
    )
    fewest = int(ours.rarest.sum())
    if not math.isfinite(value):
        return _Slice(rule, metric, replace(shown, note=_UNDEFINED))
    if side.kind != "regression" and metric.rests_on == "rarest class" and fewest < rule.minimum_class_rows:
        return _Slice(rule, metric, replace(shown, note=f"not judged: {fewest} rows of the rarest class"))
    parts = (number, side, rows, prior)
    least = metric.merit(value), metric.merit(rule.floor or 0.0)
    level = _figure(ours, ours.influence[:, number], parts, least, gain=False)
    segment = _Slice(rule, metric, shown, level=level)
    if theirs is not None and before is not None:
        difference = (slopes(ours) * ours.influence - slopes(theirs) * theirs.influence)[:, number]
        limits = metric.merit(value) - metric.merit(before), -(rule.maximum_drop or 0.0)
        segment = replace(segment, gain=_figure(ours, difference, parts, limits, gain=True))
    if not math.isfinite(level.daily):
        segment = replace(segment, result=replace(shown, note="not judged: too few independent days"))
    return segment


def _figure(
    ours: Measured,
    influence: Floats,
    where: tuple[int, Holdout, NDArray[np.int64], _Prior],
    limits: tuple[float, float],
    *,
    gain: bool,
) -> _Figure:
    number, side, rows, prior = where
    days, span = side.days[rows], side.number_of_days
    known = uncertainty(by_day(influence[:, None], days, span), ours.shares(days, span)[:, [number]], fast=True)
    pooled = prior.variance(number, ours.classes, gain=gain)
    own, freedom = float((influence**2).sum()), float(ours.counts()[number]) - 1
    return _Figure(*limits, own, pooled, float(known.error[0]) ** 2, freedom)


def _with_bounds(one: _Slice, share: float) -> SliceCompared:
    for judgement in one.judged:
        if judgement.figure is one.gain:
            low, high = (plain(judgement.figure.value + way * judgement.margin(share)) for way in (-1, 1))
            return replace(one.result, low=low, high=high)
    return one.result


def _violations(one: _Slice, share: float) -> Iterator[Violation]:
    metric, rule, where = one.metric, one.rule, f"`{one.result.column} = {one.result.value}`"
    for judgement in one.judged:
        if judgement.chance > share:
            continue
        if judgement.figure is one.level:
            side = {"lower": "above", "nearer to 0": "farther from 0 than"}.get(metric.better, "below")
            value = float(one.result.candidate or 0.0)
            what = f"{titled(metric)} of {where} is {short(value)}, significantly {side} the floor of {rule.floor:g}"
            yield Violation(Reason.FLOOR_MISSED, what, BETTER_MODEL)
            continue
        least = f"by at least {short(-(judgement.figure.value + judgement.margin(share)))}, corrected for all slices"
        values = (float(one.result.champion or 0.0), float(one.result.candidate or 0.0))
        what = f"{moved(metric, f' of {where}', values, least)}. Allowed {worse(metric.better)}"
        yield Violation(Reason.SLICE_DROPPED, f"{what}: {rule.maximum_drop:g}.", BETTER_MODEL)
