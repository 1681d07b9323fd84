"""Ingest the tables of one partition, or the static ones."""

from __future__ import annotations

from leverframe.adapters.duckdb.query import arrow_table
from leverframe.adapters.polars import PolarsFrames
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.data.ingest import Ingested, run
from leverframe.domain.partition import Month


def ingest(workspace: Workspace, partition: str) -> list[Ingested]:
    """Write the tables of a partition, or the static ones; return what was written of each."""
    month = None if partition == layout.STATIC else Month.of(partition)
    frames = PolarsFrames(workspace.root, arrow_table)
    return run(workspace.sources, month, workspace.params.data.timezone, frames, workspace.root)
