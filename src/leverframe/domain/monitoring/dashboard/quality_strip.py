"""Data quality at a glance: a row a kind of finding, a cell a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leverframe.domain.monitoring.dashboard.cell_grid import GridCell, GridRow, cell_grid, swatch
from leverframe.domain.monitoring.dashboard.window_axis import WindowAxis
from leverframe.domain.monitoring.finding import QUALITY, RANK, Finding, Kind, Severity
from leverframe.domain.monitoring.history import HistoryLine
from leverframe.domain.monitoring.monitor_result import WindowFacts
from leverframe.domain.monitoring.monitor_words import KINDS
from leverframe.inert.markup import text

SHOWN = tuple(kind for kind in Kind if (kind in QUALITY and kind is not Kind.TABLE) or kind is Kind.SERVER)
LEGEND = (
    '<p class="legend">' + swatch("ok", "no finding") + swatch("info", "info") + swatch("warning", "warning", "dot")
    + swatch("critical", "critical", "cross") + "<span>blank: no requests</span></p>"
)  # fmt: skip
_MARK = {Severity.WARNING: "dot", Severity.CRITICAL: "cross"}
_Found = dict[tuple[str, str], dict[str, Severity]]  # severities of subjects by kind and window


def quality_strip(
    windows: Sequence[WindowFacts], axis: WindowAxis, findings: Sequence[Finding], history: Sequence[HistoryLine]
) -> str:
    """Return the strip: what this run found, and where it says nothing of a window, what earlier runs found there."""
    severities = _found(windows, findings, history)
    rows = [GridRow("all kinds", [_overall(window, severities) for window in windows])]
    rows += [GridRow(KINDS[kind], [_cell(severities.get((kind.value, window.name), {}), window) for window in windows])
             for kind in SHOWN]  # fmt: skip
    odd = sum(window.quality is not None for window in windows)
    return cell_grid(rows, axis, f"data quality of {len(windows)} windows, {odd} with findings") + LEGEND


def _found(windows: Sequence[WindowFacts], findings: Sequence[Finding], history: Sequence[HistoryLine]) -> _Found:
    severities: _Found = {}

    def add(kind: str, subject: str, window: str, severity: Severity) -> None:
        subjects = severities.setdefault((kind, window), {})
        worst = subjects.get(subject, severity)
        subjects[subject] = max(worst, severity, key=RANK.__getitem__)

    for finding in findings:
        for window in windows:
            if finding.since <= window.name <= finding.window:
                add(finding.kind.value, finding.subject, window.name, finding.severity)
    names = {window.name for window in windows}
    for line in history:
        if line.window in names:
            for key, value in line.findings.items():
                kind, _, subject = key.partition(":")
                if value in set(Severity):
                    add(kind, subject, line.window, Severity(value))
    return severities


def _overall(window: WindowFacts, severities: _Found) -> GridCell:
    kinds = [severity for kind in SHOWN for severity in severities.get((kind.value, window.name), {}).values()]
    known = [*kinds, *([window.quality] if window.quality else [])]
    if not known:
        return _calm(window)
    worst = max(known, key=RANK.__getitem__)
    return GridCell(worst.value, worst.value, _MARK.get(worst, ""))


def _cell(subjects: Mapping[str, Severity], window: WindowFacts) -> GridCell:
    if not subjects:
        return _calm(window)
    worst = max(subjects.values(), key=RANK.__getitem__)
    named = ", ".join(text(subject, 40) for subject in list(subjects)[:4] if subject)
    more = f" and {len(subjects) - 4:,} more" if len(subjects) > 4 else ""
    return GridCell(worst.value, f"{worst.value}{': ' if named else ''}{named}{more}", _MARK.get(worst, ""))


def _calm(window: WindowFacts) -> GridCell:
    return GridCell("ok", "no finding", calm=True) if window.requests else GridCell("none", "no requests", calm=True)
