"""Which windows are worse than the reference makes likely: realised, estimated, and by the gap between the two.

Two rules share the allowed false alarms. One looks at single windows as the rule of drift does; the other at the mean
of the realised values of the last ``MEAN_OF`` windows, which finds a decay that no single window shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from leverframe.domain.model.evaluate.metrics import Metric
from leverframe.domain.model.evaluate.scores import plain
from leverframe.domain.monitoring.drift_rule import AMONG, PER_MONTH, DriftRule
from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.monitoring.monitor_result import Performance, PerformancePoint, Range
from leverframe.domain.monitoring.performance import GAP, PerformanceReference, WindowPerformance, titled
from leverframe.domain.monitoring.value_band import Side, Value, ValueBand
from leverframe.settings.monitor import MonitorSettings, PerformanceSettings

MEAN_OF, _LEAST = 28, 7  # windows whose mean is judged, at most and at least
_LOOKS = 5  # means of overlapping windows in a month are as many independent ones, by simulation
_WORSE: Mapping[str, Side] = {"higher": "lower", "lower": "higher", "neither": "both"}

_Part = Literal["realised", "estimates", "gaps"]


@dataclass(frozen=True)
class _Alarm:
    """An alarm that holds in the newest judged window: since when, its value there, or the mean since then."""

    since: str
    newest: str
    value: float
    tail: float
    mean_of: int = 1

    @property
    def when(self) -> str:
        """The windows that it is about, in words."""
        return f"in {self.newest}" if self.mean_of == 1 else f"on average over {self.mean_of} windows to {self.newest}"


@dataclass(frozen=True)
class _Figure:
    """One figure over the windows, None where it is not judged, with its band; None where the reference has none."""

    part: _Part
    metric: Metric
    band: ValueBand | None
    values: Mapping[str, Value | None]

    @property
    def side(self) -> Side:
        """On which side it is bad."""
        return _WORSE[self.metric.better]

    def tails(self) -> dict[str, float | None]:
        """Return how likely each window is without a change."""
        band = self.band
        return {
            name: None if value is None or band is None else band.tail(value, self.side)
            for name, value in self.values.items()
        }


@dataclass(frozen=True)
class _Rule:
    """The rule for single windows, and the level for their mean."""

    single: DriftRule
    of_mean: float

    @classmethod
    def of(cls, settings: MonitorSettings, figures: Sequence[_Figure]) -> _Rule:
        """Return the rule for as many figures as are watched together; each half may alarm as often as the other."""
        half = settings.false_alarms_per_month / 2
        bands = [figure.band for figure in figures if figure.band is not None]
        single = DriftRule.of(settings.model_copy(update={"false_alarms_per_month": half}), bands)
        looks = max(1.0, _LOOKS * PER_MONTH[settings.window] / PER_MONTH["day"])
        followed = sum(figure.part == "realised" for figure in figures)
        return cls(single, half / (looks * max(1, followed)))

    def graded(self, severity: Severity) -> Severity:
        """Return the severity; an alarm of a reference with too few windows is only shown."""
        return severity if self.single.rule != "uncalibrated" else Severity.INFO

    def alarm(self, figure: _Figure) -> _Alarm | None:
        """Return the alarm that holds in the newest judged window, of single windows before that of their mean."""
        known = [(name, tail) for name, tail in figure.tails().items() if tail is not None]
        if not known:
            return None
        newest, tail = known[-1]
        value = figure.values[newest]
        since = self._since([tail < self.single.alpha for _, tail in known])
        if since is not None and value is not None:
            return _Alarm(known[since][0], newest, value.value, tail)
        return self._decay(figure, [name for name, _ in known][-MEAN_OF:]) if figure.part == "realised" else None

    def _since(self, beyond: Sequence[bool]) -> int | None:
        fires = self.single.fires(beyond)
        if not fires[-1]:
            return None
        start = len(fires) - 1
        while start > 0 and fires[start - 1]:
            start -= 1
        return next(number for number in range(max(0, start - AMONG + 1), len(beyond)) if beyond[number])

    def _decay(self, figure: _Figure, names: Sequence[str]) -> _Alarm | None:
        values = [value for name in names if (value := figure.values[name]) is not None]
        if figure.band is None or len(values) < _LEAST:
            return None
        tail = figure.band.tail_of_mean(values, figure.side)
        mean = sum(point.value for point in values) / len(values)
        return _Alarm(names[0], names[-1], mean, tail, len(values)) if tail < self.of_mean else None


def performance_facts(
    reference: PerformanceReference, windows: Mapping[str, WindowPerformance], settings: MonitorSettings
) -> tuple[tuple[Performance, ...], tuple[Finding, ...]]:
    """Return every followed metric over ``windows``, oldest first, and the findings.

    A realised value is judged where enough labels are known: early labels are of other rows than late ones.
    """
    figures = _figures(reference, windows, settings.performance)
    rule = _Rule.of(settings, figures)
    realised = [figure for figure in figures if figure.part == "realised"]
    listed = tuple(_series(figure, reference, windows, settings.performance, rule) for figure in realised)
    findings = (_finding(figure, rule) for figure in figures)
    return listed, tuple(finding for finding in findings if finding is not None)


def _figures(
    reference: PerformanceReference, windows: Mapping[str, WindowPerformance], settings: PerformanceSettings
) -> list[_Figure]:
    figures = []
    enough = {name: _enough(window, settings) for name, window in windows.items()}
    metrics = titled(reference.kind)
    chosen = [name for name in metrics if not settings.metrics or name in (*settings.metrics, GAP)]
    there = {part: {series.name for series in getattr(reference, part)} for part in ("realised", "estimates", "gaps")}
    for name in chosen:
        values: dict[_Part, dict[str, Value | None]] = {
            "realised": {key: window.realised.get(name) if enough[key] else None for key, window in windows.items()},
            # Where labels are known they say more than an estimate.
            "estimates": {key: None if enough[key] else _estimated(window, name) for key, window in windows.items()},
            "gaps": {key: window.gaps.get(name) if enough[key] else None for key, window in windows.items()},
        }
        figures += [
            _Figure(part, metrics[name], reference.band(part, name), given)
            for part, given in values.items()
            if name in there[part]
        ]
    return figures


def _enough(window: WindowPerformance, settings: PerformanceSettings) -> bool:
    return window.coverage >= settings.minimum_coverage and window.labelled >= settings.minimum_rows


def _estimated(window: WindowPerformance, name: str) -> Value | None:
    return Value(window.estimated[name], 0.0) if name in window.estimated else None


def _series(
    figure: _Figure, reference: PerformanceReference, windows: Mapping[str, WindowPerformance],
    settings: PerformanceSettings, rule: _Rule,
) -> Performance:  # fmt: skip
    metric, tails = figure.metric, figure.tails()
    points = []
    for name, window in windows.items():
        tail = tails[name]
        points.append(
            PerformancePoint(
                name, _range(window.realised.get(metric.name)), _finite(window.estimated.get(metric.name)),
                round(window.coverage, 4), _enough(window, settings) and metric.name in window.realised,
                tail is not None and tail < rule.single.alpha,
            )
        )  # fmt: skip
    noise = sorted(window.realised[metric.name].error for window in windows.values() if metric.name in window.realised)
    typical = noise[len(noise) // 2] if noise else 0.0
    low, high = figure.band.ends(typical, 2 * rule.single.alpha) if figure.band else (None, None)
    expected = Range(reference.whole.get(metric.name), _finite(low), _finite(high))
    return Performance(metric.name, metric.title, metric.better, expected, tuple(points))


def _range(value: Value | None) -> Range:
    """Return a value with its 95 % interval."""
    if value is None:
        return Range(None)
    wide = 1.96 * value.error
    return Range(_finite(value.value), _finite(value.value - wide), _finite(value.value + wide))


def _finite(value: float | None) -> float | None:
    return None if value is None else plain(value)


def _finding(figure: _Figure, rule: _Rule) -> Finding | None:
    alarm = rule.alarm(figure)
    if alarm is None:
        return None
    kind, subject, severity, what, advice = _words(figure, alarm)
    return Finding(kind, subject, rule.graded(severity), alarm.newest, alarm.since, what, advice)


def _words(figure: _Figure, alarm: _Alarm) -> tuple[Kind, str, Severity, str, str]:
    """Return what a finding of a figure says: kind, subject, severity, what and what to do."""
    name, title = figure.metric.name, figure.metric.title
    reference = "" if figure.band is None else f"{figure.band.usual:.3f} is usual, "
    if figure.part == "gaps":
        return (
            Kind.CONCEPT, name, Severity.WARNING,
            f"{title} is {abs(alarm.value):.3f} worse {alarm.when} than these rows let expect (p = {alarm.tail:.2g}): "
            "the same rows have other labels than they used to",
            "train on rows from after the change; more rows from before it do not help",
        )  # fmt: skip
    if figure.part == "estimates":
        return (
            Kind.PERFORMANCE, f"estimated {name}", Severity.WARNING,
            f"{title} is estimated at {alarm.value:.3f} {alarm.when}, where labels are not known yet "
            f"({reference}p = {alarm.tail:.2g})",
            "the traffic has other rows than the reference: see which columns moved; labels will say whether it holds",
        )  # fmt: skip
    if name == GAP:
        direction = "less" if alarm.value < 0 else "more"
        return (
            Kind.CALIBRATION, GAP, Severity.WARNING,
            f"labels come true {abs(alarm.value):.3f} {direction} often than predicted {alarm.when} "
            f"(p = {alarm.tail:.2g})",
            "look at the base rate of the labels; where it changed for good, train again, which calibrates anew",
        )  # fmt: skip
    moved = "fell" if figure.metric.better == "higher" else "rose"
    return (
        Kind.PERFORMANCE, name, Severity.CRITICAL,
        f"{title} {moved} to {alarm.value:.3f} {alarm.when} ({reference}p = {alarm.tail:.2g})",
        "see whether data quality or drift explain it; if not, train on newer data in a pull request",
    )  # fmt: skip
