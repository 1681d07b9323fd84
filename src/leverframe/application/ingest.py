"""Ingest the tables of one partition, or the static ones."""

from __future__ import annotations

from leverframe.adapters.duckdb.query import arrow_table
from leverframe.adapters.polars import PolarsFrames
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.data.ingest import Ingested, run


def ingest(workspace: Workspace, partition: str, through: str | None = None) -> list[Ingested]:
    """Write the tables of a group of partitions, or the static ones; return what was written of each.

    ``through`` is the key of the last partition that exists, by default the last of the data.
    """
    partitions = workspace.partitions.until(through)
    group = None if partition == layout.STATIC else partitions.named(partition)
    newest = group == workspace.partitions.groups()[-1]
    frames, root = PolarsFrames(workspace.root, arrow_table), workspace.root
    return run(workspace.sources, group, partitions, frames, root, workspace.partitions.end if newest else None)
