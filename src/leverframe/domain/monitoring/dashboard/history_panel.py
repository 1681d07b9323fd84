"""What earlier runs found in windows that this run no longer looks at."""

from __future__ import annotations

from collections.abc import Sequence

from leverframe.domain.monitoring.dashboard.cell_grid import GridCell, GridRow, cell_grid
from leverframe.domain.monitoring.dashboard.html_text import card, cards, section
from leverframe.domain.monitoring.dashboard.window_axis import WindowAxis
from leverframe.domain.monitoring.dashboard.window_chart import Line, WindowChart, window_chart
from leverframe.domain.monitoring.finding import RANK, Severity
from leverframe.domain.monitoring.history import HistoryLine
from leverframe.domain.monitoring.monitor_result import Monitored
from leverframe.domain.monitoring.monitor_words import figure
from leverframe.inert.markup import text
from leverframe.words import first_few

_METRICS = 2  # that are drawn


def history_panel(monitored: Monitored, history: Sequence[HistoryLine], most: int) -> str:
    """Return the last ``most`` windows of the history: a strip of findings, and what was realised."""
    if not most:
        return ""
    names = list(dict.fromkeys(line.window for line in sorted(history, key=lambda line: line.start)))[-most:]
    axis = WindowAxis(tuple(names))
    traffic = {line.window: line for line in history if line.part == "traffic"}
    realised = {line.window: line for line in history if line.part == "performance"}
    cells = [_cell([line for line in (traffic.get(name), realised.get(name)) if line]) for name in names]
    strip = cell_grid([GridRow("findings", cells)], axis, f"findings in {len(names)} windows")
    charts = [
        _chart("rows", [float(traffic[name].rows) if name in traffic else None for name in names], axis, bars=True)
    ]
    for series in monitored.performance[:_METRICS]:
        values = [realised[name].metrics.get(series.metric) if name in realised else None for name in names]
        if any(value is not None for value in values):
            charts.append(_chart(text(series.title, 60), values, axis, bars=False))
    words = f"<p>{len(names):,} windows, each as it was judged then.</p>"
    return section("history", "Longer view", words + strip + cards(charts))


def _cell(lines: Sequence[HistoryLine]) -> GridCell:
    severities = {
        key: Severity(value) for line in lines for key, value in line.findings.items() if value in set(Severity)
    }
    if not severities:
        return GridCell("ok", "no finding", calm=True)
    worst = max(severities.values(), key=RANK.__getitem__)
    named = first_few([text(key, 40) for key in severities], 3)
    mark = {Severity.WARNING: "dot", Severity.CRITICAL: "cross"}.get(worst, "")
    return GridCell(worst.value, f"{worst.value}: {named}", mark)


def _chart(title: str, values: Sequence[float | None], axis: WindowAxis, *, bars: bool) -> str:
    newest = next((value for value in reversed(values) if value is not None), None)
    line = [Line("c1", values)]
    chart = WindowChart(
        f"{title} in {len(axis)} windows, newest {figure(newest)}",
        figure,
        () if bars else line,
        line if bars else (),
        zero=bars,
    )
    return card(title, f"newest {figure(newest)}", window_chart(chart, axis))
