"""The dashboard as one page of HTML: no script, nothing loaded, at most 150 kB, worst first.

Where a page would be larger, what matters least is left out, and the page says what.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from leverframe.domain.monitoring.dashboard.about_panel import about_panel
from leverframe.domain.monitoring.dashboard.column_panel import column_cards, column_table
from leverframe.domain.monitoring.dashboard.dashboard_style import ICON_COLORS, STYLE, SYMBOLS
from leverframe.domain.monitoring.dashboard.findings_panel import alerts_panel, findings_panel
from leverframe.domain.monitoring.dashboard.heat_map import heat_map
from leverframe.domain.monitoring.dashboard.history_panel import history_panel
from leverframe.domain.monitoring.dashboard.html_text import section
from leverframe.domain.monitoring.dashboard.performance_panel import deployments, performance_charts
from leverframe.domain.monitoring.dashboard.quality_strip import quality_strip
from leverframe.domain.monitoring.dashboard.retrain_panel import retrain_panel
from leverframe.domain.monitoring.dashboard.sources_panel import skew_table, tables_table
from leverframe.domain.monitoring.dashboard.status_panel import status_panel
from leverframe.domain.monitoring.dashboard.traffic_panel import source_charts, traffic_charts
from leverframe.domain.monitoring.dashboard.window_axis import WindowAxis
from leverframe.domain.monitoring.history import HistoryLine
from leverframe.domain.monitoring.monitor_result import Monitored
from leverframe.domain.monitoring.monitor_words import WORDS, state
from leverframe.domain.monitoring.retrain_facts import NOTHING_TRIED, RetrainFacts
from leverframe.inert.markup import name, text

LIMIT = 150_000  # bytes
_NEWEST = 3  # windows; columns beyond their band in them are shown before those that were earlier


@dataclass(frozen=True)
class _Detail:
    """How much is shown of each kind.

    ``tips`` tells whether charts have a text a window for the pointer, ``tipped`` how many metrics have one, and
    ``merged`` whether cells of the heat map that look the same share one.
    """

    windows: int
    map_rows: int
    table_rows: int
    cards: int
    metrics: int
    findings: int
    words: int
    history: int
    tipped: int
    tips: bool
    merged: bool


_DETAILS = (
    _Detail(120, 60, 60, 9, 8, 40, 900, 400, 8, tips=True, merged=False),
    _Detail(120, 60, 40, 6, 8, 40, 900, 400, 2, tips=True, merged=False),
    _Detail(120, 60, 40, 6, 8, 40, 900, 400, 0, tips=False, merged=False),
    _Detail(120, 60, 40, 6, 8, 30, 600, 180, 0, tips=False, merged=True),
    _Detail(90, 30, 15, 4, 6, 15, 500, 120, 0, tips=False, merged=True),
    _Detail(45, 15, 8, 3, 4, 10, 400, 0, 0, tips=False, merged=True),
    _Detail(20, 8, 5, 2, 3, 6, 300, 0, 0, tips=False, merged=True),
)


def page(monitored: Monitored, history: Sequence[HistoryLine] = (), retraining: RetrainFacts = NOTHING_TRIED) -> str:
    """Return the dashboard of a run, the same bytes for the same input; ``history`` are lines of any runs."""
    own = [line for line in history if (line.model, line.environment) == (monitored.model, monitored.environment)]
    asked = [number for number, window in enumerate(monitored.windows) if window.requests]
    first = asked[0] if asked else 0
    begun = replace(monitored, windows=monitored.windows[first:])
    if first:
        begun = replace(begun, notes=(*begun.notes, f"{first:,} windows before the first request are not shown"))
    for detail in _DETAILS:
        whole = _page(begun, own, retraining, detail)
        if len(whole.encode()) <= LIMIT:
            break
    return whole


def _page(monitored: Monitored, history: Sequence[HistoryLine], retraining: RetrainFacts, detail: _Detail) -> str:
    windows = monitored.windows[-detail.windows :]
    axis = WindowAxis.of(windows, monitored.releases, 12, retraining.tried)
    sections = [
        findings_panel(monitored.findings, detail.findings, detail.words),
        alerts_panel(monitored.alerts, detail.findings),
        retrain_panel(retraining, monitored.at, detail.table_rows, detail.words),
        *([_performance(monitored, axis, detail), _quality(monitored, history, axis, detail),
           _drift(monitored, axis, detail), _traffic(monitored, axis, detail)] if windows else [_nothing(monitored)]),
        _sources(monitored, axis, detail),
        history_panel(monitored, history, _longer(monitored, history, detail)),
        about_panel(monitored, _left_out(monitored, history, detail), detail.table_rows),
    ]  # fmt: skip
    title = f"{WORDS[state(monitored)]}: {text(monitored.model, 100)} in {text(monitored.environment, 60)}"
    return _framed(
        title, status_panel(monitored) + "<main>" + "".join(sections) + "</main>", ICON_COLORS[state(monitored)]
    )


def _framed(title: str, body: str, color: str) -> str:
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    circle = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'><circle cx='4' cy='4' r='4' fill='#{color}'/></svg>"
    )
    shape = circle.replace("<", "%3C").replace(">", "%3E").replace("#", "%23")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer"><meta name="color-scheme" content="light dark">'
        f"<title>{title}</title>"
        f'<link rel="icon" href="data:image/svg+xml,{shape}"><style>{STYLE}</style></head>\n'
        f"<body>{SYMBOLS}{body}</body></html>\n"
    )


def _nothing(monitored: Monitored) -> str:
    words = (
        f"<p>There are no closed files with requests of this model in {name(monitored.provenance.log, 200)}. Once the "
        "server has closed a log file, the next run shows data quality, drift and performance here.</p>"
    )
    return section("quality", "No window yet", words)


def _performance(monitored: Monitored, axis: WindowAxis, detail: _Detail) -> str:
    charts = performance_charts(monitored.performance[: detail.metrics], axis, tips=detail.tipped)
    if not charts:
        charts = (
            "<p>Neither labels nor estimates: set <code>monitor.labels</code> in leverframe.yaml to see them here.</p>"
        )
    return section("performance", "Performance", charts + deployments(axis))


def _quality(monitored: Monitored, history: Sequence[HistoryLine], axis: WindowAxis, detail: _Detail) -> str:
    windows = monitored.windows[-detail.windows :]
    return section("quality", "Data quality", quality_strip(windows, axis, monitored.findings, history))


def _drift(monitored: Monitored, axis: WindowAxis, detail: _Detail) -> str:
    if not monitored.columns:
        return section("drift", "Drift", "<p>No column was compared.</p>")
    odd = [column for column in monitored.columns if any(cell.beyond for cell in column.cells[-len(axis) :])]
    odd.sort(key=lambda column: not any(cell.beyond for cell in column.cells[-_NEWEST:]))
    moved = odd[: detail.cards] or monitored.columns[: min(3, detail.cards)]
    heading = "Columns beyond their band" if odd else "No column is beyond its band; the three closest to it"
    figures = monitored.columns[: detail.table_rows]
    table = f"<details><summary>Figures of {len(figures):,} columns</summary>{column_table(figures)}</details>"
    drawn = heat_map(monitored.columns[: detail.map_rows], axis, merged=detail.merged)
    return section("drift", "Drift", f"{drawn}<h3>{heading}</h3>{column_cards(moved)}{table}")


def _traffic(monitored: Monitored, axis: WindowAxis, detail: _Detail) -> str:
    charts = traffic_charts(monitored.windows[-detail.windows :], axis, tips=detail.tips)
    return section("traffic", "Traffic and server", charts or "<p>No window has requests.</p>")


def _sources(monitored: Monitored, axis: WindowAxis, detail: _Detail) -> str:
    charts = source_charts(
        monitored.windows[-detail.windows :], axis, tips=detail.tips, labels=bool(monitored.provenance.labels)
    )
    skew = skew_table(monitored.skew, detail.table_rows)
    recomputed = f"<h3>Training-serving skew</h3>{skew}" if skew else ""
    labels = section("labels", "Labels and features", charts + recomputed)
    return labels + section("tables", "Upstream tables", tables_table(monitored.tables, detail.table_rows))


def _left_out(monitored: Monitored, history: Sequence[HistoryLine], detail: _Detail) -> list[str]:
    """Return what the page would be too large with."""
    counts = [
        (len(monitored.windows) - detail.windows, "older windows"),
        (len(monitored.columns) - detail.map_rows, "columns that are less beyond their band"),
        (len(monitored.performance) - detail.metrics, "metrics"),
    ]
    notes = [f"{count:,} {words} are left out to keep this page small" for count, words in counts if count > 0]
    if detail.tipped < min(detail.metrics, len(monitored.performance)):
        where = "some charts" if detail.tips else "the charts"
        notes.append(f"figures of single windows are left out of {where} to keep this page small")
    notes = [f"{note}; monitor.json has them" for note in notes]
    known, shown = len({line.window for line in history}), _longer(monitored, history, detail)
    if known > max(shown, len(monitored.windows)):
        what = f"{known - shown:,} older windows of the longer view are" if shown else "the longer view is"
        notes.append(f"{what} left out to keep this page small; history.jsonl has all")
    return notes


def _longer(monitored: Monitored, history: Sequence[HistoryLine], detail: _Detail) -> int:
    """Return how many windows the longer view has; 0 where it would show no more than the charts above it."""
    known = len({line.window for line in history})
    shown = min(known, detail.history)
    return shown if known > len(monitored.windows) and shown > min(len(monitored.windows), detail.windows) else 0
