"""How a model is trained anew: whether an attempt is due, on which rows, and with which result.

Nothing is trained twice on the same grounds. A run that is killed leaves no record, so the next one begins again, and
takes from DVC's run cache what it can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from leverframe.domain.monitoring.monitor_result import Monitored
from leverframe.domain.partition import Partition
from leverframe.domain.retraining.attempt import Attempt, Comparison, Cost, Evidence, Outcome, RetrainWindow
from leverframe.domain.retraining.evidence import evidence_digest, same_grounds
from leverframe.domain.retraining.outcome import GateMisses, confidence_of, outcome
from leverframe.domain.retraining.pulls.pull_state import StandingBranch
from leverframe.domain.retraining.retrain_window import advice, window
from leverframe.domain.retraining.trigger import NotTriggered, Standstill
from leverframe.domain.retraining.trigger_rule import ModelFacts, about, timestamp, trigger
from leverframe.errors import ContractError, LabelError, LeverframeError, PipelineError
from leverframe.settings.levers import GateSettings
from leverframe.settings.retrain import RetrainSettings

_SIGNAL, _FROM_OUTSIDE = 128, (1, 2, 9, 15, 24)  # what a shell adds to the number of a signal
_INGEST = "ingest"  # the stage that reads the sources; it has one an item


@dataclass(frozen=True)
class Rows:
    """Which rows the champion has seen, the first partition of the data, and the newest whose labels are due.

    ``fixed`` tells that the first training row never moves, in a pipeline of one's own.
    """

    current: RetrainWindow
    data_first: str
    newest: Partition
    fixed: bool = False


@dataclass(frozen=True)
class RetrainInputs:
    """Everything that decides whether an attempt is due; settings are those of the base tip.

    ``blobs`` are the ids of the files of the base that decide what is trained, by path; ``attempts`` oldest first.
    """

    monitored: Monitored | None
    attempts: Sequence[Attempt]
    settings: RetrainSettings
    gate: GateSettings
    facts: ModelFacts
    rows: Rows
    blobs: Mapping[str, str]
    now: datetime
    forced: bool = False


@dataclass(frozen=True)
class DueAttempt:
    """An attempt that is due: why, on which rows, and the digest of its grounds."""

    evidence: tuple[Evidence, ...]
    window: RetrainWindow
    digest: str


@dataclass(frozen=True)
class Trained:
    """A trained candidate: its digest (md5), that of the champion, and what it cost."""

    candidate: str
    champion: str
    cost: Cost


class Trainer(Protocol):
    """Trains a candidate on the base tip, and compares it with the champion."""

    def train(self, window: RetrainWindow) -> Trained:
        """Run the pipeline on a window; raises ``PipelineError``, which names the stage that failed."""

    def compare(self, confidence: float) -> tuple[Comparison, GateMisses]:
        """Compare the candidate with the champion; ``confidence`` is that of the metric that decides."""


def due(known: RetrainInputs, there: StandingBranch) -> DueAttempt | NotTriggered:
    """Return the attempt that is due, or why none is."""
    decided = trigger(known.monitored, known.attempts, known.settings, known.facts, known.now, forced=known.forced)
    if isinstance(decided, NotTriggered):
        return decided
    if there.head and not there.ours:
        why = f"somebody works on the branch {there.name}: merge or remove it, and the next run proposes again"
        return NotTriggered(Standstill.PERSON, why)
    pull = there.open
    if pull and pull.made and timestamp(pull.made) > known.now:
        why = f"#{pull.number} has evidence of {pull.made[:10]}, later than {known.now.date()}: close it first"
        return NotTriggered(Standstill.PERSON, why)
    rows, evidence = known.rows, decided.evidence
    chosen = window(rows.current, rows.data_first, rows.newest, evidence, known.settings)
    if isinstance(chosen, NotTriggered):
        return chosen
    chosen = replace(chosen, train_first="") if rows.fixed else chosen
    digest = evidence_digest(chosen, evidence, known.blobs)
    same = None if known.forced else same_grounds(digest, known.attempts)
    if same is not None:
        why = f"the attempt of {same.at[:10]} had the same evidence, rows and files, and was {same.outcome}"
        return NotTriggered(Standstill.NOTHING_NEW, why)
    return DueAttempt(evidence, chosen, digest)


def attempted(planned: DueAttempt, known: RetrainInputs, base: str, trainer: Trainer) -> Attempt:
    """Train a candidate, compare it, and return the attempt with its result.

    Raises ``LeverframeError`` for what says nothing of the candidate, such as a busy cache or a full disk.
    """
    made = Attempt(
        known.facts.model, known.facts.environment, known.now.isoformat(timespec="seconds"), base, planned.digest,
        planned.evidence, Outcome.FAILED, "", planned.window, champion=known.facts.champion,
    )  # fmt: skip
    try:
        trained = trainer.train(planned.window)
    except PipelineError as error:
        if error.transient or not error.stage:
            raise
        if _killed(error.code):
            raise PipelineError(
                f"stage `{error.stage}` was ended from outside", why=error.why,
                next="look for a lack of memory on this machine, or a job that was stopped; then run it again",
                code=error.code,
            ) from error  # fmt: skip
        return replace(made, outcome=_of_stage(error), why=_words(error))
    made = replace(made, candidate=trained.candidate, champion=trained.champion, cost=trained.cost)
    before = about(known.attempts, known.facts, known.now)
    confidence = confidence_of(planned.evidence, before, known.settings, known.now, planned.window)
    try:
        comparison, missed = trainer.compare(confidence)
    except LeverframeError as error:
        if error.transient:
            raise
        return replace(made, why=_words(error))
    comparison = replace(comparison, usual=usual_auc(known.monitored))
    result, why = outcome(comparison, missed, known.settings, known.gate)
    hint = advice(planned.window, planned.evidence, known.settings)
    return replace(made, outcome=result, why=f"{why} {hint}".strip(), comparison=comparison)


def _killed(code: int) -> bool:
    """Tell whether an exit code is that of a signal which a program does not give itself: hang-up, kill, term, ..."""
    return (-code if code < 0 else code - _SIGNAL) in _FROM_OUTSIDE


def _of_stage(error: PipelineError) -> Outcome:
    """Return what a failed stage says: of the data, of their labels, or of the pipeline."""
    if error.code == ContractError.exit_code or error.stage.partition("@")[0].partition("-")[0] == _INGEST:
        return Outcome.BROKEN_DATA
    return Outcome.TOO_FEW_LABELS if error.code == LabelError.exit_code else Outcome.FAILED


def _words(error: LeverframeError) -> str:
    return f"{error.what}: {error.why}"


def usual_auc(monitored: Monitored | None) -> float | None:
    """Return the AUC of the rows that the monitor compares with; None where it has none."""
    series = monitored.performance if monitored else ()
    return next((one.reference.value for one in series if one.metric == "auc"), None)


def labelled_since(monitored: Monitored | None, since: datetime) -> int | None:
    """Return how many rows with a label the windows of the monitor from a time on have; None where none is known."""
    if monitored is None:
        return None
    known = [
        (window.rows.value or 0.0) * window.coverage
        for window in monitored.windows
        if window.coverage is not None and timestamp(window.start) >= since
    ]
    return round(sum(known)) if known else None
