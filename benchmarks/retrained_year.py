"""The reference case retrained for a year: what is due at the end of each month, on which rows, and what came of it.

The model of January to March serves from May on. A day after each month, when its labels are known, the rules of
`leverframe retrain` decide on what the monitor found. A better candidate takes the place of the champion, as if its
pull request was merged, and is compared with it once more on the month that follows.
`python -m benchmarks.replay --markdown` prints the table of the guide.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.monitored_year import FIRST, said, trained, watch
from leverframe import wiring
from leverframe.adapters.disk import Disk
from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.sklearn import SklearnModels
from leverframe.application.evaluate import evaluate
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.model.evaluate.evaluation import predicted
from leverframe.domain.model.evaluate.holdout import Holdout, local_days, numbered
from leverframe.domain.model.evaluate.ranking import Floats
from leverframe.domain.monitoring.monitor_result import Monitored
from leverframe.domain.partition import Partition
from leverframe.domain.retraining.attempt import Attempt, Comparison, Evidence, Outcome, RetrainWindow
from leverframe.domain.retraining.outcome import Missed, confidence_of, outcome
from leverframe.domain.retraining.retrain_window import newest_labelled, window
from leverframe.domain.retraining.trigger import NotTriggered
from leverframe.domain.retraining.trigger_rule import ModelFacts, about, trigger
from leverframe.domain.review.gate.gate_result import Compared
from leverframe.domain.review.gate.holdout_change import Declared, declared
from leverframe.domain.review.gate.paired import Pair, judged_metrics
from leverframe.domain.review.gate.pairing import Models, Question, Side
from leverframe.domain.review.gate.sliced import judged_slices
from leverframe.settings import PARAMS
from leverframe.settings.levers import GateSettings
from leverframe.settings.retrain import RetrainSettings

METRIC = "average_precision"
RETRAIN = RetrainSettings.model_validate({"metric": METRIC, "maximum_age_days": 150})
ZONE = "America/New_York"
Figures = Mapping[str, Sequence[float | None]]
_SHOWN = (METRIC, "auc", "brier")
_DELAY = timedelta(days=1)  # of the labels
_FILES = (
    PARAMS, layout.MODEL, layout.MODEL_DESCRIPTION, layout.TRAINING_SET, layout.LEARNING_SET, layout.HOLDOUT,
    layout.PREDICTIONS, layout.METRICS,
)  # fmt: skip


@dataclass(frozen=True)
class Champion:
    """The model that serves: a folder with its files, its window, what it declares of rows, and its digest."""

    folder: Path
    window: RetrainWindow
    declared: Declared
    digest: str

    @property
    def side(self) -> Side:
        """Its files as the gate reads them."""
        return Side(PolarsTables(self.folder), Disk(self.folder))

    def scores(self, rows: pl.DataFrame) -> Floats:
        """Return what it predicts for rows of features."""
        models = SklearnModels(Path())
        with models.threads(1):
            return predicted(models, self.side.model, rows, self.side.artefacts.read_bytes(layout.MODEL))


@dataclass(frozen=True)
class Decided:
    """What followed from a month: why something was due or not, and what came of a candidate.

    ``figures`` are those of the hold-out, ``following`` those of the month after, by metric: champion, candidate, gain,
    and its bounds.
    """

    month: str
    monitor: str
    due: str
    window: str = ""
    outcome: str = ""
    why: str = ""
    figures: Figures = field(default_factory=dict)
    following: Figures = field(default_factory=dict)


class RetrainedYear:
    """Months one after the other, in the current folder, whose champion is that of `monitored_year`."""

    def __init__(self, given: dict[str, Any], gate: GateSettings) -> None:
        self._given, self._gate = given, gate
        self._attempts: list[Attempt] = []
        self._champion = _stored(wiring.workspace(), FIRST)

    def decided(self, key: str, monitored: Monitored | None) -> Decided:
        """Return what follows from a month; None lets the monitor look at the champion of that month."""
        workspace = wiring.workspace()
        monitored = monitored or watch(workspace, key)
        zone, current = workspace.params.data.timezone, self._champion.window
        now = Partition.of(key).plus(1).start(zone) + _DELAY
        until = Partition.of(current.train_last).plus(1).start(zone)
        facts = ModelFacts(monitored.model, monitored.environment, self._champion.digest, 24.0, until)
        due = trigger(monitored, self._attempts, RETRAIN, facts, now)
        if isinstance(due, NotTriggered):
            return Decided(key, said(key, monitored).verdict, f"{due.standstill}: {due.why}")
        newest = newest_labelled(now, "month", zone, _DELAY.days)
        rows = window(current, self._given["data"]["first"], newest, due.evidence, RETRAIN)
        if isinstance(rows, NotTriggered):
            return Decided(key, said(key, monitored).verdict, f"{rows.standstill}: {rows.why}")
        grounds = "; ".join(f"{one.cause}: {one.what}" for one in due.evidence)
        known = Decided(key, said(key, monitored).verdict, grounds, str(rows))
        return self._tried(known, due.evidence, rows, facts, now)

    def _tried(
        self, known: Decided, evidence: Sequence[Evidence], rows: RetrainWindow, facts: ModelFacts, now: datetime
    ) -> Decided:
        """Train a candidate, judge it, and let it take the champion's place where it is better."""
        champion = self._champion
        workspace = trained(self._given, rows)
        evaluate(workspace)
        candidate = _stored(workspace, rows)
        confidence = confidence_of(about(self._attempts, facts, now), RETRAIN, now)
        comparison, missed = self._compared(candidate, confidence)
        result, why = outcome(comparison, missed, RETRAIN, self._gate)
        self._attempts.append(
            Attempt(
                facts.model, facts.environment, now.isoformat(), "", "", tuple(evidence), result, why, rows, comparison,
                champion=champion.digest, candidate=candidate.digest,
            )
        )  # fmt: skip
        following: Figures = {}
        if result is Outcome.BETTER:
            self._champion = candidate
            following = _figures(self._following(champion, candidate, rows.data_last))
        else:
            _put_back(champion)
        return replace(known, outcome=result.value, why=why, figures=_figures(comparison.metrics), following=following)

    def _compared(self, candidate: Champion, confidence: float) -> tuple[Comparison, Missed]:
        """Return both models on the new hold-out and the old one, with the violations of the gate's rules."""
        question = Question("champion", "candidate", ZONE, candidate.declared, self._champion.declared)
        models = Models(question, candidate.side, self._champion.side, SklearnModels(Path()), self._gate)
        pair, _ = models.pair()
        judged, missed = judged_metrics(pair, self._gate)
        slices, within = judged_slices(pair, self._gate)
        on_base, lost = models.on_base(judged)
        surer, _ = judged_metrics(pair, self._gate.model_copy(update={"confidence": confidence}))
        metrics = tuple(
            replace(sure, passed=one.passed) if sure.metric == METRIC else one
            for sure, one in zip(surer, judged, strict=True)
        )
        moved = () if models.change is None else tuple(models.change.violations())
        return Comparison(
            METRIC, confidence, len(pair.candidate.labels), pair.candidate.number_of_days, metrics,
            on_base.rows if on_base else 0, on_base.how if on_base else "", on_base.metrics if on_base else (),
            tuple(slices), tuple(violation.what for violation in (*missed, *within, *lost)),
        ), Missed((*moved, *missed, *within), tuple(lost))  # fmt: skip

    def _following(self, champion: Champion, candidate: Champion, last: str) -> Sequence[Compared]:
        """Return both models on the month after ``last``; none where the year is over."""
        after = str(Partition.of(last).plus(1))
        if after > self._given["data"]["last"]:
            return ()
        rows = PolarsTables(Path()).read(layout.features(after)).filter(pl.col("late30").is_not_null())
        labels, days = rows["late30"].to_numpy().astype(float), numbered(local_days(rows["as_of"].to_numpy(), ZONE))
        theirs, ours = (
            Holdout("binary", ("0", "1"), labels, model.scores(rows), days, {}) for model in (champion, candidate)
        )
        return judged_metrics(Pair(ours, theirs), GateSettings(confidence=self._gate.confidence))[0]


def _stored(workspace: Workspace, rows: RetrainWindow) -> Champion:
    """Copy the files of the model of the current folder into one of its own."""
    digest = hashlib.md5(layout.MODEL.read_bytes(), usedforsecurity=False).hexdigest()
    folder = Path("stored", digest)
    for path in _FILES:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / path)
    return Champion(folder, rows, declared(workspace.params, workspace.plan), digest)


def _put_back(champion: Champion) -> None:
    for path in _FILES:
        shutil.copy(champion.folder / path, path)


def _figures(metrics: Sequence[Compared]) -> Figures:
    shown = [one for one in metrics if one.metric in _SHOWN]
    return {one.metric: [one.champion, one.candidate, one.gain, one.low, one.high] for one in shown}
