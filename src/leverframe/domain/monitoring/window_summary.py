"""What a window of live traffic comes to: small, put together batch by batch, in any order and from any number of logs.

Nothing of a row is kept but a hash of its id, and of levels only those that ten rows share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from leverframe.domain.features.online import EPOCH, microseconds_of
from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.monitoring.batch import NO_TIME, Batch, Ints, Levels, Numbers, Values
from leverframe.domain.monitoring.binning import SHARED, Binning, Counts
from leverframe.domain.monitoring.log_histogram import LogHistogram
from leverframe.domain.monitoring.monitored_column import MonitoredColumn
from leverframe.domain.monitoring.score_histogram import BINS, certainty, score_counts
from leverframe.domain.partition import Partition

_SHOWN, _KEPT = 5, 2000  # new levels that are named, and that are counted one by one
_HOUR = 3.6e9  # microseconds


@dataclass(frozen=True)
class WindowSpan:
    """A window and its timestamps: from ``start`` to before ``end``."""

    name: str
    start: datetime
    end: datetime

    @classmethod
    def of(cls, partition: Partition, timezone: str) -> WindowSpan:
        """Return the window of a partition."""
        return cls(str(partition), partition.start(timezone), partition.plus(1).start(timezone))


@dataclass
class ColumnSummary:
    """A column in a window: ``rows`` had it, ``absent`` ones came from a log without it.

    Of the rows ``missing`` had no value, ``unreadable`` one of another type (they count as missing, too), ``new`` a
    level that the reference does not have, ``outside`` a number beyond its range, ``forbidden`` a level that the
    schema does not allow, ``numeric`` a level that is a number. ``counts`` are the rows in the bins of the reference.
    """

    rows: int = 0
    absent: int = 0
    missing: int = 0
    unreadable: int = 0
    new: int = 0
    outside: int = 0
    forbidden: int = 0
    numeric: int = 0
    total: float = 0.0
    minimum: float = np.inf
    maximum: float = -np.inf
    counts: Counts | None = None
    new_levels: Counter[str] = field(default_factory=Counter)

    @property
    def known(self) -> int:
        """The rows with a value."""
        return self.rows - self.missing

    @property
    def mean(self) -> float | None:
        """The mean of the numbers; None where there is none."""
        numbers = self.known and self.minimum <= self.maximum and np.isfinite(self.total)
        return self.total / self.known if numbers else None

    def named(self) -> tuple[tuple[str, int], ...]:
        """Return the most frequent new levels that enough rows share to be named, and their rows."""
        shared = [(level, rows) for level, rows in self.new_levels.items() if rows >= SHARED]
        return tuple(sorted(shared, key=lambda pair: (-pair[1], pair[0]))[:_SHOWN])

    def add(self, values: Values, column: MonitoredColumn | None, bins: Binning | None) -> None:
        """Take in the values of a column; ``column`` says what is possible."""
        if isinstance(values, Numbers):
            self._add_numbers(values, column)
        else:
            self._add_levels(values, column, bins)
        if bins is not None:
            counted = bins.counts(values)
            self.new += counted.new
            self.counts = counted if self.counts is None else self.counts + counted

    def merge(self, other: ColumnSummary) -> None:
        """Add what another one counted in the same bins."""
        for name in ("rows", "absent", "missing", "unreadable", "new", "outside", "forbidden", "numeric", "total"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.minimum, self.maximum = min(self.minimum, other.minimum), max(self.maximum, other.maximum)
        if other.counts is not None:
            self.counts = other.counts if self.counts is None else self.counts + other.counts
        self._count_new(other.new_levels)

    def _add_numbers(self, values: Numbers, column: MonitoredColumn | None) -> None:
        numbers = values.values
        known = numbers[~np.isnan(numbers)]
        self.rows += len(numbers)
        self.missing += len(numbers) - len(known)
        self.unreadable += values.unreadable
        if not len(known):
            return
        with np.errstate(over="ignore"):  # a sum that no double holds has no mean
            self.total += float(known.sum())
        self.minimum = min(self.minimum, float(known.min()))
        self.maximum = max(self.maximum, float(known.max()))
        if column is not None and (column.minimum is not None or column.maximum is not None):
            low, high = column.minimum, column.maximum
            least, most = -np.inf if low is None else low, np.inf if high is None else high
            if self.minimum < least or self.maximum > most:
                self.outside += int(((known < least) | (known > most)).sum())

    def _add_levels(self, values: Levels, column: MonitoredColumn | None, bins: Binning | None) -> None:
        self.rows += len(values.codes)
        known = values.codes[values.codes >= 0]
        self.missing += len(values.codes) - len(known)
        if not len(known):
            return
        rows = np.bincount(known, minlength=len(values.names))
        numeric = np.array([_is_number(name) for name in values.names], np.bool_)
        self.numeric += int(rows[numeric].sum())
        if column is not None and column.allowed is not None:
            allowed = frozenset(column.allowed)
            forbidden = np.array([name not in allowed for name in values.names], np.bool_)
            self.forbidden += int(rows[forbidden].sum())
        if bins is not None:
            known_names = frozenset(bins.names)
            self._count_new(
                {name: int(n) for name, n in zip(values.names, rows, strict=True) if n and name not in known_names}
            )

    def _count_new(self, levels: Mapping[str, int]) -> None:
        self.new_levels.update(levels)
        if len(self.new_levels) > 2 * _KEPT:
            self.new_levels = Counter(dict(self.new_levels.most_common(_KEPT)))


@dataclass
class ReleaseRows:
    """The rows that a release predicted in a window, from the first to the last, in microseconds since the epoch."""

    rows: int
    first: int
    last: int


@dataclass
class WindowSummary:
    """A window: rows and requests, what was asked twice, columns, predictions, durations, lookups, releases.

    ``future`` rows have a timestamp after the clock of the monitor. ``looked_up`` rows had their features looked up;
    ``missed`` of them had a key that a table lacks. ``scores`` are those of `score_counts`. ``first`` and ``last`` are
    timestamps of rows in microseconds.
    """

    span: WindowSpan
    rows: int = 0
    requests: int = 0
    future: int = 0
    columns: dict[str, ColumnSummary] = field(default_factory=dict)
    prediction: ColumnSummary = field(default_factory=ColumnSummary)
    scores: Ints = field(default_factory=lambda: np.zeros(BINS, np.int64), repr=False)
    latency: LogHistogram = field(default_factory=LogHistogram)
    age: LogHistogram = field(default_factory=LogHistogram)  # hours from the end of the snapshot to the prediction
    looked_up: int = 0
    missed: Counter[str] = field(default_factory=Counter)
    releases: dict[str, ReleaseRows] = field(default_factory=dict)
    first: int | None = None
    last: int | None = None
    _hashes: list[NDArray[np.uint64]] = field(default_factory=list, repr=False)

    @property
    def duplicates(self) -> int:
        """The rows whose id and place had been there before."""
        if len(self._hashes) > 1:
            self._hashes = [np.concatenate(self._hashes)]
        if not self._hashes:
            return 0
        self._hashes[0].sort()
        return int((self._hashes[0][1:] == self._hashes[0][:-1]).sum())

    def merge(self, other: WindowSummary) -> None:
        """Add what another one counted of the same window."""
        for name in ("rows", "requests", "future", "looked_up"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name, column in other.columns.items():
            self.columns.setdefault(name, ColumnSummary()).merge(column)
        self.prediction.merge(other.prediction)
        self.scores = self.scores + other.scores
        self.latency.merge(other.latency)
        self.age.merge(other.age)
        self.missed.update(other.missed)
        for release, rows in other.releases.items():
            self._count_release(release, rows)
        self._see(other.first, other.last)
        self._hashes += other._hashes

    def add(self, batch: Batch, setting: SummarySetting) -> None:
        """Take in rows that all lie in the window."""
        self.rows += batch.rows
        self.requests += batch.rows if batch.place is None else int((batch.place == 0).sum())
        self.future += int((batch.at > setting.now_us).sum())
        for column in setting.columns:
            summary = self.columns.setdefault(column.name, ColumnSummary())
            if column.name in batch.columns:
                summary.add(batch.columns[column.name], column, setting.bins.get(column.name))
            else:
                summary.absent += batch.rows
        self.prediction.add(predictions_of(batch, setting.classes), None, setting.prediction)
        sure = certainty(setting.kind, batch.predictions)
        if sure is not None:
            self.scores = self.scores + score_counts(sure)
        self.latency.add(batch.milliseconds)
        self._add_lookups(batch)
        self._add_releases(batch)
        self._see(int(batch.at.min()), int(batch.at.max()))
        self._hashes.append(batch.row[batch.row != 0])

    def _add_lookups(self, batch: Batch) -> None:
        looked_up = batch.snapshot != NO_TIME
        self.looked_up += int(looked_up.sum())
        self.age.add((batch.at - batch.snapshot)[looked_up] / _HOUR)
        for table, rows in batch.missed.items():
            count = int(rows.sum())
            if count:
                self.missed[table] += count

    def _add_releases(self, batch: Batch) -> None:
        for code in np.unique(batch.release.codes).tolist():
            at = batch.at[batch.release.codes == code]
            name = batch.release.names[code] if code >= 0 else ""
            self._count_release(name, ReleaseRows(len(at), int(at.min()), int(at.max())))

    def _count_release(self, name: str, rows: ReleaseRows) -> None:
        before = self.releases.get(name)
        self.releases[name] = (
            rows
            if before is None
            else ReleaseRows(before.rows + rows.rows, min(before.first, rows.first), max(before.last, rows.last))
        )

    def _see(self, first: int | None, last: int | None) -> None:
        if first is not None and last is not None:
            self.first = first if self.first is None else min(self.first, first)
            self.last = last if self.last is None else max(self.last, last)


@dataclass(frozen=True)
class SummarySetting:
    """How rows are summed up: columns, the bins of those that are compared, and of the prediction.

    ``classes`` are those of a model of many classes, else empty; ``kind`` is that of its label. ``now`` is the clock
    of the monitor.
    """

    columns: tuple[MonitoredColumn, ...]
    now: datetime
    bins: Mapping[str, Binning] = field(default_factory=dict)
    prediction: Binning | None = None
    classes: tuple[str, ...] = ()
    kind: LabelKind = "binary"

    @property
    def now_us(self) -> int:
        """The clock in microseconds since the epoch."""
        return microseconds_of(self.now)


def minute(microseconds: int) -> str:
    """Return the timestamp of a row as findings write it."""
    return f"{EPOCH + timedelta(microseconds=microseconds):%Y-%m-%d %H:%M} UTC"


class Summaries:
    """All windows, oldest first, to which batches are added."""

    def __init__(self, spans: Sequence[WindowSpan], setting: SummarySetting) -> None:
        self.windows = tuple(WindowSummary(span) for span in spans)
        self.outside = 0  # rows that no window holds
        self._setting = setting
        self._starts = np.array([microseconds_of(span.start) for span in spans], np.int64)
        self._ends = np.array([microseconds_of(span.end) for span in spans], np.int64)

    def add(self, batch: Batch) -> None:
        """Take in rows, each where it belongs."""
        if not len(self._starts):
            self.outside += batch.rows
            return
        place = np.searchsorted(self._starts, batch.at, side="right") - 1
        held = (place >= 0) & (batch.at < self._ends[np.maximum(place, 0)])
        place = np.where(held, place, -1)
        low, high = int(place.min(initial=0)), int(place.max(initial=-1))
        if low == high and batch.rows:
            parts = [(low, batch)]
        else:
            order = np.argsort(place, kind="stable")
            numbers, first = np.unique(place[order], return_index=True)
            ends = [*first[1:].tolist(), batch.rows]
            parts = [
                (number, taken(batch, order[start:end]))
                for number, start, end in zip(numbers.tolist(), first.tolist(), ends, strict=True)
            ]
        for number, part in parts:
            if number < 0:
                self.outside += part.rows
            else:
                self.windows[number].add(part, self._setting)


def taken(batch: Batch, rows: NDArray[np.int64]) -> Batch:
    """Return some rows of a batch."""
    return Batch(
        at=batch.at[rows],
        row=batch.row[rows],
        columns={name: _taken(values, rows) for name, values in batch.columns.items()},
        predictions=batch.predictions[rows],
        release=Levels(batch.release.codes[rows], batch.release.names),
        milliseconds=batch.milliseconds[rows],
        snapshot=batch.snapshot[rows],
        missed={table: flags[rows] for table, flags in batch.missed.items()},
        place=None if batch.place is None else batch.place[rows],
    )


def predictions_of(batch: Batch, classes: tuple[str, ...]) -> Values:
    """Return the predictions as a column: the most probable of many ``classes``, else the numbers."""
    if batch.predictions.ndim == 1:
        return Numbers(batch.predictions)
    missing = np.isnan(batch.predictions).any(axis=1)
    codes = np.where(missing, -1, np.nan_to_num(batch.predictions, nan=-1.0).argmax(axis=1))
    return Levels(codes.astype(np.int32), classes)


def _taken(values: Values, rows: NDArray[np.int64]) -> Values:
    if isinstance(values, Levels):
        return Levels(values.codes[rows], values.names)
    strange = None if values.strange is None else values.strange[rows]
    return Numbers(values.values[rows], 0 if strange is None else int(strange.sum()), strange)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
