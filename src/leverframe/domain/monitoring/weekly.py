"""The classifier of weeks in a run: rows are drawn as they come, and judged when their week is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from leverframe.domain.features.online import EPOCH, microseconds_of
from leverframe.domain.monitoring.batch import NO_TIME, Batch, Floats
from leverframe.domain.monitoring.binning import Binning
from leverframe.domain.monitoring.domain_classifier import (
    Discriminator,
    Draw,
    Separated,
    encoded,
    null_areas,
    separated,
)
from leverframe.domain.monitoring.reference import Reference
from leverframe.domain.partition import Partition
from leverframe.settings.monitor import MonitorSettings
from leverframe.settings.periods import Period


@dataclass
class Weeks:
    """At most ``most`` rows of each week, or month, as matrices of the features that are compared."""

    binnings: Mapping[str, Binning]
    period: Period
    timezone: str
    most: int
    draw: Draw = field(init=False)

    def __post_init__(self) -> None:
        """Begin without rows."""
        self.draw = Draw(self.most)

    @classmethod
    def of(cls, reference: Reference, settings: MonitorSettings) -> Weeks:
        """Return the weeks of traffic of the model."""
        columns = [
            column for column in reference.profile.columns if column.role == "feature" and column.column.kind != "text"
        ]
        chosen, bins = settings.classifier, {column.column.name: column.binning for column in columns}
        return cls(bins, chosen.period, reference.timezone, chosen.rows)

    def add(self, batch: Batch) -> None:
        """Take the rows of a batch, each into its week."""
        timed = np.flatnonzero(batch.at != NO_TIME)
        if not len(timed):
            return
        matrix = encoded(self.binnings, batch.columns, batch.rows)
        low, high = (self._of(int(batch.at[timed].min())), self._of(int(batch.at[timed].max())))
        for ordinal in range(low.ordinal, high.ordinal + 1):
            week = Partition(self.period, ordinal)
            start, end = (microseconds_of(partition.start(self.timezone)) for partition in (week, week.plus(1)))
            there = (batch.at >= start) & (batch.at < end)
            if there.any():
                self.draw.add(str(week), matrix[there])

    def over(self, now: datetime) -> dict[str, Floats]:
        """Return the rows of the weeks that are over, oldest first."""
        return {
            name: rows
            for name, rows in self.draw.rows.items()
            if Partition.of(name, self.period).plus(1).start(self.timezone) <= now
        }

    def _of(self, microseconds: int) -> Partition:
        at = EPOCH + np.timedelta64(microseconds, "us").astype(object)
        return Partition.at(at.astimezone(ZoneInfo(self.timezone)).replace(tzinfo=None), self.period)


def week_areas(reference: Weeks, discriminator: Discriminator) -> tuple[float, ...]:
    """Return how well each week of the reference is told from the others, which is computed once a model."""
    return null_areas(reference.draw.rows, discriminator, reference.most)


@dataclass(frozen=True)
class WeeklyClassifier:
    """The weeks of the reference with how well each is told from the others, and who tells them apart."""

    reference: Weeks
    areas: Sequence[float]
    discriminator: Discriminator

    def judged(self, live: Weeks, settings: MonitorSettings, now: datetime) -> Separated:
        """Return what it says of the weeks of live traffic that are over."""
        known = self.reference.draw.rows, self.areas
        return separated(known, live.over(now), list(live.binnings), self.discriminator, settings)


def in_words(separation: Separated) -> str:
    """Return what it says where nothing is wrong, and why where it says nothing."""
    if separation.skipped:
        return f"no classifier looked at columns together: {separation.skipped}"
    newest, usual = separation.live[-1], f"{np.mean(separation.reference):.3f}" if separation.reference else "unknown"
    return (
        f"a classifier tells the rows of {newest.period} from the reference with an AUC of {newest.auc:.3f}; among "
        f"weeks of the reference it is {usual} on average"
    )
