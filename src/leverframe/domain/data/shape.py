"""Monitors of schema and keys: schema changes since the previous partition, foreign and unique keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from leverframe.domain.data.constraint import SAMPLES, Constraint, Severity, cut, significant
from leverframe.domain.data.statistics import Count, Duplicates, Orphans, PartitionStatistics, Question, TableStatistics
from leverframe.domain.data.trend import NO_HISTORY
from leverframe.domain.verdict import Reason


@dataclass(frozen=True)
class SchemaDiff:
    """The columns are the same as in the previous partition.

    Severities: ``added`` of a new column; ``nullable`` of the first null in a column that had none,
    None if the contract allows nulls anyway; ``breaking`` of a removed column or a changed type. A column
    without any value has no type that could change: files show such a column as text, or as null.
    """

    added: Severity = Severity.WARN
    nullable: Severity | None = Severity.WARN
    breaking: Severity = Severity.ERROR

    def judge(self, statistics: TableStatistics) -> tuple[Constraint, ...]:
        """Return one constraint, or one per changed column; skipped without an earlier partition."""
        constraint = Constraint(statistics.table, "schema", severity=self.breaking)
        if not statistics.history:
            return (constraint.skipped(NO_HISTORY),)
        before, now = statistics.history[0], statistics.current
        gone = [column for column in before.columns if now.column(column.name) is None]
        new = [column for column in now.columns if before.column(column.name) is None]
        changed = Reason.SCHEMA_CHANGED
        differences = [
            *(
                constraint.failed_by(changed, column=column.name, detail=f"removed; it was {column.type}")
                for column in gone
            ),
            *self._different(constraint, now, before),
            *(
                constraint.failed_by(changed, column=column.name, severity=self.added, detail=f"added as {column.type}")
                for column in new
            ),
        ]
        return tuple(differences) or (constraint,)

    def _different(
        self, constraint: Constraint, now: PartitionStatistics, before: PartitionStatistics
    ) -> Iterator[Constraint]:
        """Return a failed constraint for each column whose type or nulls are new."""
        for ours in now.columns:
            theirs, changed = before.column(ours.name), constraint.failed_by(Reason.SCHEMA_CHANGED, column=ours.name)
            if theirs is None:
                continue
            if ours.type != theirs.type and ours.nulls < now.rows and theirs.nulls < before.rows:
                yield replace(changed, detail=f"{theirs.type} in {before.partition}, {ours.type} now")
            elif self.nullable and before.rows and ours.nulls and not theirs.nulls:
                share, detail = significant(ours.nulls / now.rows), f"{before.partition} had no null in it"
                yield replace(changed, severity=self.nullable, count=ours.nulls, share=share, detail=detail)


@dataclass(frozen=True)
class ForeignKey:
    """Values of ``columns`` exist in another table, except for a tolerated share of orphans.

    ``table``: the other table. ``references``: its columns, by default of the same names.
    ``warn`` and ``error``: shares of orphans (0 to 1) among the rows without a null in
    ``columns``, above which the constraint fails with that severity; None for never.
    """

    columns: tuple[str, ...]
    table: str
    references: tuple[str, ...] = ()
    warn: float | None = None
    error: float | None = 0.0

    @property
    def question(self) -> Question:
        """Return what to count."""
        return Orphans(self.columns, self.table, self.references or self.columns)

    def judge(self, statistics: TableStatistics) -> tuple[Constraint, ...]:
        """Return one constraint about the share of orphans; it also fails when a column is missing."""
        constraint = Constraint(statistics.table, f"foreign_key({self.table})", column=", ".join(self.columns))
        count = statistics.answers.get(self.question)
        if count is None:
            return _missing(constraint, self.columns, statistics)
        for severity, limit in ((Severity.ERROR, self.error), (Severity.WARN, self.warn)):
            if limit is not None and count.share > limit:
                detail = f"not in `{self.table}`; at most {limit:.4g} of the rows may be"
                return (_failed(constraint, Reason.FOREIGN_KEY_BROKEN, severity, count, detail),)
        return (constraint,)


@dataclass(frozen=True)
class UniqueKey:
    """No two rows have the same values in ``columns``; rows with a null in them are ignored.

    ``severity`` is that of a duplicate key.
    """

    columns: tuple[str, ...]
    severity: Severity = Severity.ERROR

    def __post_init__(self) -> None:
        if isinstance(self.columns, str):  # one name, which would otherwise be read letter by letter
            object.__setattr__(self, "columns", (self.columns,))

    @property
    def question(self) -> Question:
        """Return what to count."""
        return Duplicates(self.columns)

    def judge(self, statistics: TableStatistics) -> tuple[Constraint, ...]:
        """Return one constraint about the rows that share their key; it also fails when a column is missing."""
        constraint = Constraint(statistics.table, "unique_key", column=", ".join(self.columns), severity=self.severity)
        count = statistics.answers.get(self.question)
        if count is None:
            return _missing(constraint, self.columns, statistics)
        if count.rows:
            return (_failed(constraint, Reason.KEY_DUPLICATED, self.severity, count, "rows that share their key"),)
        return (constraint,)


def _failed(constraint: Constraint, reason: Reason, severity: Severity, count: Count, detail: str) -> Constraint:
    samples = tuple(cut(sample) for sample in count.samples[:SAMPLES])
    fields = {"count": count.rows, "share": significant(count.share), "samples": samples}
    return constraint.failed_by(reason, severity=severity, detail=detail, **fields)


def _missing(constraint: Constraint, columns: Sequence[str], statistics: TableStatistics) -> tuple[Constraint, ...]:
    known = [column.name for column in statistics.current.columns]
    return tuple(constraint.without_column(column, known) for column in columns if column not in known)
