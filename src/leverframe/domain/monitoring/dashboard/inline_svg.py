"""The few shapes of SVG that the page consists of: scales, ticks and paths, with coordinates of few digits.

Written by hand: decision 0020 says why not by a library.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """A range of values, ``low`` to ``high``, and where on the picture its ends are."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return where a value is; one outside of the range is at its end."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)


def scale(values: Iterable[float | None], start: float, end: float, *, zero: bool) -> Scale:
    """Return a scale with some air around finite values; with ``zero`` it begins there."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if zero:
        low = min(0.0, low)
    air = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    bottom, top = low if zero and low == 0 else low - air, high + air
    if not (math.isfinite(bottom) and math.isfinite(top) and math.isfinite(top - bottom)) or top <= bottom:
        return Scale(0.0, 1.0, start, end)
    return Scale(bottom, top, start, end)


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Return about ``count`` round values between two ends."""
    if not high > low or not math.isfinite(high - low):
        return []
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def place(value: float) -> str:
    """Return a coordinate with at most one digit behind the point."""
    words = f"{value:.1f}".removesuffix(".0")
    return "0" if words == "-0" else words


def path(points: Sequence[Point | None]) -> str:
    """Return what to draw through points; None breaks the line, and a lone point becomes a dot."""
    parts: list[str] = []
    fresh = True
    for number, point in enumerate(points):
        if point is None:
            fresh = True
            continue
        lone = fresh and (number + 1 == len(points) or points[number + 1] is None)
        parts.append(f"{'M' if fresh else 'L'}{place(point[0])} {place(point[1])}{'h0' if lone else ''}")
        fresh = False
    return "".join(parts)


def area(spans: Sequence[tuple[float, float, float] | None]) -> str:
    """Return what to fill between low and high ends, given as (x, low, high); None breaks it."""
    parts: list[str] = []
    run: list[tuple[float, float, float]] = []
    for span in (*spans, None):
        if span is not None:
            run.append(span)
        elif run:
            around = [(x, high) for x, _, high in run] + [(x, low) for x, low, _ in reversed(run)]
            parts.append(path(around) + "Z")
            run = []
    return "".join(parts)


def drawn(look: str, shape: str, tip: str = "") -> str:
    """Return a path of the look ``look``, a class of the style sheet; ``tip`` is escaped text for the pointer."""
    if not shape:
        return ""
    named = f' class="{look}"' if look else ""
    return f'<path{named} d="{shape}"' + (f"><title>{tip}</title></path>" if tip else "/>")


def label(x: float, y: float, words: str, anchor: str = "") -> str:
    """Return a short text at a place; ``anchor`` is ``m`` or ``e`` where it is in the middle or at the end."""
    look = f' class="{anchor}"' if anchor else ""
    return f'<text x="{place(x)}" y="{place(y)}"{look}>{words}</text>'


def key(content: str, words: str, width: int = 16) -> str:
    """Return an entry of a legend: what is drawn, 14 high, and what it means."""
    return f'<span><svg width="{width}" height="14" aria-hidden="true">{content}</svg>{words}</span>'


def picture(width: float, height: float, title: str, content: str) -> str:
    """Return a picture; ``title`` is escaped text that tells what is to be seen to those who cannot see it."""
    size = f'width="{place(width)}" height="{place(height)}" viewBox="0 0 {place(width)} {place(height)}"'
    return f'<svg {size} role="img" aria-label="{title}">{content}</svg>'
