"""The traffic by window: volume, predictions, response time, refused and failed requests, labels, age of features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leverframe.domain.monitoring.dashboard.html_text import card, cards
from leverframe.domain.monitoring.dashboard.inline_svg import drawn, key
from leverframe.domain.monitoring.dashboard.window_axis import WindowAxis
from leverframe.domain.monitoring.dashboard.window_chart import Line, WindowChart, window_chart
from leverframe.domain.monitoring.monitor_result import Range, WindowFacts
from leverframe.domain.monitoring.monitor_words import figure, percent
from leverframe.inert.markup import text

_TABLES = 3  # tables whose found keys are drawn


@dataclass(frozen=True)
class _Shown:
    """A chart of values that windows have: its head, unit, and how its values are called, by their looks."""

    title: str
    unit: Callable[[float | None], str]
    lines: Sequence[Line]
    names: Sequence[str]
    expected: Sequence[Range] = ()
    bars: bool = False
    top: float | None = None
    zero: bool = True


def traffic_charts(windows: Sequence[WindowFacts], axis: WindowAxis, *, tips: bool) -> str:
    """Return the charts of volume, predictions and the server; what no window knows has none."""
    rows = [window.rows for window in windows]
    means = [window.prediction for window in windows]
    shown = [
        _Shown("rows", _count, [Line("c1", [volume.value for volume in rows])], ["rows"], rows, bars=True),
        _Shown("mean prediction", figure, [_dotted([mean.value for mean in means])], ["mean"], means, zero=False),
        _Shown("response time", _milliseconds, _latency(windows), ["median", "95th percentile"]),
        _Shown("refused and failed requests", percent, _errors(windows), ["refused", "failed"]),
    ]
    calm = sum(window.requests for window in windows) and not any(window.refused or window.failed for window in windows)
    return _charts(shown, windows, axis, tips) + ("<p>No request was refused, and none failed.</p>" if calm else "")


def source_charts(windows: Sequence[WindowFacts], axis: WindowAxis, *, tips: bool, labels: bool) -> str:
    """Return the charts of label coverage where there are ``labels``, of the age of features, and of keys found."""
    lowest = {table: min(window.missed.get(table, 1.0) for window in windows)
              for table in sorted({table for window in windows for table in window.missed})}  # fmt: skip
    tables = sorted(lowest, key=lowest.__getitem__)[:_TABLES]
    lines = [
        Line(f"c{number + 1}", [window.missed.get(table) for window in windows]) for number, table in enumerate(tables)
    ]
    names = [text(table, 30) for table in tables]
    known = [Line("c1", [window.coverage if labels else None for window in windows])]
    ages = [_dotted([window.snapshot_hours for window in windows])]
    shown = [
        _Shown("rows with a label", percent, known, ["labelled"], bars=True, top=1.0),
        _Shown("age of looked-up features", _hours, ages, ["median"]),
        _Shown("rows whose keys were found", percent, lines, names, top=1.0, zero=False),
    ]
    return _charts(shown, windows, axis, tips)


def _dotted(values: Sequence[float | None]) -> Line:
    return Line("c1", values, dots=True)


def _charts(shown: Sequence[_Shown], windows: Sequence[WindowFacts], axis: WindowAxis, tips: bool) -> str:
    over = [window.whole for window in windows]
    known = [chart for chart in shown if any(value is not None for line in chart.lines for value in line.values)]
    return cards([_figure(chart, over, axis, tips) for chart in known])


def _figure(shown: _Shown, over: Sequence[bool], axis: WindowAxis, tips: bool) -> str:
    expected = [(band.low, band.high) for band in shown.expected]
    ends = next((band for band in reversed(shown.expected) if band.low is not None and band.high is not None), None)
    newest = [_newest(line.values, over) for line in shown.lines]
    figures = [f"{words} {shown.unit(value)}" for words, value in zip(shown.names, newest, strict=True)]
    keys = [drawn(f"line {line.look}", "M1 5h16") if len(shown.lines) > 1 else "" for line in shown.lines]
    caption = " · ".join(key(sign, words, 18) if sign else words for sign, words in zip(keys, figures, strict=True))
    around = f" · <small>expected {shown.unit(ends.low)} to {shown.unit(ends.high)}</small>" if ends else ""
    texts = [_tip(shown, over[number], axis, number) for number in range(len(axis))] if tips else ()
    chart = WindowChart(
        title=f"{shown.title} by window, newest: {', '.join(figures)}", unit=shown.unit,
        lines=() if shown.bars else shown.lines, bars=_bars(shown.lines, over) if shown.bars else (), expected=expected,
        zero=shown.zero, top=shown.top, tips=texts,
    )  # fmt: skip
    return card(shown.title, caption + around, window_chart(chart, axis))


def _newest(values: Sequence[float | None], over: Sequence[bool]) -> float | None:
    """Return the newest value of a window that is over; where none is, that of the first one so far."""
    known = [(whole, value) for value, whole in zip(values, over, strict=True) if value is not None]
    return next((value for whole, value in reversed(known) if whole), known[-1][1] if known else None)


def _bars(lines: Sequence[Line], over: Sequence[bool]) -> list[Line]:
    """Return bars, those of windows that are not over in a lighter look."""
    return [
        Line(look, [value if whole is wanted else None for value, whole in zip(line.values, over, strict=True)])
        for line in lines
        for look, wanted in ((line.look, True), (f"{line.look} part", False))
    ]


def _tip(shown: _Shown, whole: bool, axis: WindowAxis, number: int) -> str:
    named = len(shown.lines) > 1  # the title says what a single line is
    values = ", ".join(
        f"{f'{words} ' if named else ''}{shown.unit(line.values[number])}"
        for line, words in zip(shown.lines, shown.names, strict=True)
    )
    return f"{axis.short(number)}: {values}{'' if whole else ', not over yet'}"


def _latency(windows: Sequence[WindowFacts]) -> list[Line]:
    known = [window.latency_ms for window in windows]
    return [
        Line("c1", [pair[0] if pair else None for pair in known]),
        Line("c2", [pair[1] if pair else None for pair in known]),
    ]


def _errors(windows: Sequence[WindowFacts]) -> list[Line]:
    """Return the shares of refused and failed requests, nothing where there was none of them."""
    if not any(window.refused or window.failed for window in windows):
        return []
    totals = [window.requests + window.refused + window.failed for window in windows]
    return [
        Line(look, [count / total if total else None for count, total in zip(counts, totals, strict=True)])
        for look, counts in (
            ("c2", [window.refused for window in windows]),
            ("c3", [window.failed for window in windows]),
        )
    ]


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f} ms" if value >= 10 else f"{value:.2g} ms"


def _hours(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} h" if value < 10 else f"{value:,.0f} h"
