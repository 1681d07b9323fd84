"""Points of curves at evenly spaced x, so that those of base and change share an axis."""

from __future__ import annotations

from collections.abc import Sequence

Points = Sequence[tuple[float, float]]
Even = tuple[tuple[float, float], ...]
POINTS = 24  # of a curve in the card


def evenly(base: Points, head: Points) -> tuple[Even, Even]:
    """Return both sides at the same x, over what the change covers; a side of fewer than two points is empty."""
    low, high = (head[0][0], head[-1][0]) if len(head) > 1 else (0.0, 1.0)
    places = [low + (high - low) * place / POINTS for place in range(POINTS + 1)]
    base_points, head_points = (
        tuple((x, at(points, x)) for x in places) if len(points) > 1 else () for points in (base, head)
    )
    return base_points, head_points


def at(points: Points, x: float) -> float:
    """Return the y of a curve at ``x``, interpolated; beyond its ends that of the end."""
    before = [point for point in points if point[0] <= x] or points[:1]
    after = [point for point in points if point[0] >= x] or points[-1:]
    (x0, y0), (x1, y1) = before[-1], after[0]
    return y0 if x1 == x0 else y0 + (y1 - y0) * (x - x0) / (x1 - x0)
