"""What live traffic of a model is compared with: made once a model, of rows it did not learn from, and without them.

It is the ``profile.json`` beside the results: counts, statistics and metrics a window, never a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.features.online import EPOCH, microseconds_of
from leverframe.domain.features.training_set import Label
from leverframe.domain.monitoring.batch import NO_TIME, Batch, Ints, LabelledRows
from leverframe.domain.monitoring.binning import Binning, Counts, binning, binnings
from leverframe.domain.monitoring.engine import Engine
from leverframe.domain.monitoring.monitored_column import MonitoredColumn
from leverframe.domain.monitoring.new_levels import judged_by_others
from leverframe.domain.monitoring.performance import PerformanceReference, performance_reference
from leverframe.domain.monitoring.reference_counts import reference_profile
from leverframe.domain.monitoring.reference_profile import ReferenceProfile, Role, WindowCounts
from leverframe.domain.monitoring.subject import Subject
from leverframe.domain.monitoring.window_summary import (
    Summaries,
    SummarySetting,
    WindowSpan,
    WindowSummary,
    predictions_of,
    taken,
)
from leverframe.domain.partition import Partition
from leverframe.errors import SourceError
from leverframe.settings.monitor import MonitorSettings, Window

VERSION = 1
PREDICTION = "prediction"


@dataclass(frozen=True)
class Reference:
    """The reference of a model; ``made_of`` is the digest of all that it was made from.

    ``weeks`` are how well a classifier tells each of its weeks from the others; None where none has tried yet.
    """

    version: int
    model: str
    label: Label
    classes: tuple[str, ...]
    timezone: str
    made_of: str
    profile: ReferenceProfile
    performance: PerformanceReference
    weeks: tuple[float, ...] | None = None

    @property
    def columns(self) -> tuple[MonitoredColumn, ...]:
        """The features that are looked at."""
        return tuple(column.column for column in self.profile.columns if column.role == "feature")

    @property
    def consistent(self) -> bool:
        """Whether every figure is there for every window, and the time zone is one: a file may have been edited."""
        many, of_labels = len(self.profile.windows), len(self.performance.windows)
        columns = (
            len(part) == many
            for column in self.profile.columns
            for part in (column.statistics, column.missing, column.new)
        )
        figures = (*self.performance.realised, *self.performance.estimates, *self.performance.gaps)
        series = (len(part) == of_labels for figure in figures for part in (figure.values, figure.errors))
        return many > 0 and self.timezone in available_timezones() and all(columns) and all(series)

    def setting(self, now: datetime) -> SummarySetting:
        """Return how live traffic is summed up, so that it can be compared."""
        bins: dict[str, Binning] = {
            column.column.name: column.binning for column in self.profile.columns if column.role == "feature"
        }
        prediction = next((column.binning for column in self.profile.columns if column.role == PREDICTION), None)
        many = self.classes if self.label.kind == "multiclass" else ()
        return SummarySetting(self.columns, now, bins, prediction, many, self.label.kind)


def made(
    subject: Subject, rows: Batch, labels: LabelledRows | None, settings: MonitorSettings, engine: Engine, made_of: str
) -> Reference:
    """Return the reference of a model; raises ``SourceError`` where no row has a timestamp."""
    kept = _within(rows.at, settings, subject.timezone)
    if not kept.any():
        raise SourceError(
            "the reference of the monitor has no rows",
            why="no row has a timestamp, or none lies between `monitor.reference.first` and `last`",
            next="look at these settings in leverframe.yaml, and at the rows of the hold-out",
        )
    batch, prediction = taken(rows, np.flatnonzero(kept)), prediction_column(subject)
    spans = spans_between(_at(rows.at[kept].min()), _at(rows.at[kept].max()), settings.window, subject.timezone)
    many = subject.classes if subject.label.kind == "multiclass" else ()
    bins = binnings(subject.columns, batch.columns)
    predicted = binning(prediction, predictions_of(batch, many))
    far = _at(int(rows.at.max())) + timedelta(days=1)  # no row of the reference is of the future
    summaries = Summaries(spans, SummarySetting(subject.columns, far, bins, predicted, many, subject.label.kind))
    summaries.add(batch)
    counted = [window_counts(summary, prediction.name) if summary.rows else None for summary in summaries.windows]
    roles: list[tuple[MonitoredColumn, Role]] = [(column, "feature") for column in subject.columns]
    profile = reference_profile(
        [*roles, (prediction, "prediction")],
        {**bins, prediction.name: predicted},
        judged_by_others(counted, batch, spans, bins),
        engine,
        match=settings.match,
        minimum_rows=settings.minimum_rows,
    )
    named = {} if labels is None else labelled_windows(labels, spans)
    performance = performance_reference(subject.label.kind, named, settings.performance.metrics)
    return Reference(
        VERSION, subject.model, subject.label, subject.classes, subject.timezone, made_of, profile, performance
    )


def prediction_column(subject: Subject) -> MonitoredColumn:
    """Return the prediction as one more column: a number, or the most probable of many classes."""
    many = subject.label.kind == "multiclass"
    return MonitoredColumn(PREDICTION, "categorical" if many else "numeric", nullable=False)


def window_counts(summary: WindowSummary, prediction: str = PREDICTION) -> WindowCounts:
    """Return what of a window is compared with the reference."""
    columns: dict[str, Counts] = {
        name: column.counts for name, column in summary.columns.items() if isinstance(column.counts, Counts)
    }
    if isinstance(summary.prediction.counts, Counts):
        columns[prediction] = summary.prediction.counts
    return WindowCounts(summary.span.name, summary.span.start.isoformat(), summary.rows, columns)


def spans_between(first: datetime, last: datetime, period: Window, timezone: str) -> list[WindowSpan]:
    """Return the windows from that of a timestamp to that of another."""
    zone = ZoneInfo(timezone)
    start, end = (Partition.at(timestamp.astimezone(zone).replace(tzinfo=None), period) for timestamp in (first, last))
    return [WindowSpan.of(start.plus(count), timezone) for count in range(end.ordinal - start.ordinal + 1)]


def labelled_windows(rows: LabelledRows, spans: Sequence[WindowSpan]) -> Mapping[str, LabelledRows]:
    """Return the labelled rows by the name of their window; rows outside of all windows are left out."""
    starts = np.array([microseconds_of(span.start) for span in spans], np.int64)
    ends = np.array([microseconds_of(span.end) for span in spans], np.int64)
    place = np.searchsorted(starts, rows.at, side="right") - 1
    place = np.where((place >= 0) & (rows.at < ends[np.maximum(place, 0)]), place, -1)
    by_window = {}
    for number in np.unique(place[place >= 0]).tolist():
        there = place == number
        by_window[spans[number].name] = LabelledRows(
            rows.at[there], rows.labels[there], rows.predictions[there], rows.delay[there]
        )
    return by_window


def _within(at: Ints, settings: MonitorSettings, timezone: str) -> NDArray[np.bool_]:
    """Return which rows have a timestamp between the days that settings name, both included."""
    ends = []
    for day, more in ((settings.reference.first, 0), (settings.reference.last, 1)):
        ends.append(None if day is None else Partition.of(day, "day").plus(more).start(timezone))
    first, last = ends
    kept = at != NO_TIME
    if first is not None:
        kept &= at >= microseconds_of(first)
    if last is not None:
        kept &= at < microseconds_of(last)
    return np.asarray(kept)


def _at(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=int(microseconds))
