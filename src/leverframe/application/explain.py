"""Explain the star schema: as a picture, as a plan in words, or where the features of one row came from."""

from __future__ import annotations

from leverframe.adapters.disk import Disk
from leverframe.adapters.duckdb.provenance import provenance
from leverframe.application.as_locked import note
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.features.build import needed_files
from leverframe.domain.features.star_picture import mermaid, origin_lines, plan_lines


def explain(workspace: Workspace, partition: str | None, row: int | None) -> list[str]:
    """Return the plan in words or, given a row of a built partition, where each of its features came from."""
    plan = workspace.plan
    if partition is None or row is None:
        return plan_lines(plan)
    group, exists = workspace.partitions.named(partition), Disk(workspace.root).exists
    files = needed_files(plan, group, workspace.partitions, exists, workspace.root)
    other = note(workspace.root, layout.features(partition), layout.RAW)
    lines = origin_lines(provenance(plan, workspace.root / layout.features(partition), files, row))
    return [*lines, *([other] if other else [])]


def picture(workspace: Workspace) -> str:
    """Return the star schema of the case as a Mermaid picture."""
    return mermaid(workspace.plan).rstrip()
