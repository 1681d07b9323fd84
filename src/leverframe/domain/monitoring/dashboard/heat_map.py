"""Columns by windows: how far each column is beyond its band, worst columns first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leverframe.domain.monitoring.dashboard.cell_grid import GridCell, GridRow, cell_grid, swatch
from leverframe.domain.monitoring.dashboard.window_axis import WindowAxis
from leverframe.domain.monitoring.finding import Severity
from leverframe.domain.monitoring.monitor_result import Cell, ColumnFacts
from leverframe.domain.monitoring.monitor_words import figure, percent
from leverframe.inert.markup import name, text

_ROOM = 12  # letters that stand beside the map of a phone
MARKS = {Severity.CRITICAL: "cross", Severity.WARNING: "dot"}
LEGEND = (
    '<p class="legend">'
    + swatch("h1", "within the band")
    + swatch("h2", "close to it")
    + swatch("h3", "beyond")
    + swatch("h4", "beyond 1.5 times")
    + swatch("h5", "beyond 3 times")
    + swatch("h0", "no band")
    + swatch("h4", "warning", "dot")
    + swatch("h5", "critical", "cross")
    + "<span>blank: not computed</span></p>"
)


def heat_map(columns: Sequence[ColumnFacts], axis: WindowAxis, *, merged: bool) -> str:
    """Return the map of columns in their order; ``merged`` draws neighbours of one shade as one cell."""
    rows = [GridRow(_named(column), _cells(column, axis, merged), _whole(column)) for column in columns]
    odd = sum(any(cell.beyond for cell in column.cells) for column in columns)
    title = f"{len(columns)} columns by {len(axis)} windows; {odd} columns were beyond their band at least once"
    return cell_grid(rows, axis, title) + LEGEND


def _named(column: ColumnFacts) -> str:
    sign = "" if column.role in ("feature", column.name) else " <small>prediction</small>"
    return name(column.name, 60) + sign


def _whole(column: ColumnFacts) -> str:
    """Return the name of a column that a phone has no room for."""
    return text(column.name, 120) if len(column.name) > _ROOM else ""


def _cells(column: ColumnFacts, axis: WindowAxis, merged: bool) -> list[GridCell]:
    known: Mapping[str, Cell] = {cell.window: cell for cell in column.cells}
    return [_cell(column, known.get(window), merged) for window in axis.names]


def _cell(column: ColumnFacts, cell: Cell | None, merged: bool) -> GridCell:
    if cell is None or (cell.statistic is None and cell.severity is None):
        return GridCell("none", "not computed", calm=True)
    mark = MARKS.get(cell.severity, "") if cell.severity else ""
    if cell.statistic is None:
        return GridCell(cell.severity.value if cell.severity else "none", f"not computed{_more(cell)}", mark)
    look = shade(cell.statistic, column.band, beyond=cell.beyond)
    band = f", band {figure(column.band)}" if column.band is not None and cell.beyond else ""
    chance = f", p {figure(cell.p)}" if cell.p is not None and cell.beyond else ""
    words = f"{text(column.statistic, 20)} {figure(cell.statistic)}{band}{chance}{_more(cell)}"
    return GridCell(look, words, mark, merged or (not cell.beyond and not mark), cell.statistic)


def shade(statistic: float, band: float | None, *, beyond: bool) -> str:
    """Return the look of a statistic: its ratio to the band in steps, none of which crosses what ``beyond`` says."""
    if band is None or band <= 0:
        return "h4" if beyond else "h0"
    ratio = statistic / band
    if beyond:
        return "h5" if ratio >= 3 else "h4" if ratio >= 1.5 else "h3"
    return "h1" if ratio < 0.8 else "h2"


def _more(cell: Cell) -> str:
    parts = [
        f"{percent(share)} {words}" for share, words in ((cell.missing, "missing"), (cell.new, "new")) if share >= 0.01
    ]
    return "".join(f", {part}" for part in parts)
