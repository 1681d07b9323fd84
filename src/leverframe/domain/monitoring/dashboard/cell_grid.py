"""Rows of cells, one a window: what the strip of data quality and the heat map of columns are drawn with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from leverframe.domain.monitoring.dashboard.inline_svg import drawn, key, picture, place
from leverframe.domain.monitoring.dashboard.window_axis import WindowAxis

PITCH = 20.0  # height of a row, as in the style sheet
HEAD = 18.0
_MARKS = {"dot": "h0", "cross": "m-2.5-2.5l5 5m0-5l-5 5"}


@dataclass(frozen=True)
class GridCell:
    """A cell: its look, a class of the style sheet, escaped words for the pointer, and a mark on it.

    Neighbours of one look that are ``calm`` are drawn as one, with the words of the one of the greatest ``value``.
    """

    look: str
    words: str
    mark: str = ""
    calm: bool = False
    value: float = 0.0


@dataclass(frozen=True)
class GridRow:
    """A row: its name as HTML, a cell for each window, and the whole name as escaped text where it may be cut off."""

    name: str
    cells: Sequence[GridCell]
    whole: str = ""


def cell_grid(rows: Sequence[GridRow], axis: WindowAxis, title: str) -> str:
    """Return rows of cells with their names on the left; what is too wide scrolls, and the newest is seen first.

    ``title`` is escaped text that says what is to be seen.
    """
    wide = min(28.0, max(9.0, round(900 / max(1, len(axis)))))
    width, height = wide * max(1, len(axis)), HEAD + PITCH * len(rows)
    names = "".join(f"<li{_title(row.whole)}>{row.name}</li>" for row in rows)
    content = [axis.labels(0, width, 12, 66)]
    for number, row in enumerate(rows):
        content.append(_row(row.cells, axis, HEAD + PITCH * (number + 0.5), wide))
    content += [
        drawn("deployed", f"M{place(marker.where * wide)} {place(HEAD)}V{place(height)}", marker.words)
        for marker in axis.markers
    ]
    drawing = picture(width, height, title, "".join(content))
    scroll = f'<div class="scroll newest" tabindex="0" role="region" aria-label="{title}">{drawing}</div>'
    return f'<div class="grid"><ol>{names}</ol>{scroll}</div>'


def _title(words: str) -> str:
    return f' title="{words}"' if words else ""


def _row(cells: Sequence[GridCell], axis: WindowAxis, y: float, wide: float) -> str:
    parts, marks = [], {"dot": "", "cross": ""}
    for first, run in _runs(cells):
        count = len(run)
        tip = max(run, key=lambda cell: cell.value).words
        where = axis.full(first) if count == 1 else f"{axis.full(first)} to {axis.full(first + count - 1)}"
        most = "" if count == 1 or run[0].value == run[-1].value == 0 else "at most "
        shape = f"M{place(first * wide)} {place(y)}h{place(count * wide - 1)}"
        parts.append(drawn(run[0].look, shape, f"{where}: {most}{tip}"))
        if run[0].mark:
            marks[run[0].mark] += "".join(
                f"M{place((first + number + 0.5) * wide - 0.5)} {place(y)}{_MARKS[run[0].mark]}"
                for number in range(count)
            )
    return "".join(parts) + "".join(drawn(f"mark {kind}", shape) for kind, shape in marks.items())


def _runs(cells: Sequence[GridCell]) -> Iterator[tuple[int, list[GridCell]]]:
    numbered = enumerate(cells)
    for _, run in groupby(numbered, key=lambda pair: (pair[1].look, pair[1].mark, -1 if pair[1].calm else pair[0])):
        listed = list(run)
        yield listed[0][0], [cell for _, cell in listed]


def swatch(look: str, words: str, mark: str = "") -> str:
    """Return an entry of a legend."""
    sign = drawn(f"mark {mark}", f"M8 7{_MARKS[mark]}") if mark else ""
    return key(drawn(look, "M1 7h14") + sign, words)
