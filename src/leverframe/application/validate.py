"""Check the tables of a partition against their contracts, and write their report, profile and sketch."""

from __future__ import annotations

from collections.abc import Sequence

from leverframe.adapters.duckdb.sketch import DuckDBSketcher
from leverframe.adapters.duckdb.statistics import DuckDBStatistician
from leverframe.adapters.pandera import PanderaChecker
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.data.contract import key_of
from leverframe.domain.data.contract_report import Report
from leverframe.domain.data.sketch import summed
from leverframe.domain.data.validate import Validation, run
from leverframe.domain.partition import HISTORY, Month
from leverframe.files import write_json


def validate(workspace: Workspace, partition: str, history: Sequence[str] = ()) -> Report:
    """Return what becomes of every constraint of the tables of a partition, and write it.

    Without ``history`` a partition is compared with the ``HISTORY`` ones before it that exist.
    """
    root, settings = workspace.root, workspace.params.data
    if not history and partition != layout.STATIC:
        earlier = [Month.of(partition).plus(-back) for back in range(1, HISTORY + 1)]
        history = [str(month) for month in earlier if month >= Month.of(settings.first)]
    validation = Validation(
        contracts=workspace.declared("contracts", "CONTRACTS"),
        tables={name: source.static for name, source in workspace.sources.items()},
        timezone=settings.timezone,
        checker=PanderaChecker(),
        statistician=DuckDBStatistician(),
        root=root,
    )
    report = run(validation, partition, history)
    write_json(root / layout.contract_report(partition), report.to_json())
    write_json(root / layout.profile(partition), report.profile())
    sketches = {
        each.table: summed(
            DuckDBSketcher(),
            root / layout.raw(each.table, partition),
            key_of(validation.contracts.get(each.table)),
            each.current.columns,
        )
        for each in report.tables
    }
    write_json(root / layout.sketch(partition), {"partition": partition, "tables": sketches})
    return report
