"""The decision card: one page that says whether to merge, and why."""

from __future__ import annotations

from leverframe.domain.report.card import Card, Curve, ParameterChange, Promises, StageNode
from leverframe.domain.report.markdown import LIMIT, Shown, marker, render

__all__ = ["LIMIT", "Card", "Curve", "ParameterChange", "Promises", "Shown", "StageNode", "marker", "render"]
