"""What a chart shows: axes, lines with intervals, bars. How it becomes a picture is an adapter's business."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Axis:
    """What an axis shows, and from where to where; an open end is taken from the data."""

    title: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """One series: points in order, each with an interval or none; dashed for what is expected.

    ``band`` is empty or as long as ``points``; a point that is not finite breaks the line.
    """

    name: str
    points: Sequence[tuple[float, float]]
    band: Sequence[tuple[float, float]] = ()
    dashed: bool = False
    dots: bool = False


@dataclass(frozen=True)
class Bar:
    """One named value with an interval, or NaN for both ends."""

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class LineChart:
    """Lines over two axes of numbers."""

    title: str
    x: Axis
    y: Axis
    lines: Sequence[Line]


@dataclass(frozen=True)
class BarChart:
    """Named values one below the other: bars where the axis begins at 0, dots elsewhere.

    ``expected`` is a dashed line over all of them: its name, and its value.
    """

    title: str
    x: Axis
    bars: Sequence[Bar]
    expected: tuple[str, float] | None = None


class Draw(Protocol):
    """Draws charts."""

    def __call__(self, chart: LineChart | BarChart) -> str:
        """Return the SVG text of a chart: the same text for the same chart, whatever the machine."""
