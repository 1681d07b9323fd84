"""Check the tables of a partition against their contracts, and write their report, profile and sketch."""

from __future__ import annotations

from collections.abc import Sequence

from leverframe.adapters.disk import Disk
from leverframe.adapters.duckdb.sketch import DuckDBSketcher
from leverframe.adapters.duckdb.statistics import DuckDBStatistician
from leverframe.adapters.pandera import PanderaChecker
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.data.contract import key_of
from leverframe.domain.data.contract_report import Report
from leverframe.domain.data.ingest import may_be_empty
from leverframe.domain.data.sketch import summed
from leverframe.domain.data.validate import Validation, run
from leverframe.files import write_json


def validate(workspace: Workspace, partition: str, history: Sequence[str] = (), through: str | None = None) -> Report:
    """Return what becomes of every constraint of the tables of a partition, and write it.

    Without ``history`` a group of partitions is compared with those before it that exist.
    ``through`` is the key of the last partition that exists, by default the last of the data.
    """
    root, partitions = workspace.root, workspace.partitions.until(through)
    if not history and partition != layout.STATIC:
        earlier = [partitions.named(partition).plus(-back) for back in range(1, partitions.history + 1)]
        history = [str(group) for group in earlier if group >= partitions.groups()[0]]
    validation = Validation(
        contracts=workspace.declared("contracts", "CONTRACTS"),
        tables={name: source.static for name, source in workspace.sources.items()},
        partitions=partitions,
        checker=PanderaChecker(),
        statistician=DuckDBStatistician(),
        exists=Disk(root).exists,
        root=root,
        may_be_empty=may_be_empty(workspace.sources),
    )
    report = run(validation, partition, history)
    write_json(root / layout.contract_report(partition), report.to_json())
    write_json(root / layout.profile(partition), report.profile())
    sketches = {
        table.table: summed(
            DuckDBSketcher(),
            root / layout.raw(table.table, partition),
            key_of(validation.contracts.get(table.table)),
            table.current.columns,
        )
        for table in report.tables
    }
    write_json(root / layout.sketch(partition), {"partition": partition, "tables": sketches})
    return report
