"""The statistics of a table, and the port that computes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Literal, Protocol

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

Kind = Literal["number", "text", "time", "boolean", "other"]


@dataclass(frozen=True)
class ColumnStatistics:
    """Aggregates of one column; those that do not apply to its kind are None or empty.

    ``nulls`` counts NaN too. ``minimum`` and ``maximum`` are numbers, or UTC times in ISO 8601.
    ``quantiles`` are values that occur, in the order of ``QUANTILES``. ``top`` holds the most
    frequent values with their rows. ``trues`` counts the true rows of a boolean column.
    """

    name: str
    type: str
    kind: Kind
    nulls: int
    minimum: float | str | None = None
    maximum: float | str | None = None
    mean: float | None = None
    quantiles: tuple[float, ...] = ()
    distinct: int | None = None
    top: tuple[tuple[str, int], ...] = ()
    trues: int | None = None


@dataclass(frozen=True)
class PartitionStatistics:
    """Counts of one partition; ``daily`` has the rows of each day that has any, in order."""

    partition: str
    rows: int
    columns: tuple[ColumnStatistics, ...]
    daily: tuple[tuple[date, int], ...] = ()
    newest: datetime | None = None

    def column(self, name: str) -> ColumnStatistics | None:
        """Return the column of that name, if there is one."""
        return next((column for column in self.columns if column.name == name), None)

    def null_rate(self, name: str) -> float | None:
        """Return the share of rows without a value in a column; None without the column or any row."""
        column = self.column(name)
        return column.nulls / self.rows if column and self.rows else None


@dataclass(frozen=True)
class Orphans:
    """Counts the rows whose values in ``columns`` no row of ``table`` has in ``references``."""

    columns: tuple[str, ...]
    table: str
    references: tuple[str, ...]


@dataclass(frozen=True)
class Duplicates:
    """Counts the rows that share their values in ``columns`` with another row."""

    columns: tuple[str, ...]


Question = Orphans | Duplicates


@dataclass(frozen=True)
class Count:
    """The result: ``rows`` of the ``of`` rows without a null in the columns, and the most frequent values."""

    rows: int
    of: int
    samples: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Return the share of the rows, 0 if there are none."""
        return self.rows / self.of if self.of else 0.0


@dataclass(frozen=True)
class Survey:
    """What to count: one partition of a table, earlier ones (nearest first), and questions about rows.

    ``timezone`` is the IANA zone in which a day begins; ``others`` are the files of the tables
    that questions name.
    """

    table: str
    partition: str
    path: Path
    timezone: str
    history: tuple[tuple[str, Path], ...] = ()
    questions: tuple[Question, ...] = ()
    others: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class TableStatistics:
    """The result of a ``Survey``; a question about a missing column has no answer.

    ``begin`` and ``end`` bound the partition, end excluded; both are None for a static table.
    """

    table: str
    current: PartitionStatistics
    history: tuple[PartitionStatistics, ...] = ()
    answers: Mapping[Question, Count] = field(default_factory=dict)
    begin: datetime | None = None
    end: datetime | None = None


class Statistician(Protocol):
    """Computes the statistics that a survey asks for."""

    def measure(self, survey: Survey) -> TableStatistics:
        """Return the counts, ``begin`` and ``end`` unset; raises ``SourceError`` for a file it cannot read."""
        ...
