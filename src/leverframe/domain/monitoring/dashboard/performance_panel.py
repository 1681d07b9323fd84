"""Performance by window: realised where labels are known, estimated where not, and the band of the reference."""

from __future__ import annotations

from collections.abc import Sequence

from leverframe.domain.monitoring.dashboard.html_text import card, cards
from leverframe.domain.monitoring.dashboard.inline_svg import drawn, key
from leverframe.domain.monitoring.dashboard.window_axis import WindowAxis
from leverframe.domain.monitoring.dashboard.window_chart import Line, WindowChart, window_chart
from leverframe.domain.monitoring.monitor_result import Performance, PerformancePoint
from leverframe.domain.monitoring.monitor_words import figure, percent
from leverframe.inert.markup import text

_LEGEND = "".join([
    key(drawn("line c1", "M1 7h20") + drawn("dot c1", "M11 7h0"), "realised, with its 95% interval", 22),
    key(drawn("ring c1", "M4 7a3 3 0 1 0 6 0a3 3 0 1 0-6 0"), "too few labels to judge"),
    key(drawn("odd c1", "M2 7l5-5l5 5l-5 5z"), "outside of the band"),
    key(drawn("line c2", "M1 7h20"), "estimated without labels", 22),
    key(drawn("band", "M1 2h20v10H1z"), "expected", 22),
    key(drawn("deployed", "M7 14V6m-3.5-5h7l-3.5 5z"), "deployment"),
])  # fmt: skip
_RETRAINED = key(drawn("deployed", "M7 14V7m-3-3a3 3 0 1 0 6 0a3 3 0 1 0-6 0z"), "retraining")
_NAMED = 4  # deployments
_DIRECTION = {"higher": "higher is better", "lower": "lower is better", "neither": "should not move",
              "nearer to 0": "nearer to 0 is better"}  # fmt: skip


def performance_charts(performance: Sequence[Performance], axis: WindowAxis, *, tips: int) -> str:
    """Return a chart for each metric, in order; the first ``tips`` have a text a window for the pointer."""
    tried = any(marker.kind == "retrained" for marker in axis.markers)
    legend = _LEGEND + (_RETRAINED if tried else "")
    return cards([_chart(series, axis, number < tips) for number, series in enumerate(performance)], legend)


def deployments(axis: WindowAxis) -> str:
    """Return the newest deployments and attempts to retrain in words, for those who have no pointer."""
    deployed = [marker.words for marker in axis.markers if marker.kind == "deployed"]
    tried = [marker.words for marker in axis.markers if marker.kind == "retrained"]
    named = f'<p class="left">Deployments: {"; ".join(deployed[-_NAMED:])}.</p>' if deployed else ""
    return named + (f'<p class="left">Attempts: {"; ".join(tried[-_NAMED:])}.</p>' if tried else "")


def _chart(series: Performance, axis: WindowAxis, tips: bool) -> str:
    by_window = {point.window: point for point in series.points}
    points = [by_window.get(window) for window in axis.names]
    known = [point for point in points if point is not None and point.judged and point.realised.value is not None]
    band = (series.reference.low, series.reference.high)
    newest = known[-1] if known else None
    caption = (
        f"{figure(newest.realised.value)} <small>in {text(newest.window, 24)}{_between(', expected ', *band)}</small>"
        if newest
        else "<small>no window has enough labels</small>"
    )
    realised = Line(
        "c1", [point.realised.value if point else None for point in points],
        [(point.realised.low, point.realised.high) if point else (None, None) for point in points], dots=True,
        hollow=frozenset(number for number, point in enumerate(points) if point and not point.judged),
        odd=frozenset(number for number, point in enumerate(points) if point and point.beyond),
    )  # fmt: skip
    estimated = Line("c2", [point.estimated if point else None for point in points])
    odd = sum(point.beyond for point in points if point)
    title = text(series.title, 60)
    chart = WindowChart(
        title=f"{title} by window: {len(known)} of {len(axis)} windows judged, {odd} outside of the band",
        unit=figure, lines=[estimated, realised], expected=[band] * len(axis),
        tips=[_tip(axis.short(number), point) for number, point in enumerate(points)] if tips else (),
    )  # fmt: skip
    return card(f"{title} <small>{_DIRECTION[series.better]}</small>", caption, window_chart(chart, axis))


def _between(words: str, low: float | None, high: float | None) -> str:
    """Return both ends of an interval after some words; nothing where one is not known."""
    return f"{words}{figure(low)} to {figure(high)}" if low is not None and high is not None else ""


def _tip(window: str, point: PerformancePoint | None) -> str:
    if point is None:
        return f"{window}: not computed"
    realised = point.realised
    ends = _between("", realised.low, realised.high)
    spread = f" ({ends})" if ends else ""
    return (
        f"{window}: {figure(realised.value)}{spread}, estimated {figure(point.estimated)}"
        f"{'' if point.judged else f', not judged: labels of {percent(point.coverage)}'}"
    )
