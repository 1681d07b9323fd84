"""The curves of a card as pictures, drawn from its numbers by whoever posts it: no picture is taken from anybody."""

from __future__ import annotations

import hashlib

from leverframe.domain.model.charts import Axis, Draw, Line, LineChart
from leverframe.domain.review.report.card import Card, Curve
from leverframe.domain.review.report.plots_section import limits

BRANCH = "leverframe-assets"  # holds nothing but pictures, by the digest of their content


def drawings(card: Card, draw: Draw) -> dict[str, tuple[str, str]]:
    """Return path and SVG text of each curve that can be drawn, by its title; equal pictures have equal paths."""
    pictures = {}
    for curve in card.curves:
        if curve.head:
            text = draw(_chart(curve))
            digest = hashlib.sha256(text.encode()).hexdigest()[:32]
            pictures[curve.title] = (f"{digest[:2]}/{digest}.svg", text)
    return pictures


def _chart(curve: Curve) -> LineChart:
    lines = [Line("this change", list(curve.head))]
    if curve.base:
        lines.insert(0, Line("base", list(curve.base), dashed=True))
    first, last = (
        (0.0, 1.0) if 0 <= curve.head[0][0] <= curve.head[-1][0] <= 1 else (curve.head[0][0], curve.head[-1][0])
    )
    return LineChart(curve.title, Axis(curve.x, first, last), Axis(curve.y, *limits(curve)), lines)
