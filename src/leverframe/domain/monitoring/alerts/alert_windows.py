"""The windows of an alert as a table: the figures behind its findings, newest first."""

from __future__ import annotations

from collections.abc import Sequence

from leverframe.domain.monitoring.alerts.alert import Alert
from leverframe.domain.monitoring.finding import DRIFT, Kind
from leverframe.domain.monitoring.monitor_result import ColumnFacts, Monitored, Performance, Range
from leverframe.inert.markdown import code

WINDOWS = 14
_NAME = 80
_PERFORMANCE = (Kind.PERFORMANCE, Kind.CALIBRATION, Kind.CONCEPT)


def table(alert: Alert, monitored: Monitored) -> list[str]:
    """Return the table for the worst finding: of its column, of its metric, or of the traffic."""
    subject = alert.findings[0].subject
    column = next((facts for facts in monitored.columns if facts.name == subject), None)
    metric = next((series for series in monitored.performance if series.metric == subject), None)
    if alert.kind in _PERFORMANCE and (metric or monitored.performance):
        return _performance(metric or monitored.performance[0])
    if column:
        return _column(column, monitored, drift=alert.kind in DRIFT)
    return _traffic(monitored)


def _column(column: ColumnFacts, monitored: Monitored, *, drift: bool) -> list[str]:
    rows = {window.name: window.rows.value for window in monitored.windows}
    cells = list(reversed(column.cells[-WINDOWS:]))
    name = f"{code(column.name, _NAME)}, by window"
    if drift:
        head: Sequence[str] = (name, "rows", column.statistic, "band", "p", "beyond")
        lines: Sequence[Sequence[str]] = [
            (code(cell.window, _NAME), _number(rows.get(cell.window)), _number(cell.statistic), _number(column.band),
             _number(cell.p), "yes" if cell.beyond else "no")
            for cell in cells
        ]  # fmt: skip
    else:
        head = (name, "rows", "missing", "new")
        lines = [
            (code(cell.window, _NAME), _number(rows.get(cell.window)), _share(cell.missing), _share(cell.new))
            for cell in cells
        ]
    return _table(head, lines)


def _performance(metric: Performance) -> list[str]:
    head = (f"{code(metric.title, _NAME)}, by window", "realised", "estimated", "labels", "beyond")
    lines = [
        (code(point.window, _NAME), _interval(point.realised), _number(point.estimated), _share(point.coverage),
         ("yes" if point.beyond else "no") if point.judged else "not judged")
        for point in reversed(metric.points[-WINDOWS:])
    ]  # fmt: skip
    return _table(head, lines)


def _traffic(monitored: Monitored) -> list[str]:
    head = ("window", "rows", "expected", "requests", "refused", "failed", "p95 ms")
    lines = [
        (code(window.name, _NAME), _number(window.rows.value), _between(window.rows), str(window.requests),
         str(window.refused), str(window.failed), _number(window.latency_ms[1] if window.latency_ms else None))
        for window in reversed(monitored.windows[-WINDOWS:])
    ]  # fmt: skip
    return _table(head, lines)


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    if not lines:
        return []
    rule = ["---", *(["---:"] * (len(head) - 1))]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *lines)]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _between(value: Range) -> str:
    return f"{_number(value.low)} to {_number(value.high)}" if value.low is not None and value.high is not None else ""


def _interval(value: Range) -> str:
    return f"{_number(value.value)} ({_between(value)})" if _between(value) else _number(value.value)
