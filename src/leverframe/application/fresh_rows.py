"""The rows that the online store is made from: read from the sources into a private folder, and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from leverframe.adapters.disk import Disk
from leverframe.adapters.duckdb.query import arrow_table
from leverframe.adapters.duckdb.statistics import DuckDBStatistician
from leverframe.adapters.pandera import PanderaChecker
from leverframe.adapters.polars import PolarsFrames
from leverframe.adapters.store_folder import StoreFolder
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.data.contract import Contract
from leverframe.domain.data.ingest import available, may_be_empty
from leverframe.domain.data.shape import ForeignKey, UniqueKey
from leverframe.domain.data.validate import Validation, run
from leverframe.domain.features import materialize as rules
from leverframe.domain.features.build import Files
from leverframe.domain.features.materialize import Generation
from leverframe.domain.features.online import Span
from leverframe.domain.partition import Partition, Partitions

_OF_ROWS = (UniqueKey, ForeignKey)  # what a partition that is unfinished can already pass or fail


@dataclass(frozen=True)
class FreshRows:
    """The rows in reach of ``span``: ``raw`` names their files, ``files`` where they lie, in order of their partitions.

    ``absent`` are partitions that the sources do not have yet, of which those that features come from begin at
    ``delivered``.
    """

    span: Span
    raw: Mapping[str, Mapping[str, str]]
    files: Files
    absent: Mapping[str, Sequence[Partition]]
    delivered: int | None


def fresh_rows(workspace: Workspace, folder: StoreFolder, until: datetime, old: Generation | None) -> FreshRows:
    """Read what may have rows that became known since ``old``, and lend the rest from it.

    Raises ``SourceError`` for a source that cannot be read, ``ContractError`` for rows that violate their contract.
    """
    plan, partitions = workspace.plan, rules.through(workspace.partitions, until)
    span = rules.span_until(until, partitions) if old is None else rules.span_of(old, until)
    reach = rules.reached(plan, span, partitions)
    asked = rules.wanted(plan, reach, old, partitions)
    frames = PolarsFrames(workspace.root, arrow_table)
    ingested, absent = available(workspace.sources, asked, partitions, frames, folder.work)
    rules.refuse_absent(plan, absent, reach, old)
    read = [(one.table, layout.STATIC if one.path == layout.raw(one.table, layout.STATIC) else one.path.stem)
            for one in ingested]  # fmt: skip
    raw: dict[str, dict[str, str]] = {table: dict(parts) for table, parts in (old.raw if old else {}).items()}
    before = {table: set(parts.values()) for table, parts in raw.items()}
    for table, part in read:
        raw.setdefault(table, {})[part] = folder.named(table, part)
    fresh = [(table, part) for table, part in read if raw[table][part] not in before.get(table, ())]
    kept = rules.pruned(raw, reach)
    folder.lend(kept)
    _check(workspace, folder, partitions, fresh)
    files = {table: tuple(folder.work / layout.raw(table, part) for part in parts) for table, parts in kept.items()}
    return FreshRows(span, kept, files, absent, rules.delivered(plan, absent, partitions))


def _check(workspace: Workspace, folder: StoreFolder, partitions: Partitions, fresh: Sequence[tuple[str, str]]) -> None:
    """Raise ``ContractError`` where rows that are new violate their contract."""
    exists = Disk(folder.work).exists
    contracts: Mapping[str, Contract] = workspace.declared("contracts", "CONTRACTS")
    for part in dict.fromkeys(part for _, part in fresh):
        tables = {table for table, its in fresh if its == part}
        here = {name: source.static for name, source in workspace.sources.items()}
        known = {
            name: replace(
                contract,
                monitors=tuple(monitor for monitor in contract.monitors if _of_rows(monitor, here, part, exists)),
            )
            for name, contract in contracts.items()
        }
        validation = Validation(
            contracts={name: contract for name, contract in known.items() if name in tables},
            tables={name: static for name, static in here.items()
                    if name in tables or exists(layout.raw(name, layout.STATIC if static else part))},
            partitions=partitions, checker=PanderaChecker(), statistician=DuckDBStatistician(), exists=exists,
            root=folder.work, may_be_empty=may_be_empty(workspace.sources),
        )  # fmt: skip
        run(validation, part).raise_if_failed(kept=False)


def _of_rows(monitor: object, static: Mapping[str, bool], part: str, exists: layout.Exists) -> bool:
    """Tell whether a monitor looks at rows alone, and at tables that are here."""
    if isinstance(monitor, ForeignKey):
        return exists(layout.raw(monitor.table, layout.STATIC if static[monitor.table] else part))
    return isinstance(monitor, _OF_ROWS)
