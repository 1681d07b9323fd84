"""What a comparison says of a candidate: better, not worse, worse, undecided, or too few labels to tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from leverframe.domain.model.evaluate.dependence import MINIMUM_DAYS
from leverframe.domain.model.evaluate.metrics import Better, Metric
from leverframe.domain.retraining.attempt import Attempt, Comparison, Evidence, Outcome, RetrainWindow
from leverframe.domain.retraining.evidence import FOUND
from leverframe.domain.retraining.retrain_window import learns_change
from leverframe.domain.retraining.trigger_rule import timestamp
from leverframe.domain.review.gate.gate_result import Compared
from leverframe.domain.review.gate.paired import moved
from leverframe.domain.review.gate.rules import allowed
from leverframe.domain.verdict import Reason, Violation
from leverframe.settings.levers import GateSettings
from leverframe.settings.retrain import RetrainSettings

MEMORY = timedelta(days=180)  # over which attempts on one champion share the error
_NAMED = 3  # violations
_BY_CHANCE = 0.5  # area under the curve of scores that say nothing
_SKILL = 0.5  # of what is usual beyond chance: with less a candidate is no model to merge without a look
_DROPPED = (Reason.METRIC_DROPPED, Reason.SLICE_DROPPED)


@dataclass(frozen=True)
class GateMisses:
    """Violations of the gate: ``here`` of the new hold-out and all around it, ``on_base`` of the old test set."""

    here: tuple[Violation, ...] = ()
    on_base: tuple[Violation, ...] = ()


def confidence_of(
    evidence: Sequence[Evidence],
    attempts: Sequence[Attempt],
    settings: RetrainSettings,
    now: datetime,
    window: RetrainWindow | None = None,
) -> float:
    """Return the one-sided confidence that an attempt on this evidence needs; ``attempts`` are those on the champion.

    Each attempt is another chance to be better by luck, so those of ``MEMORY`` share an error: each takes half of what
    is left of it, and a better candidate gives it back. What the monitor finds is rare without a change: such attempts
    share the error of two. Those by age, new rows or request, and those on a ``window`` that has too little of the
    change, have an error of their own, that of one: they must not spend what the change will need.
    Source: Foster and Stine (2008), alpha-investing.
    """
    error, detected = 1 - settings.confidence, _is_found(evidence, window)
    whole = 2 * error if detected else error
    left = whole
    for attempt in attempts:
        same = _is_found(attempt.causes, attempt.window) is detected
        if attempt.outcome is Outcome.BETTER:
            left = whole
        elif attempt.comparison and same and now - timestamp(attempt.at) < MEMORY:
            left -= 1 - attempt.comparison.confidence
    return 1 - min(error, max(left / 2, error / 1024))


def _is_found(evidence: Sequence[Evidence], window: RetrainWindow | None) -> bool:
    return any(one.cause in FOUND for one in evidence) and (window is None or learns_change(window, evidence))


def outcome(
    comparison: Comparison, missed: GateMisses, settings: RetrainSettings, gate: GateSettings
) -> tuple[Outcome, str]:
    """Return what the comparison says, and why in sentences with figures.

    The lower bound of the deciding metric must be above 0 for a better model, its gain worth a change, and no rule of
    the gate may be violated: more of the same rows make nearly every candidate better by what nobody would notice.
    One that ranks by chance, or has less than half of the usual skill, is for a person to look at: a draft.
    A drop on the old test set alone makes a draft: a person weighs whether what is forgotten still matters.
    """
    broken = [violation for violation in missed.here if violation.reason is Reason.CONTRACT_BROKEN]
    if broken:
        return Outcome.BROKEN_DATA, _sentence(broken[0].what)
    deciding = next((compared for compared in comparison.metrics if compared.metric == comparison.metric), None)
    few = _too_few(comparison, deciding, settings)
    if deciding is None or few:
        return Outcome.TOO_FEW_LABELS, few
    says = in_figures(deciding, comparison)
    dropped = [violation for violation in missed.here if violation.reason in _DROPPED]
    if dropped or (deciding.high is not None and deciding.high < 0):
        return Outcome.WORSE, _together(says, dropped)
    better = deciding.low is not None and deciding.low > 0
    small = _no_use(comparison) or _too_small(deciding, settings, gate)
    others = [*missed.here, *missed.on_base]
    if better and not others and not small:
        return Outcome.BETTER, says
    if better or (_non_inferior(deciding, gate) and not _uncertain(missed)):
        parts = [_together(says, others), small if better else ""]
        return Outcome.NOT_WORSE, " ".join(part for part in parts if part)
    return Outcome.UNDECIDED, f"{_together(says, others)} Too little evidence that the candidate is better or worse."


def in_figures(compared: Compared, comparison: Comparison) -> str:
    """Return in a sentence how the metric moved, with its bound, rows and days."""
    metric = Metric(compared.metric, compared.title, cast("Better", compared.better), "real")
    before, after = compared.champion or 0.0, compared.candidate or 0.0
    rows = f"{comparison.labelled:,} rows of {comparison.days} days that neither model saw"
    return f"{moved(metric, f' on {rows}', (before, after), _bound(compared, comparison.confidence))}."


def _bound(compared: Compared, confidence: float) -> str:
    """Return the bound that decides, in the direction of the metric: the upper one of a gain where that is below 0."""
    gain = compared.high if compared.high is not None and compared.high < 0 else compared.low
    if gain is None:
        return "no bound"
    loss = compared.better in ("lower", "nearer to 0")
    side = "upper" if (gain == compared.high) != loss else "lower"
    return f"{100 * confidence:.4g} % {side} bound {-gain if loss else gain:+.4f}"


def _too_few(comparison: Comparison, deciding: Compared | None, settings: RetrainSettings) -> str:
    labelled, days = comparison.labelled, comparison.days
    if labelled < settings.minimum_rows:
        return f"the hold-out has {labelled:,} rows with a label. Required: {settings.minimum_rows:,}."
    if days < MINIMUM_DAYS:
        return f"the hold-out has {days} days with a label. Required: {MINIMUM_DAYS}."
    if deciding is None:
        return f"`{comparison.metric}`, which decides, was not computed on the hold-out."
    if deciding.gain is None:
        return f"{deciding.title} is undefined on the hold-out: a class has no row."
    if deciding.low is None:
        return f"{deciding.title} rests on too few independent days of the hold-out for a bound."
    return ""


def _no_use(comparison: Comparison) -> str:
    """Return in a sentence that the candidate does not recover what was lost, empty where it does.

    Where most of the skill is gone, a surely better model is still one that nobody would deploy.
    """
    auc = next((compared for compared in comparison.metrics if compared.metric == "auc"), None)
    if auc is None or auc.candidate is None:
        return ""
    if auc.candidate <= _BY_CHANCE:
        return f"But its {auc.title} of {auc.candidate:.4f} is no better than that of a coin, {_BY_CHANCE:g}."
    usual = comparison.usual or _BY_CHANCE
    if auc.candidate - _BY_CHANCE >= _SKILL * (usual - _BY_CHANCE):
        return ""
    return f"But its {auc.title} is {auc.candidate:.4f} where {usual:.4f} is usual: most of what was lost stays lost."


def _too_small(deciding: Compared, settings: RetrainSettings, gate: GateSettings) -> str:
    """Return in a sentence that the gain is not worth a change, empty where it is."""
    rule = gate.metrics.get(deciding.metric)
    half = (rule.maximum_drop or 0.0) / 2 if rule else 0.0
    demanded, words = settings.minimum_gain or half, "half of the drop that the gate allows"
    gain = 0.0 if deciding.gain is None else deciding.gain
    if gain >= demanded:
        return ""
    name = "`retrain.minimum_gain`" if settings.minimum_gain else words
    return f"The gain of {gain:.4f} is below {demanded:g}, {name}."


def _non_inferior(deciding: Compared, gate: GateSettings) -> bool:
    """Tell whether the rule of the gate for the change of the metric holds; without one nothing says how much may."""
    rule = gate.metrics.get(deciding.metric)
    return rule is not None and bool(allowed(rule, deciding.better)) and deciding.passed


def _uncertain(missed: GateMisses) -> bool:
    return any(violation.reason is Reason.METRIC_UNCERTAIN for violation in missed.here)


def _together(says: str, violations: Sequence[Violation]) -> str:
    """Return the sentence of the metric with the first violations; the comparison has them all."""
    more = len(violations) - _NAMED
    rest = [f"{more:,} more rule{'s are' if more > 1 else ' is'} violated."] if more > 0 else []
    return " ".join([says, *(_sentence(violation.what) for violation in violations[:_NAMED]), *rest])


def _sentence(text: str) -> str:
    first = text[:1].upper() + text[1:]
    return first if first.endswith(".") else f"{first}."
