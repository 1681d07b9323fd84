"""Compare what the online store answers with a build of the same rows, of the days that it answers for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from leverframe.adapters.disk import Disk
from leverframe.adapters.duckdb.engine import DuckDBEngine
from leverframe.adapters.duckdb.query import arrow_table
from leverframe.adapters.polars import PolarsFrames, PolarsTables
from leverframe.adapters.store_folder import StoreFolder
from leverframe.application.workspace import Workspace
from leverframe.domain.data.ingest import available
from leverframe.domain.features import materialize as rules
from leverframe.domain.features.build import needed_groups
from leverframe.domain.features.build import run as build
from leverframe.domain.features.online import EPOCH, Span, attribute_since, online_groups
from leverframe.domain.features.parity import Parity, run
from leverframe.domain.features.snapshot.store import SnapshotInfo
from leverframe.domain.partition import Partition
from leverframe.errors import SnapshotError


def compared(workspace: Workspace, folder: StoreFolder) -> Parity:
    """Return how the store's features of the last days differ from a build of the sources as they are now.

    Looked at are the rows of the spine for whose timestamps the store answers with what was known then. A group that
    looks into a partition that is not there yet is left out.
    """
    opened = folder.opened()
    if opened is None:
        raise SnapshotError(
            f"there is no online store in {folder.folder}",
            why="nothing was materialized for this star.yaml",
            next="`leverframe materialize` writes it",
        )
    store = opened.store
    since, until = (EPOCH + timedelta(microseconds=at) for at in _ends(store.about()))
    partitions = rules.through(workspace.partitions, until)
    groups = online_groups(timedelta(0), Span(since, until), partitions)
    first = since if groups[0].period == "none" else groups[0].start(partitions.timezone)
    plan = replace(workspace.plan, labels=())  # the store has none, and those of today are not there yet
    reach = rules.reached(plan, Span(first - plan.lead_time, until), partitions)
    frames = PolarsFrames(workspace.root, arrow_table)
    with closing(store), TemporaryDirectory() as temporary:
        root = Path(temporary)
        _, absent = available(workspace.sources, reach, partitions, frames, root)
        groups = [group for group in groups if not _lacks(needed_groups(plan, group, partitions), absent)]
        for group in groups:
            build(plan, group, partitions, DuckDBEngine(), Disk(root).exists, root)
        return run(plan, groups, _Between(PolarsTables(root), store.about()), lambda _: nullcontext(store))


@dataclass(frozen=True)
class _Between:
    """The rows of built groups whose timestamps a store answers for."""

    built: PolarsTables
    about: SnapshotInfo

    def arrays(self, group: Partition, columns: Sequence[str]) -> Mapping[str, Any]:
        rows = self.built.arrays(group, columns)
        as_of = np.ma.getdata(rows["as_of"])
        since, until = _ends(self.about)
        kept = np.flatnonzero((as_of >= since) & (as_of <= until))
        return {name: values[kept] for name, values in rows.items()}


def _lacks(needed: Mapping[str, Sequence[Partition]], absent: Mapping[str, Sequence[Partition]]) -> bool:
    return any(part in absent.get(table, ()) for table, parts in needed.items() for part in parts)


def _ends(about: SnapshotInfo) -> tuple[int, int]:
    return attribute_since(about.attributes), about.as_of
