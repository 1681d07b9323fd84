"""Candidate and champion by the rules of the gate, on rows that neither saw and on the old test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from leverframe.domain.model.evaluate.evaluation import Predictor
from leverframe.domain.retraining.aftercare import deciding_metric
from leverframe.domain.retraining.attempt import Comparison
from leverframe.domain.retraining.outcome import GateMisses
from leverframe.domain.review.gate.decision import Evidence, around
from leverframe.domain.review.gate.gate_result import Compared, SliceCompared
from leverframe.domain.review.gate.paired import Pair, judged_metrics
from leverframe.domain.review.gate.pairing import GateInputs, Models, Side
from leverframe.domain.review.gate.rules import Rules
from leverframe.domain.review.gate.sliced import judged_slices
from leverframe.domain.verdict import Violation
from leverframe.settings.retrain import RetrainSettings


def compare(
    question: GateInputs,
    sides: tuple[Side, Side],
    predictor: Predictor,
    rules: Rules,
    evidence: Evidence,
    how: tuple[RetrainSettings, float],
) -> tuple[Comparison, GateMisses]:
    """Compare the candidate, ``sides[0]``, with the champion under the rules of the base tip.

    ``how`` has the confidence with which the deciding metric is judged. Raises ``LeverframeError`` where the two
    cannot be compared.
    """
    models = Models(question, *sides, predictor, rules.settings)
    changed = models.change.violations() if models.change else []
    pair, _ = models.pair()
    comparison, violations = compared(pair, replace(rules, violations=()), how)
    old, lost = models.on_base(comparison.metrics)
    missed = GateMisses((*violations, *changed, *around(evidence, rules)), tuple(lost))
    comparison = replace(
        comparison,
        old_rows=old.rows if old else 0,
        old_how=old.how if old else "`gate.maximum_holdout_change: 1` allows any hold-out, so none is compared",
        old_metrics=old.metrics if old else (),
        violations=tuple(violation.what for violation in (*missed.here, *missed.on_base)),
        notes=models.notes(),
    )
    return comparison, missed


def compared(
    pair: Pair, rules: Rules, how: tuple[RetrainSettings, float], old: str = ""
) -> tuple[Comparison, tuple[Violation, ...]]:
    """Return both models on the rows of a pair, and the violations of the gate there.

    ``old`` says why nothing is compared on the old test set.
    """
    settings, confidence = how
    gate = rules.settings
    side = pair.candidate
    metric = deciding_metric(side.kind, settings, gate)
    metrics, missed = judged_metrics(pair, gate)
    sure, _ = judged_metrics(pair, gate.model_copy(update={"confidence": confidence}))
    slices, within = judged_slices(pair, gate)
    violations = (*missed, *within, *rules.violations)
    comparison = Comparison(
        metric, confidence, len(side.labels), side.number_of_days, _with_bounds(metrics, sure, metric),
        0, old, (), _worst_first(slices), tuple(violation.what for violation in violations),
    )  # fmt: skip
    return comparison, violations


def _with_bounds(metrics: Sequence[Compared], sure: Sequence[Compared], metric: str) -> tuple[Compared, ...]:
    """Return the metrics, the deciding one with the bounds of its own confidence."""
    bounds = {compared.metric: (compared.low, compared.high) for compared in sure if compared.metric == metric}
    return tuple(
        replace(one, low=bounds[one.metric][0], high=bounds[one.metric][1]) if one.metric in bounds else one
        for one in metrics
    )


def _worst_first(slices: Sequence[SliceCompared]) -> tuple[SliceCompared, ...]:
    return tuple(sorted(slices, key=lambda one: (one.gain is None, one.gain or 0.0)))
