"""The result of comparing two revisions; frozen, complete, and without a single row of data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Change:
    """One change of what is declared: ``where`` names the table, feature or setting, ``what`` describes it.

    ``breaking`` if it can break a consumer of the base, additive otherwise.
    """

    where: str
    what: str
    breaking: bool


@dataclass(frozen=True)
class Estimate:
    """A number of rows: exact where ``low`` and ``high`` are ``value``, else with bounds of 95 % confidence or more."""

    value: int
    low: int
    high: int

    @property
    def exact(self) -> bool:
        """Tell whether the number is counted, not estimated."""
        return self.low == self.high


@dataclass(frozen=True)
class RowsDiff:
    """The rows ``before`` and ``after``; by key the ones added, removed and changed, None where it is not known."""

    before: int
    after: int
    added: Estimate | None = None
    removed: Estimate | None = None
    changed: Estimate | None = None


@dataclass(frozen=True)
class ColumnDiff:
    """How the values of one column differ in the partition where they differ most.

    ``psi`` is the population stability index there, None where no distribution was kept.
    ``before`` and ``after`` are the column's entries in the profiles. ``partitions`` counts where it differs.
    """

    column: str
    partition: str
    partitions: int
    psi: float | None
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True)
class TableDiff:
    """One table in all its partitions; ``features`` stands for the features of the plan.

    ``partitions`` holds the ones that differ, among them ``new`` and ``gone``, which only one side has.
    """

    table: str
    rows: RowsDiff
    partitions: Mapping[str, RowsDiff] = field(default_factory=dict)
    columns: tuple[ColumnDiff, ...] = ()
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Tell whether the table differs."""
        return bool(self.partitions or self.columns)


@dataclass(frozen=True)
class Diff:
    """All differences between the revisions ``base`` and ``head``.

    ``tables`` are those that differ; ``changes`` those of schemas, contracts, the definition and
    the settings; ``notes`` say what could not be compared.
    """

    base: str
    head: str
    tables: tuple[TableDiff, ...] = ()
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def breaking(self) -> tuple[Change, ...]:
        """Return the breaking changes."""
        return tuple(change for change in self.changes if change.breaking)

    @property
    def additive(self) -> tuple[Change, ...]:
        """Return the additive changes."""
        return tuple(change for change in self.changes if not change.breaking)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values: base, head, breaking, additive, tables and notes."""
        return {
            "base": self.base,
            "head": self.head,
            "breaking": [{"where": change.where, "what": change.what} for change in self.breaking],
            "additive": [{"where": change.where, "what": change.what} for change in self.additive],
            "tables": {table.table: {k: v for k, v in asdict(table).items() if k != "table"} for table in self.tables},
            "notes": list(self.notes),
        }
