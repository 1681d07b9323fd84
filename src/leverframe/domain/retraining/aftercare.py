"""Whether a retrained model that was merged turns out worse than the one before it, on labels that came true since."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.evaluate.dependence import MINIMUM_DAYS
from leverframe.domain.model.evaluate.holdout import Holdout
from leverframe.domain.model.evaluate.metrics import METRICS
from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.monitoring.monitor_result import Monitored
from leverframe.domain.partition import Partition
from leverframe.domain.retraining.attempt import Comparison
from leverframe.domain.retraining.outcome import in_figures
from leverframe.domain.review.gate.paired import Pair, judged_metrics
from leverframe.settings.levers import GateSettings
from leverframe.settings.periods import period_of
from leverframe.settings.retrain import RetrainSettings

_WEEK = 7


@dataclass(frozen=True)
class Aftercare:
    """Whether the model is worse than the one before, and why in a sentence; ``comparison`` is None before a look.

    The candidate of the comparison is the model that is served, its champion the one before.
    """

    worse: bool
    why: str
    comparison: Comparison | None = None


def looks(watch_days: float) -> tuple[int, ...]:
    """Return after how many days since the merge the models are compared: two weeks, then every week of the watch.

    A watch of less than two weeks has none.
    """
    return tuple(range(MINIMUM_DAYS, int(watch_days) + 1, _WEEK))


def look_confidence(watch_days: float, settings: RetrainSettings) -> float:
    """Return the one-sided confidence of a look: all of a watch together may be wrong twice as often as one attempt."""
    return 1 - (1 - settings.confidence) * 2 / max(2, len(looks(watch_days)))


def aftercare(pair: Pair, settings: RetrainSettings, metric: str) -> Aftercare:
    """Compare the model that is served, ``pair.candidate``, with the one before on the same labelled rows.

    ``pair`` has the rows of whole days since the merge whose labels are due. A run a day looks at whole weeks only, so
    it says the same all week, and the number of looks is known beforehand (Bonferroni over them).
    """
    days = max((at for at in looks(settings.watch_days) if at <= pair.candidate.number_of_days), default=0)
    labelled = int((pair.candidate.days < days).sum())
    if not days or labelled < settings.minimum_rows or pair.champion is None:
        return Aftercare(worse=False, why=_waiting(pair.candidate, settings))
    side, before = _first_days(pair.candidate, days), _first_days(pair.champion, days)
    confidence = look_confidence(settings.watch_days, settings)
    metrics, _ = judged_metrics(Pair(side, before), GateSettings(confidence=confidence))
    comparison = Comparison(metric, confidence, labelled, days, tuple(metrics), 0, "", (), (), ())
    deciding = next((compared for compared in metrics if compared.metric == metric), None)
    if deciding is None or deciding.high is None:
        return Aftercare(worse=False, why=f"`{metric}` has no bound on the rows since the merge", comparison=comparison)
    worse = deciding.high < 0
    return Aftercare(worse, in_figures(deciding, comparison), comparison)


def deciding_metric(kind: LabelKind, settings: RetrainSettings, gate: GateSettings) -> str:
    """Return the metric that decides: that of the settings, else the first that the gate judges, else of the kind."""
    known = [metric.name for metric in METRICS[kind]]
    judged = [name for name in gate.metrics if name in known]
    return settings.metric or next(iter(judged or known))


def _first_days(side: Holdout, days: int) -> Holdout:
    rows = np.flatnonzero(side.days < days)
    return replace(
        side,
        labels=side.labels[rows],
        predictions=side.predictions[rows],
        days=side.days[rows],
        slices={name: values[rows] for name, values in side.slices.items()},
    )


def _waiting(side: Holdout, settings: RetrainSettings) -> str:
    days, rows = side.number_of_days, len(side.labels)
    return (
        f"{rows:,} rows of {days} days have a label since the merge; the models are compared from {MINIMUM_DAYS} days "
        f"and {settings.minimum_rows:,} rows"
    )


def by_band(monitored: Monitored | None, merged: datetime) -> Aftercare:
    """Judge by the monitor alone, where the model before cannot be asked: a realised finding since the merge is worse.

    That says worse than on the reference, not than the model before, so the sentence names what was compared. Windows
    of before the merge do not count, as another model predicted in them.
    """
    if monitored is None:
        return Aftercare(worse=False, why="there is no result of the monitor since the merge")
    realised = [finding for finding in monitored.findings if _is_realised(finding) and _begins(finding, merged)]
    compared = "compared with the band of the reference, as the model before predicts nothing here"
    if realised:
        return Aftercare(worse=True, why=f"{realised[0].what}; {compared}")
    return Aftercare(worse=False, why=f"no realised metric left its band since {merged.date()}; {compared}")


def _is_realised(finding: Finding) -> bool:
    performance = finding.kind is Kind.PERFORMANCE and finding.severity is Severity.CRITICAL
    return performance and not finding.explained_by


def _begins(finding: Finding, merged: datetime) -> bool:
    """Tell whether a finding began in a window that began on a day after the merge."""
    return period_of(finding.since) is not None and Partition.of(finding.since).begins.date() > merged.date()
