"""The section of a card about the hold-out: how it changed, and both models on the rows of the base."""

from __future__ import annotations

from leverframe.domain.model.evaluate.evaluation_summary import short
from leverframe.domain.review.gate.gate_result import Compared, Gated, improvement
from leverframe.inert.markdown import sentence


def holdout_section(gated: Gated) -> str:
    """Return the change of rows and labels and the metrics with a rule; empty where the hold-outs are the same."""
    change, on_base = gated.holdout, gated.on_base
    if change is None or not change.differs:
        return ""
    mark = "❌" if change.violations() else "✅"
    lines = ["### Hold-out", "", f"{mark} {sentence(change.line())}."]
    if on_base is not None:
        lines += ["", sentence(f"On the hold-out of the base ({on_base.rows:,} rows): {on_base.how}") + "."]
        ruled = [metric for metric in on_base.metrics if metric.rule]
        if ruled:
            lines += ["", "| | metric | base | this change | difference |", "|---|---|---:|---:|---|"]
            lines += [_metric(metric) for metric in ruled]
    return "\n".join(lines)


def _metric(metric: Compared) -> str:
    cells = [
        "✅" if metric.passed else "❌",
        sentence(metric.title),
        short(metric.champion),
        short(metric.candidate),
        improvement(metric),
    ]
    return f"| {' | '.join(cells)} |"
