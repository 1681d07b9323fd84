"""Attempts as the dashboard and the metrics show them."""

from __future__ import annotations

from collections.abc import Sequence

from leverframe.domain.monitoring.monitor_words import State
from leverframe.domain.monitoring.retrain_facts import RetrainFacts, TriedCandidate
from leverframe.domain.retraining.attempt import Attempt, Comparison, Outcome
from leverframe.domain.retraining.retrain_result import Retrained
from leverframe.domain.retraining.trigger_rule import ASK_A_PERSON, cooldown, timestamp, unhelpful_in_row
from leverframe.domain.review.gate.gate_result import change_of, improvement
from leverframe.settings.retrain import RetrainSettings

TITLES = {
    Outcome.BETTER: "better", Outcome.NOT_WORSE: "not worse", Outcome.UNDECIDED: "undecided", Outcome.WORSE: "worse",
    Outcome.TOO_FEW_LABELS: "too few labels", Outcome.BROKEN_DATA: "broken data", Outcome.FAILED: "failed",
}  # fmt: skip
_STATES: dict[Outcome, State] = {
    Outcome.BETTER: "ok", Outcome.NOT_WORSE: "info", Outcome.UNDECIDED: "unknown", Outcome.WORSE: "warning",
    Outcome.TOO_FEW_LABELS: "unknown", Outcome.BROKEN_DATA: "critical", Outcome.FAILED: "critical",
}  # fmt: skip


def history_of(
    attempts: Sequence[Attempt], last: Retrained | None, settings: RetrainSettings, of: tuple[str, str]
) -> RetrainFacts:
    """Return the attempts of a model in an environment, newest first, and how it stands; ``last`` is the last run."""
    own = sorted(
        (attempt for attempt in attempts if (attempt.model, attempt.environment) == of),
        key=lambda attempt: timestamp(attempt.at),
    )
    about = [attempt for attempt in own if attempt.champion == own[-1].champion]
    until = (timestamp(own[-1].at) + cooldown(about, settings)).isoformat(timespec="seconds") if own else ""
    waiting = ""
    if last is not None and (last.model, last.environment) == of and last.waiting is not None:
        waiting = last.waiting.why
    return RetrainFacts(
        tuple(_tried(attempt) for attempt in reversed(own)), waiting, until, tuple(map(str, Outcome)),
        unhelpful_in_row(about) >= ASK_A_PERSON,
    )  # fmt: skip


def figures(comparison: Comparison | None) -> str:
    """Return the metric that decides, of both models, and the bounds of the gain."""
    metric = next((one for one in comparison.metrics if one.metric == comparison.metric), None) if comparison else None
    if metric is None or metric.champion is None or metric.candidate is None:
        return ""
    difference = improvement(metric)
    return change_of(metric) + (f", {difference}" if difference else "")


def _tried(attempt: Attempt) -> TriedCandidate:
    causes = ", ".join(dict.fromkeys(f"{cause.cause.value} of `{cause.subject}`" for cause in attempt.causes))
    return TriedCandidate(
        attempt.at, causes, str(attempt.window or ""), attempt.outcome.value, TITLES[attempt.outcome],
        _STATES[attempt.outcome], figures(attempt.comparison), attempt.why, attempt.pull,
    )  # fmt: skip
