"""Which windows are worse than the reference makes likely: realised, estimated, and by the gap between the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leverframe.domain.model.evaluate.metrics import Metric
from leverframe.domain.monitoring.drift_rule import AMONG, DriftRule
from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.monitoring.monitor_result import Performance, PerformancePoint, Range
from leverframe.domain.monitoring.performance import GAP, PerformanceReference, WindowPerformance, titled
from leverframe.domain.monitoring.value_band import Side, Value, ValueBand
from leverframe.settings.monitor import MonitorSettings, PerformanceSettings

_WORSE: Mapping[str, Side] = {"higher": "lower", "lower": "higher", "neither": "both"}


@dataclass(frozen=True)
class _Judged:
    """One figure over the windows: what its band says of each, None where a window is not judged."""

    name: str
    band: ValueBand
    tails: tuple[float | None, ...]
    level: float

    @property
    def beyond(self) -> list[bool]:
        return [tail is not None and tail < self.level for tail in self.tails]


def performance_facts(
    reference: PerformanceReference, windows: Mapping[str, WindowPerformance], given: MonitorSettings
) -> tuple[tuple[Performance, ...], tuple[Finding, ...]]:  # fmt: skip
    """Return every followed metric over ``windows``, oldest first, and the findings.

    A realised value is judged where enough labels are known: early labels are of other rows than late ones.
    """
    settings = given.performance
    followed = [name for name in titled(reference.kind) if _followed(name, reference, settings)]
    estimates = [series.name for series in reference.estimates if series.name in followed]
    rule = _rule(reference, followed, estimates, given)
    level = rule.alpha
    names = list(windows)
    listed: list[Performance] = []
    findings: list[Finding] = []
    for name in followed:
        metric, band = titled(reference.kind)[name], reference.band("realised", name)
        values = [_judged_value(window, name, settings) for window in windows.values()]
        judged = None if band is None else _tails(name, band, values, metric, level)
        listed.append(_series(metric, reference, windows, settings, (judged, band, level)))
        findings += _realised_findings(judged, metric, names, values, reference, rule)
    for name in estimates:
        findings += _estimate_findings(name, reference, windows, settings, (rule, level))
        findings += _gap_findings(name, reference, windows, settings, (rule, level))
    return tuple(listed), tuple(findings)


def _rule(
    reference: PerformanceReference, followed: Sequence[str], estimates: Sequence[str], settings: MonitorSettings
) -> DriftRule:
    """Return the rule for as many figures as are watched together."""
    watched = [("realised", name) for name in followed]
    watched += [(kind, name) for kind in ("estimates", "gaps") for name in estimates]
    bands = [reference.band(kind, name) for kind, name in watched]
    repeats = [0.0 if band is None else band.repeat for band in bands]
    return DriftRule.of(settings, windows=len(reference.windows), repeats=repeats)


def _followed(name: str, reference: PerformanceReference, settings: PerformanceSettings) -> bool:
    there = any(series.name == name for series in reference.realised)
    return there and (name == GAP or not settings.metrics or name in settings.metrics)


def _enough(window: WindowPerformance, settings: PerformanceSettings) -> bool:
    return window.coverage >= settings.minimum_coverage and window.labelled >= settings.minimum_rows


def _judged_value(window: WindowPerformance, name: str, settings: PerformanceSettings) -> Value | None:
    return window.realised.get(name) if _enough(window, settings) else None


def _tails(name: str, band: ValueBand, values: Sequence[Value | None], metric: Metric, level: float) -> _Judged:
    side = _WORSE[metric.better]
    return _Judged(name, band, tuple(None if value is None else band.tail(value, side) for value in values), level)


def _series(
    metric: Metric, reference: PerformanceReference, windows: Mapping[str, WindowPerformance],
    settings: PerformanceSettings, judged: tuple[_Judged | None, ValueBand | None, float],
) -> Performance:  # fmt: skip
    found, band, level = judged
    beyond = found.beyond if found else [False] * len(windows)
    points = [
        PerformancePoint(
            name, _range(window.realised.get(metric.name)), _finite(window.estimated.get(metric.name)),
            round(window.coverage, 4), _enough(window, settings), over,
        )
        for (name, window), over in zip(windows.items(), beyond, strict=True)
    ]  # fmt: skip
    noise = [window.realised[metric.name].error for window in windows.values() if metric.name in window.realised]
    typical = sorted(noise)[len(noise) // 2] if noise else 0.0
    low, high = band.ends(typical, 2 * level) if band else (None, None)
    value = reference.whole.get(metric.name)
    return Performance(
        metric.name, metric.title, metric.better, Range(value, _finite(low), _finite(high)), tuple(points)
    )


def _range(value: Value | None) -> Range:
    if value is None:
        return Range(None)
    wide = 1.96 * value.error
    return Range(_finite(value.value), _finite(value.value - wide), _finite(value.value + wide))


def _finite(value: float | None) -> float | None:
    return float(f"{value:.6g}") if value is not None and abs(value) < float("inf") else None


def _realised_findings(
    judged: _Judged | None, metric: Metric, names: Sequence[str], values: Sequence[Value | None],
    reference: PerformanceReference, rule: DriftRule,
) -> list[Finding]:  # fmt: skip
    """Return a finding where the alarm of the newest judged windows still holds."""
    alarm = _alarm(judged, names, rule)
    if judged is None or alarm is None:
        return []
    since, newest, value = alarm[0], alarm[1], values[names.index(alarm[1])]
    now = 0.0 if value is None else value.value
    if metric.name == GAP:
        return [_calibration_finding(now, since, newest, rule)]
    usual = reference.whole.get(metric.name) or 0.0
    better = "fell" if metric.better == "higher" else "rose"
    tail = judged.tails[names.index(newest)] or 0.0
    what = f"{metric.title} {better} to {now:.3f} in {newest} (reference {usual:.3f}, p = {tail:.2g})"
    advice = "see whether data quality or drift explain it; if not, train on newer data in a pull request"
    return [Finding(Kind.PERFORMANCE, metric.name, _graded(Severity.CRITICAL, rule), newest, since, what, advice)]


def _calibration_finding(gap: float, since: str, newest: str, rule: DriftRule) -> Finding:
    direction = "fewer" if gap < 0 else "more"
    what = f"labels come true {abs(gap):.3f} {direction} than predicted on average in {newest}"
    advice = "look at the base rate of the labels; where it changed for good, train again, which calibrates anew"
    return Finding(Kind.CALIBRATION, GAP, _graded(Severity.WARNING, rule), newest, since, what, advice)


def _estimate_findings(
    name: str, reference: PerformanceReference, windows: Mapping[str, WindowPerformance],
    settings: PerformanceSettings, of: tuple[DriftRule, float],
) -> list[Finding]:  # fmt: skip
    """Return a finding where the estimate leaves its band in windows whose labels are not known yet."""
    rule, level = of
    band, metric, names = reference.band("estimates", name), titled(reference.kind)[name], list(windows)
    values = [
        None if name not in window.estimated or _enough(window, settings) else Value(window.estimated[name], 0.0)
        for window in windows.values()
    ]
    judged = None if band is None else _tails(name, band, values, metric, level)
    alarm = _alarm(judged, names, rule)
    if alarm is None:
        return []
    since, newest = alarm
    what = (
        f"{metric.title} is estimated at {windows[newest].estimated[name]:.3f} in {newest}, whose labels are not known "
        f"yet (reference {reference.whole.get(name) or 0:.3f})"
    )
    advice = "the traffic has other rows than the reference: see which columns moved; labels will say whether it holds"
    severity = _graded(Severity.WARNING, rule)
    return [Finding(Kind.PERFORMANCE, f"estimated {name}", severity, newest, since, what, advice)]


def _gap_findings(
    name: str, reference: PerformanceReference, windows: Mapping[str, WindowPerformance],
    settings: PerformanceSettings, of: tuple[DriftRule, float],
) -> list[Finding]:  # fmt: skip
    """Return a finding where the realised metric is worse than its estimate on the same rows."""
    rule, level = of
    band, metric, names = reference.band("gaps", name), titled(reference.kind)[name], list(windows)
    values = [window.gaps.get(name) if _enough(window, settings) else None for window in windows.values()]
    judged = None if band is None else _tails(name, band, values, metric, level)
    alarm = _alarm(judged, names, rule)
    if alarm is None:
        return []
    since, newest = alarm
    what = (
        f"{metric.title} is {abs(windows[newest].gaps[name].value):.3f} worse in {newest} than these rows let expect: "
        "the same rows have other labels than they used to"
    )
    advice = "train on rows from after the change; more rows from before it do not help"
    return [Finding(Kind.CONCEPT, name, _graded(Severity.WARNING, rule), newest, since, what, advice)]


def _alarm(judged: _Judged | None, names: Sequence[str], rule: DriftRule) -> tuple[str, str] | None:
    """Return since when the alarm of the newest judged window holds, and that window; None without one."""
    if judged is None:
        return None
    known = [number for number, tail in enumerate(judged.tails) if tail is not None]
    beyond = [judged.beyond[number] for number in known]
    fires = rule.fires(beyond)
    if not known or not fires[-1]:
        return None
    start = len(fires) - 1
    while start > 0 and fires[start - 1]:
        start -= 1
    first = next(number for number in range(max(0, start - AMONG + 1), len(beyond)) if beyond[number])
    return names[known[first]], names[known[-1]]


def _graded(severity: Severity, rule: DriftRule) -> Severity:
    """Return the severity; an alarm of a reference with too few windows is only shown."""
    return severity if rule.rule != "uncalibrated" else Severity.INFO
