"""The worst columns in detail: how their values were spread in the reference, and how they are now."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from leverframe.domain.monitoring.dashboard.html_text import card, cards, table
from leverframe.domain.monitoring.dashboard.inline_svg import Scale, drawn, key, label, picture, place, scale, ticks
from leverframe.domain.monitoring.monitor_result import ColumnFacts, Histogram
from leverframe.domain.monitoring.monitor_words import figure, percent
from leverframe.inert.markup import name, text

_LEGEND = key(drawn("bar reference", "M1 1h14v12H1z"), "reference") + key(
    drawn("line now", "M1 7h14"), "newest window with rows"
)
_LEVELS = 8  # of a categorical column: those of the most rows
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 336.0, 8.0, 124.0


def column_cards(columns: Sequence[ColumnFacts]) -> str:
    """Return a card for each column that has a histogram."""
    shown = [(column, column.histogram) for column in columns if column.histogram is not None]
    return cards([_card(column, histogram) for column, histogram in shown], _LEGEND)


def column_table(columns: Sequence[ColumnFacts]) -> str:
    """Return the figures of columns as a table."""
    heads = ["column", "kind", "#importance", "statistic", "#newest", "#band", "#beyond", "#Wasserstein (sd)", "#PSI",
             "#JS", "#missing", "#in the reference"]  # fmt: skip
    rows = []
    for column in columns:
        newest = next((cell for cell in reversed(column.cells) if cell.statistic is not None), None)
        beyond = sum(cell.beyond for cell in column.cells)
        rows.append([
            name(column.name, 60), _role(column), percent(column.importance),
            text(column.statistic, 20), figure(newest.statistic if newest else None), figure(column.band),
            f"{beyond} of {len(column.cells)}", figure(column.wasserstein), figure(column.psi), figure(column.js),
            percent(column.cells[-1].missing if column.cells else None), percent(column.reference_missing),
        ])  # fmt: skip
    return table(heads, rows, "figures of every column")


def _card(column: ColumnFacts, shown: Histogram) -> str:
    sizes = [("moved", column.wasserstein, " sd"), ("PSI", column.psi, ""), ("JS", column.js, "")]
    effects = " · ".join(f"{words} {figure(value)}{unit}" for words, value, unit in sizes if value is not None)
    edges = len(shown.labels) == len(shown.reference) + 1
    drawing = _edges(shown, column) if edges else _levels(shown)
    return card(f"{name(column.name, 60)} <small>{_role(column)}</small>", effects, drawing)


def _role(column: ColumnFacts) -> str:
    return "prediction" if column.role == "prediction" else column.kind


def _edges(shown: Histogram, column: ColumnFacts) -> str:
    edges = [_number(edge) for edge in shown.labels]
    even = _even(edges)
    count = max(1, len(shown.reference))
    heights = scale([*shown.reference, *shown.current], _BOTTOM, _TOP, zero=True)
    slot = (_RIGHT - _LEFT) / count
    bars = "".join(
        f"M{place(_LEFT + number * slot)} {place(_BOTTOM)}V{place(heights.at(share))}h{place(slot - 0.8)}"
        f"V{place(_BOTTOM)}"
        for number, share in enumerate(shown.reference)
        if share > 0
    )
    steps = f"M{place(_LEFT)} {place(_BOTTOM)}" + "".join(
        f"V{place(heights.at(share))}H{place(_LEFT + (number + 1) * slot)}"
        for number, share in enumerate(shown.current)
    ) + f"V{place(_BOTTOM)}"  # fmt: skip
    content = drawn("bar reference", bars) + _shares(heights) + drawn("line now", steps)
    content += _edge_labels(shown.labels, edges)
    note = "" if even else "<small>bins are not equally wide</small>"
    title = f"share of rows in {count} bins, reference and newest window of {text(column.name, 80)}"
    return picture(340, 146, title, content) + note


def _edge_labels(labels: Sequence[str], edges: Sequence[float]) -> str:
    last = len(labels) - 1
    parts = []
    for number in sorted({0, last // 2, last}):
        x = _LEFT + number * (_RIGHT - _LEFT) / max(1, last)
        parts.append(label(x, 140, _edge(labels, edges, number), "" if number == 0 else "e" if number == last else "m"))
    return "".join(parts)


def _edge(labels: Sequence[str], edges: Sequence[float], number: int) -> str:
    """Return the words of an edge; an open bin is told by its other end."""
    value = edges[number]
    if value == -math.inf and len(edges) > 2:
        return f"&lt; {_short(edges[1])}"
    if value == math.inf and len(edges) > 2:
        return f"≥ {_short(edges[-2])}"
    return _short(value) if math.isfinite(value) else text(labels[number], 14)


def _shares(heights: Scale) -> str:
    places = [(heights.at(value), percent(value)) for value in ticks(heights.low, heights.high)]
    lines = drawn("grid", "".join(f"M{place(_LEFT)} {place(y)}H{place(_RIGHT)}" for y, _ in places))
    return lines + "".join(label(_LEFT - 6, y + 3.5, words, "e") for y, words in places)


def _levels(shown: Histogram) -> str:
    listed = list(zip(shown.labels, shown.reference, shown.current, strict=False))
    largest = sorted(range(len(listed)), key=lambda number: (-max(listed[number][1:]), number))[:_LEVELS]
    shown_ones = [listed[number] for number in sorted(largest)]
    top = max((max(old, new) for _, old, new in listed), default=0) or 1.0
    rows = "".join(_level(words, old, new, top) for words, old, new in shown_ones)
    rest = [pair[1:] for number, pair in enumerate(listed) if number not in largest]
    if rest:
        old, new = (sum(shares) for shares in zip(*rest, strict=True))
        rows += f"<li><i>{len(rest):,} others</i><span></span><span>{percent(old)} → {percent(new)}</span></li>"
    return f'<ul class="levels">{rows}</ul>'


def _level(words: str, old: float, new: float, top: float) -> str:
    bars = drawn("bar reference", f"M0 1h{place(96 * old / top)}v12H0z") + drawn(
        "line now", f"M{place(96 * new / top)} 0v14"
    )
    return (
        f'<li>{name(words, 32)}<svg viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">{bars}</svg>'
        f"<span>{percent(old)} → {percent(new)}</span></li>"
    )


def _even(edges: Sequence[float]) -> bool:
    """Tell whether all bins are equally wide, so that heights are densities."""
    widths = [right - left for left, right in pairwise(edges)]
    return all(math.isfinite(width) for width in widths) and (not widths or max(widths) <= 1.05 * min(widths))


def _short(value: float) -> str:
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.4g}"


def _number(edge: str) -> float:
    try:
        return float(edge)
    except ValueError:
        return math.nan
