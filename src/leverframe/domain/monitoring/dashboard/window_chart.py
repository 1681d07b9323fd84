"""A figure over the windows: lines or bars, the interval in which it is expected, and deployments."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from leverframe.domain.monitoring.dashboard.inline_svg import (
    Scale,
    area,
    drawn,
    label,
    path,
    picture,
    place,
    scale,
    ticks,
)
from leverframe.domain.monitoring.dashboard.window_axis import WindowAxis

WIDTH, HEIGHT = 340.0, 168.0  # about the room of a phone: the same on every screen
LEFT, RIGHT, TOP, BOTTOM = 44.0, 336.0, 10.0, 146.0
_HEADS = {"deployed": "m-3.5-5h7l-3.5 5z", "retrained": "m-3-3a3 3 0 1 0 6 0a3 3 0 1 0-6 0z"}  # told by shape
_CROWDED = 45  # windows from which a line has no dots but where something is odd

Values = Sequence[float | None]
Spans = Sequence[tuple[float | None, float | None]]


@dataclass(frozen=True)
class Line:
    """One value a window, None where there is none, drawn in the look ``look``: a class of the style sheet.

    ``spread`` are ends of intervals. ``hollow`` windows are drawn as rings, ``odd`` ones as diamonds.
    """

    look: str
    values: Values
    spread: Spans = ()
    dots: bool = False
    hollow: frozenset[int] = frozenset()
    odd: frozenset[int] = frozenset()


@dataclass(frozen=True)
class WindowChart:
    """What a chart shows; ``bars`` and ``lines`` share the axis of values, which begins at 0 with ``zero``.

    ``expected`` are the ends of the expected interval a window. ``title`` is escaped and says all that is to be seen;
    ``unit`` writes a value of the axis; ``tips`` are escaped texts a window, or none.
    """

    title: str
    unit: Callable[[float], str]
    lines: Sequence[Line] = ()
    bars: Sequence[Line] = ()
    expected: Spans = ()
    zero: bool = False
    top: float | None = None
    tips: Sequence[str] = ()


def window_chart(chart: WindowChart, axis: WindowAxis) -> str:
    """Return the picture of a chart over the windows of the axis."""
    values = [value for line in (*chart.lines, *chart.bars) for value in line.values]
    ends = [end for line in chart.lines for span in line.spread for end in span]
    around = _within_reach([*values, *ends], [end for span in chart.expected for end in span])
    heights = scale([*values, *ends, *around, chart.top], BOTTOM, TOP, zero=chart.zero)
    if chart.top is not None:
        heights = Scale(heights.low, chart.top, BOTTOM, TOP) if chart.top > heights.low else heights
    canvas = _Canvas(axis, heights)
    slot = (RIGHT - LEFT) / max(1, len(axis))
    hits = "".join(drawn("", f"M{number} 0v1", tip) for number, tip in enumerate(chart.tips))
    where = f"translate({place(canvas.x(0))} {place(TOP)}) scale({slot:.3f} {place(BOTTOM - TOP)})"
    content = [
        drawn("band", area(canvas.spans(chart.expected))),
        _grid(heights, chart.unit),
        *(drawn(f"bar {line.look}", canvas.bars(line.values)) for line in chart.bars),
        *(shape for line in chart.lines for shape in canvas.line(line)),
        axis.labels(LEFT, RIGHT - LEFT, HEIGHT - 6, 74),
        f'<g class="hit" transform="{where}">{hits}</g>' if hits else "",
        *_markers(axis),
    ]
    return picture(WIDTH, HEIGHT, chart.title, "".join(content))


def _within_reach(values: Values, ends: Values) -> list[float]:
    """Return the ends of intervals that leave the values a quarter of the height at least; others are cut off."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return [end for end in ends if end is not None]
    low, high = min(known), max(known)
    reach = 1.25 * (high - low) or abs(high) or 1.0
    return [min(max(end, low - reach), high + reach) for end in ends if end is not None and math.isfinite(end)]


@dataclass(frozen=True)
class _Canvas:
    axis: WindowAxis
    heights: Scale

    def x(self, number: int) -> float:
        """Return the middle of a window."""
        return LEFT + (number + 0.5) * (RIGHT - LEFT) / max(1, len(self.axis))

    def y(self, value: float | None) -> float | None:
        """Return the height of a value; None where there is none."""
        return None if value is None or not math.isfinite(value) else self.heights.at(value)

    def spans(self, ends: Spans) -> list[tuple[float, float, float] | None]:
        """Return intervals as places on the picture, the whole slot wide where they are alone."""
        half = (RIGHT - LEFT) / max(1, len(self.axis)) / 2
        places: list[tuple[float, float, float] | None] = []
        first = 0
        for (low, high), run in groupby(ends):
            last = first + sum(1 for _ in run) - 1
            bottom, top = self.y(low), self.y(high)
            if bottom is None or top is None:
                places.append(None)
            else:
                places += [(self.x(first) - half, bottom, top), (self.x(last) + half, bottom, top)]
            first = last + 1
        return places

    def bars(self, values: Values) -> str:
        """Return all bars as one shape."""
        wide = max(1.0, (RIGHT - LEFT) / max(1, len(self.axis)) * 0.72)
        parts = []
        for number, value in enumerate(values):
            top = self.y(value)
            if top is not None and BOTTOM - top >= 0.05:
                parts.append(
                    f"M{place(self.x(number) - wide / 2)} {place(BOTTOM)}V{place(top)}h{place(wide)}V{place(BOTTOM)}"
                )
        return "".join(parts)

    def line(self, line: Line) -> list[str]:
        """Return a line with its intervals and dots."""
        points = [
            None if (y := self.y(value)) is None else (self.x(number), y) for number, value in enumerate(line.values)
        ]
        whiskers = "".join(
            f"M{place(self.x(number))} {place(bottom)}V{place(top)}"
            for number, (low, high) in enumerate(line.spread)
            if (bottom := self.y(low)) is not None and (top := self.y(high)) is not None
        )
        shapes = [drawn(f"whisker {line.look}", whiskers), drawn(f"line {line.look}", path(points))]
        if line.dots:
            kinds: dict[str, list[tuple[float, float]]] = {}
            for number, point in enumerate(points):
                if point is not None:
                    kind = "ring" if number in line.hollow else "dot"
                    kinds.setdefault("odd" if number in line.odd and kind == "dot" else kind, []).append(point)
            if len(self.axis) > _CROWDED:
                kinds.pop("dot", None)
            shapes += [drawn(f"{kind} {line.look}", _dots(kind, places)) for kind, places in sorted(kinds.items())]
        return shapes


def _dots(kind: str, places: Sequence[tuple[float, float]]) -> str:
    shape = {"dot": "h0", "ring": "m-2.2 0a2.2 2.2 0 1 0 4.4 0a2.2 2.2 0 1 0-4.4 0", "odd": "m-4 0l4-4l4 4l-4 4z"}[kind]
    return "".join(f"M{place(x)} {place(y)}{shape}" for x, y in places)


def _grid(heights: Scale, unit: Callable[[float], str]) -> str:
    places = [(heights.at(value), unit(value)) for value in ticks(heights.low, heights.high)]
    lines = "".join(f"M{place(LEFT)} {place(y)}H{place(RIGHT)}" for y, _ in places)
    return drawn("grid", lines) + "".join(label(LEFT - 6, y + 3.5, words, "e") for y, words in places)


def _markers(axis: WindowAxis) -> list[str]:
    slot = (RIGHT - LEFT) / max(1, len(axis))
    return [
        drawn("deployed", f"M{place(x)} {place(BOTTOM)}V{place(TOP)}{_HEADS[marker.kind]}", marker.words)
        for marker in axis.markers
        for x in [LEFT + marker.where * slot]
    ]
