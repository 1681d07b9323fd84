"""A champion under watch: what the monitor's own rules say of it each day of a history (``retrain_worlds``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np

from benchmarks.retrain_worlds import (
    FEATURES,
    HOLDOUT,
    LIVE,
    START,
    TRAIN,
    Floats,
    RetrainWorld,
    fitted,
    history,
    importances,
    predicted,
)
from leverframe.domain.model.evaluate.holdout import Holdout
from leverframe.domain.monitoring.batch import LabelledRows, Numbers
from leverframe.domain.monitoring.binning import Binning
from leverframe.domain.monitoring.drift import decisions, judged
from leverframe.domain.monitoring.engine import BuiltinEngine
from leverframe.domain.monitoring.finding import Finding
from leverframe.domain.monitoring.history import HistoryLine
from leverframe.domain.monitoring.monitor_result import ColumnFacts, Monitored, Provenance, RuleFacts, Span
from leverframe.domain.monitoring.monitored_column import MonitoredColumn
from leverframe.domain.monitoring.performance import WindowPerformance, performance_reference, window_performance
from leverframe.domain.monitoring.performance_findings import performance_facts
from leverframe.domain.monitoring.reference_counts import counted, reference_profile
from leverframe.domain.monitoring.reference_profile import WindowCounts
from leverframe.domain.monitoring.score_histogram import score_counts
from leverframe.domain.monitoring.self_test import bands_of
from leverframe.settings.monitor import MonitorSettings, PerformanceSettings
from leverframe.settings.retrain import RetrainSettings

_FIRST = date(2024, 1, 1)  # a Monday
_MONITOR = MonitorSettings(engine="builtin", performance=PerformanceSettings(metrics=["auc", "brier"]))
_LOOKED = 7  # windows in which drift is looked at
_NAMES = [f"x{number}" for number in range(FEATURES)]


@dataclass(frozen=True)
class Case:
    """A world, the delay of its labels in days, and how retraining is set up; ``within`` so many days it must help."""

    name: str
    world: RetrainWorld
    settings: RetrainSettings = field(default_factory=RetrainSettings)
    delay: int = 7
    within: int = 90


class Watch:
    """A champion, its reference, and what the monitor says each day."""

    def __init__(self, case: Case, seed: int) -> None:
        self.case, self.rows = case, history(case.world, seed)
        self.champion = self.fit(0, TRAIN - 1)
        self._parts = [self._labelled(day) for day in range(TRAIN, START + LIVE)]
        reference = {day_name(TRAIN + at): part for at, part in enumerate(self._parts[:HOLDOUT])}
        self._reference = performance_reference("binary", reference, ["auc", "brier"])
        self._known = [self._performance(part) for part in self._parts]
        self._blind = [self._performance(part, labelled=False) for part in self._parts]
        self._engine, self._lines = BuiltinEngine(), list[HistoryLine]()
        self._counted()

    def fit(self, first: int, last: int) -> Floats:
        """Return a model of days, both ends included."""
        rows = self.rows.between(first, last)
        return fitted(self.rows.features[rows], self.rows.labels[rows])

    def holdout(self, weights: Floats, first: int, last: int) -> Holdout:
        """Return what a model predicts for days, both ends included."""
        rows = self.rows.between(first, last)
        predictions = predicted(weights, self.rows.features[rows])
        return Holdout("binary", ("0", "1"), self.rows.labels[rows], predictions, self.rows.days[rows] - first, {})

    def monitored(self, day: int) -> Monitored:
        """Return what a run of the monitor finds after the day of the watch is over."""
        newest = HOLDOUT + day
        looked = range(max(HOLDOUT, newest - _MONITOR.lookback + 1), newest + 1)
        labelled = newest - self.case.delay
        windows = {day_name(TRAIN + at): self._known[at] if at <= labelled else self._blind[at] for at in looked}
        _, findings = performance_facts(self._reference, windows, _MONITOR)
        all_findings = (*self._drift(day), *findings)
        self._remember(newest, labelled, all_findings)
        return _result(self._columns, all_findings, now_after(day))

    @property
    def lines(self) -> tuple[HistoryLine, ...]:
        """What earlier runs found."""
        return tuple(self._lines)

    def _labelled(self, day: int) -> LabelledRows:
        rows = self.rows.between(day, day)
        labels = self.rows.labels[rows]
        nothing = np.zeros(len(labels))
        return LabelledRows(
            nothing.astype(np.int64), labels, predicted(self.champion, self.rows.features[rows]), nothing
        )

    def _performance(self, part: LabelledRows, *, labelled: bool = True) -> WindowPerformance:
        scores, rows = score_counts(part.predictions), len(part.labels)
        known = part if labelled else None
        return window_performance("binary", known, scores, self._reference.calibrator, rows)

    def _counted(self) -> None:
        """Count every day in the bins of the reference, and decide on drift of all of them at once."""
        first = self.rows.between(TRAIN, START - 1)
        inner = np.quantile(self.rows.features[first], np.arange(1, 100) / 100, axis=0).T
        bins = {name: Binning("quantiles", tuple(edges.tolist())) for name, edges in zip(_NAMES, inner, strict=True)}
        self._windows = []
        for day in range(TRAIN, START + LIVE):
            rows = self.rows.between(day, day)
            values = {name: Numbers(self.rows.features[rows, at]) for at, name in enumerate(_NAMES)}
            size = rows.stop - rows.start
            self._windows.append(WindowCounts(day_name(day), day_name(day), size, counted(bins, values)))
        shares = importances(self.champion)
        named = zip(_NAMES, shares, strict=True)
        columns = [(MonitoredColumn(name, "numeric", importance=share), "feature") for name, share in named]
        self._profile = reference_profile(columns, bins, self._windows[:HOLDOUT], self._engine)  # type: ignore[arg-type]
        decided = decisions(self._profile, bands_of(self._profile), self._live(0, LIVE - 1), _MONITOR, self._engine)
        self._fires = np.array([[one.fires for one in decided[name]] for name in _NAMES]).any(axis=0)
        self._columns = tuple(
            ColumnFacts(name, "feature", "numeric", share, "KS", None, None, None, None, 0.0, None, ())
            for name, share in zip(_NAMES, shares, strict=True)
        )

    def _live(self, first: int, last: int) -> list[WindowCounts]:
        """Return windows of days of the watch, in the bins of the profile, which halves them for a pool a season."""
        bins = {column.column.name: column.binning for column in self._profile.columns}
        windows = []
        for counts in self._windows[HOLDOUT + first : HOLDOUT + last + 1]:
            columns = {
                name: one
                if len(one.bins) == bins[name].size
                else replace(one, bins=np.add.reduceat(one.bins, np.arange(0, len(one.bins), 2)))
                for name, one in counts.columns.items()
            }
            windows.append(replace(counts, columns=columns))
        return windows

    def _drift(self, day: int) -> tuple[Finding, ...]:
        if not self._fires[day]:
            return ()
        live = self._live(max(0, day - _LOOKED + 1), day)  # the history says since when
        return judged(self._profile, live, _MONITOR, self._engine).findings

    def _remember(self, newest: int, labelled: int, findings: Sequence[Finding]) -> None:
        for at, part in ((newest, "traffic"), (labelled, "performance")):
            name = day_name(TRAIN + at)
            keys = {one.key: one.severity.value for one in findings if one.since <= name <= one.window}
            self._lines.append(
                HistoryLine("m", "e", name, name, part, "reference", 1, 1, None, None, keys, {}, ())  # type: ignore[arg-type]
            )


def _result(columns: tuple[ColumnFacts, ...], findings: tuple[Finding, ...], now: datetime) -> Monitored:
    rule, span = RuleFacts("K", 0.0, HOLDOUT, "none", 0, HOLDOUT, ""), Span(0, 0, "", "")
    provenance = Provenance("", "", "reference", "", "", "", "")
    return Monitored(
        "m", "e", now.isoformat(), "", span, span, rule, (), columns, (), findings, (), (), (), (), provenance
    )


def day_name(day: int) -> str:
    """Return the key of a day."""
    return str(_FIRST + timedelta(days=day))


def now_after(day: int) -> datetime:
    """Return when the day of the watch is over."""
    return datetime.combine(_FIRST, datetime.min.time(), UTC) + timedelta(days=START + day + 1)


def number_of(key: str) -> int:
    """Return the day of a key."""
    return (date.fromisoformat(key) - _FIRST).days
