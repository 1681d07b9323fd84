"""Hold every table of a partition against its contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from leverframe.domain import layout
from leverframe.domain.data.constraint import Constraint
from leverframe.domain.data.contract import Checker, Contract
from leverframe.domain.data.contract_report import Report
from leverframe.domain.data.shape import ForeignKey, UniqueKey
from leverframe.domain.data.statistics import Statistician, Survey, TableStatistics
from leverframe.domain.partition import Partitions
from leverframe.domain.verdict import Reason
from leverframe.errors import DefinitionError, SettingsError, SourceError, nearest


@dataclass(frozen=True)
class Validation:
    """All that the room needs: what is declared, and who looks at the files.

    ``tables`` tells of every ingested table whether it is static; ``partitions`` which groups exist and
    where they begin and end; ``root`` is the folder that holds ``data/``; ``may_be_empty`` are tables whose
    source says so.
    """

    contracts: Mapping[str, Contract]
    tables: Mapping[str, bool]
    partitions: Partitions
    checker: Checker
    statistician: Statistician
    exists: layout.Exists
    root: Path = Path()
    may_be_empty: frozenset[str] = frozenset()


def run(validation: Validation, partition: str, history: Sequence[str] = ()) -> Report:
    """Return the result of every constraint of the tables of ``partition``, a group or ``static``.

    ``history`` names earlier groups to compare with. A failed constraint is in the report, not an
    error; raises ``SourceError`` for a file that is missing or damaged, ``DefinitionError`` for a
    contract that cannot be used and ``SettingsError`` for groups that make no sense.
    """
    _check_tables(validation)
    earlier = _earlier(validation.partitions, partition, history)
    constraints: list[Constraint] = []
    tables: list[TableStatistics] = []
    for table in sorted(validation.tables):
        if validation.tables[table] == (partition == layout.STATIC):
            statistics = _measured(validation, table, partition, earlier)
            tables.append(statistics)
            constraints += _constraints(validation, table, statistics)
    return Report(partition, tuple(constraints), tuple(tables))


def _constraints(validation: Validation, table: str, statistics: TableStatistics) -> list[Constraint]:
    contract = validation.contracts.get(table)
    if contract is None:
        return [Constraint(table, "contract").skipped("no contract is declared for this table")]
    if not statistics.current.rows and table in validation.may_be_empty:
        return [Constraint(table, "contract").skipped("there is no row, which `may_be_empty` of the source allows")]
    rows = Constraint(table, "has_rows")
    constraints = [
        rows if statistics.current.rows else rows.failed_by(Reason.TABLE_EMPTY, count=0, detail="there is no row")
    ]
    path = validation.root / layout.raw(table, statistics.current.partition)
    constraints += validation.checker.check(table, path, contract.schema)
    return constraints + [constraint for monitor in contract.monitors for constraint in monitor.judge(statistics)]


def _measured(validation: Validation, table: str, partition: str, earlier: Sequence[str]) -> TableStatistics:
    contract = validation.contracts.get(table)
    keys = [monitor for monitor in contract.monitors if isinstance(monitor, ForeignKey | UniqueKey)] if contract else []
    foreign = {key.table for key in keys if isinstance(key, ForeignKey)}
    survey = Survey(
        table=table,
        partition=partition,
        path=_file(validation, table, partition),
        timezone=validation.partitions.timezone,
        history=tuple((name, _file(validation, table, name)) for name in earlier),
        questions=tuple(dict.fromkeys(key.question for key in keys)),
        others={other: _file(validation, other, partition) for other in sorted(foreign)},
    )
    statistics = validation.statistician.measure(survey)
    if partition == layout.STATIC:
        return statistics
    begin, end = validation.partitions.bounds(validation.partitions.named(partition))
    return replace(statistics, begin=begin, end=end)


def _file(validation: Validation, table: str, partition: str) -> Path:
    """Return the file of a table; a static one is the same for every partition."""
    path = layout.raw(table, layout.STATIC if validation.tables[table] else partition)
    if not validation.exists(path):
        raise SourceError(
            f"there is no {validation.root / path}",
            why=f"table `{table}` was not ingested for this partition",
            next="`dvc pull` fetches it, `leverframe ingest` makes it",
        )
    return validation.root / path


def _earlier(partitions: Partitions, partition: str, history: Sequence[str]) -> list[str]:
    """Return the groups of history, nearest first."""
    if partition == layout.STATIC and not history:
        return []
    group = partitions.named(partition) if partition != layout.STATIC else None
    groups = sorted({partitions.named(key) for key in history}, reverse=True)
    if group is None or any(earlier >= group for earlier in groups):
        raise SettingsError(
            f"{partition} cannot have {', '.join(history)} as its history",
            why="history are partitions before this one, and static tables have none",
            next="name earlier ones, or leave --history out",
        )
    return [str(earlier) for earlier in groups]


def _check_tables(validation: Validation) -> None:
    """Raise ``DefinitionError`` for a contract or foreign key that names a table nobody ingests."""
    for table, contract in validation.contracts.items():
        others = [monitor.table for monitor in contract.monitors if isinstance(monitor, ForeignKey)]
        for name in (table, *others):
            if name not in validation.tables:
                raise DefinitionError(
                    f"the contract of `{table}` names the table `{name}`, which no source makes",
                    why="a constraint about a table that is never ingested is never checked",
                    next=nearest(name, validation.tables),
                )
        if any(not validation.tables[other] and validation.tables[table] for other in others):
            raise DefinitionError(
                f"the contract of the static table `{table}` refers to a table that has partitions",
                why="a static table is validated once, without knowing which partition is meant",
                next="declare the foreign key on the table that has partitions",
            )
