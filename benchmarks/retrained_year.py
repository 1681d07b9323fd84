"""The reference case retrained for a year: what is due at the end of each month, on which rows, and with which result.

The model of January to March serves from May on. A day after each month, when its labels are known, the rules of
`leverframe retrain` decide on what the monitor found. A better candidate takes the place of the champion, as if its
pull request was merged, and is compared with it once more on the month that follows.
`python -m benchmarks.replay --markdown` prints the table of the guide.
"""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.monitored_year import FIRST, Watched, summed_up, trained, watch
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
from leverframe.domain.retraining.attempt import Attempt, Cause, Comparison, Evidence, Outcome, RetrainWindow
from leverframe.domain.retraining.outcome import GateMisses, confidence_of, outcome
from leverframe.domain.retraining.retrain_window import newest_labelled, window
from leverframe.domain.retraining.trigger import NotTriggered, Standstill
from leverframe.domain.retraining.trigger_rule import ModelFacts, about, trigger
from leverframe.domain.review.gate.gate_result import Compared
from leverframe.domain.review.gate.holdout_change import Declared, declared
from leverframe.domain.review.gate.paired import Pair, judged_metrics
from leverframe.domain.review.gate.pairing import GateInputs, Models, Side
from leverframe.domain.review.gate.sliced import judged_slices
from leverframe.settings import PARAMS
from leverframe.settings.levers import GateSettings
from leverframe.settings.retrain import RetrainSettings, WindowSettings

METRIC = "average_precision"
BY_AGE = RetrainSettings.model_validate({"metric": METRIC, "maximum_age_days": 150})
LONGER = RetrainSettings.model_validate({"metric": METRIC, "holdout_days": 56})
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
    """What followed from a month: why something was due or not, and the result of a candidate.

    ``against`` are the violations of the gate's rules. ``figures`` are those of the hold-out, ``following`` those of
    the month after, by metric: champion, candidate, gain, and its bounds.
    """

    month: str
    monitor: str
    due: str
    window: str = ""
    outcome: str = ""
    why: str = ""
    against: Sequence[str] = ()
    figures: Figures = field(default_factory=dict)
    following: Figures = field(default_factory=dict)


class Retrained:
    """Months one after the other, from a champion on, in the current folder; ``of`` are the pipeline and the gate."""

    def __init__(self, of: tuple[dict[str, Any], GateSettings], settings: RetrainSettings, champion: Champion) -> None:
        (self._given, self._gate), self._settings = of, settings
        self._attempts: list[Attempt] = []
        self.champion = champion
        _put_back(champion)

    def decided(self, key: str, monitored: Monitored, *, forced: bool = False, dry: bool = False) -> Decided:
        """Return what follows from what the monitor found at the end of a month; a ``dry`` one trains nothing."""
        current = self.champion.window
        now = Partition.of(key).plus(1).start(ZONE) + _DELAY
        until = Partition.of(current.train_last).plus(1).start(ZONE)
        facts = ModelFacts(monitored.model, monitored.environment, self.champion.digest, 24.0, until)
        due = trigger(monitored, self._attempts, self._settings, facts, now, forced=forced)
        if isinstance(due, NotTriggered):
            return Decided(key, summed_up(key, monitored).verdict, f"{due.standstill}: {due.why}")
        newest = newest_labelled(now, "month", ZONE, _DELAY.days)
        rows = window(current, self._given["data"]["first"], newest, due.evidence, self._settings)
        if isinstance(rows, NotTriggered):
            return Decided(key, summed_up(key, monitored).verdict, f"{rows.standstill}: {rows.why}")
        grounds = "; ".join(f"{one.cause}: {one.what}" for one in due.evidence)
        known = Decided(key, summed_up(key, monitored).verdict, grounds, str(rows))
        return known if dry else self._tried(known, due.evidence, rows, facts, now)

    def _tried(
        self, known: Decided, evidence: Sequence[Evidence], rows: RetrainWindow, facts: ModelFacts, now: datetime
    ) -> Decided:
        """Train a candidate, judge it, and let it take the champion's place where it is better."""
        champion = self.champion
        workspace = trained(self._given, rows)
        evaluate(workspace)
        candidate = _stored(workspace, rows)
        confidence = confidence_of(evidence, about(self._attempts, facts, now), self._settings, now, rows)
        comparison, missed = self._compared(candidate, confidence)
        result, why = outcome(comparison, missed, self._settings, self._gate)
        self._attempts.append(
            Attempt(
                facts.model, facts.environment, now.isoformat(), "", "", tuple(evidence), result, why, rows, comparison,
                champion=champion.digest, candidate=candidate.digest,
            )
        )  # fmt: skip
        following: Figures = {}
        if result is Outcome.BETTER:
            self.champion = candidate
            following = _figures(self._following(champion, candidate, rows.data_last))
        else:
            _put_back(champion)
        figures = _figures(comparison.metrics)
        against = comparison.violations
        return replace(known, outcome=result.value, why=why, against=against, figures=figures, following=following)

    def _compared(self, candidate: Champion, confidence: float) -> tuple[Comparison, GateMisses]:
        """Return both models on the new hold-out and the old one, with the violations of the gate's rules."""
        question = GateInputs("champion", "candidate", ZONE, candidate.declared, self.champion.declared)
        models = Models(question, candidate.side, self.champion.side, SklearnModels(Path()), self._gate)
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
        ), GateMisses((*moved, *missed, *within), tuple(lost))  # fmt: skip

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


def retrained_year(given: dict[str, Any], gate: GateSettings, watched: Watched) -> list[Decided]:
    """Return what follows from each month of a year, and from three months that went otherwise.

    The files of the champion of `monitored_year` lie in the current folder.
    """
    first, of = _stored(wiring.workspace(), FIRST), (given, gate)
    by_age = Retrained(of, BY_AGE, first)
    seen, rows = {}, []
    for key, monitored in watched.months.items():
        seen[key] = monitored if by_age.champion is first else watch(wiring.workspace(), key)
        rows.append(by_age.decided(key, seen[key]))
    sliding = BY_AGE.model_copy(update={"window": WindowSettings(policy="sliding", days=91)})
    asked = Retrained(of, sliding, by_age.champion).decided("2013-11", seen["2013-11"], forced=True)
    decayed = Retrained(of, LONGER, first).decided("2013-09", watched.months["2013-09"])
    celsius = Retrained(of, LONGER, first).decided("2013-09", watched.celsius)
    return [
        *rows,
        replace(asked, month="2013-11, from three months"),
        replace(decayed, month="2013-09, nothing merged before"),
        replace(celsius, month="2013-09, in °C"),
    ]


def september(given: dict[str, Any], gate: GateSettings, watched: Watched) -> list[Decided]:
    """Return what is due after September, and after one in degrees Celsius; nothing is trained."""
    first, of = _stored(wiring.workspace(), FIRST), (given, gate)
    both = (watched.months["2013-09"], watched.celsius)
    return [Retrained(of, LONGER, first).decided("2013-09", monitored, dry=True) for monitored in both]


def lines(rows: Sequence[Decided]) -> Sequence[str]:
    """Return the table of the guide."""
    head = ["month", "monitor", "due", "candidate", "average precision", "outcome", "on the following month"]
    table = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for row in rows:
        due = row.due.split(";")[0]
        outcome_of = f"{row.outcome}: {row.against[0]}" if row.against else row.outcome
        cells = [_change(row.figures), outcome_of, _change(row.following)]
        table.append(f"| {' | '.join([row.month, row.monitor, due, row.window, *cells])} |")
    return table


def _change(figures: Figures) -> str:
    if METRIC not in figures:
        return ""
    before, after, gain, low, high = (math.nan if value is None else value for value in figures[METRIC])
    return f"{before:.3f} to {after:.3f}: {gain:+.3f} [{low:+.3f}, {high:+.3f}]"


def targets(rows: Sequence[Decided]) -> dict[str, bool]:
    """Return what must hold: a merged candidate recovers, one is refused, and broken data retrain nothing."""
    gains = [row.following[METRIC][3] for row in rows if row.following]
    refused = [row for row in rows if row.outcome == Outcome.WORSE]
    return {
        "a_merged_retraining_gains_on_the_following_month": any(low is not None and low > 0 for low in gains),
        "the_decay_of_september_is_retrained": any(
            row.outcome == Outcome.BETTER and row.due.startswith(Cause.PERFORMANCE) for row in rows
        ),
        "three_months_are_worse_and_refused": [row.figures[METRIC][2] for row in refused if row.figures] != [],
        "celsius_retrains_nothing": rows[-1].due.startswith(Standstill.BROKEN_DATA),
    }


def of_september(rows: Sequence[Decided]) -> dict[str, bool]:
    """Return what must hold of both Septembers: the decay makes a retraining due, with rows for it, the fault none."""
    return {
        "the_decay_of_september_is_due": rows[0].due.startswith(Cause.PERFORMANCE) and bool(rows[0].window),
        "celsius_retrains_nothing": rows[-1].due.startswith(Standstill.BROKEN_DATA),
    }


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
