"""Write the snapshot that features are looked up in at request time."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path

from leverframe.adapters.disk import Disk
from leverframe.adapters.duckdb.engine import DuckDBEngine
from leverframe.adapters.duckdb.online import DuckDBSnapshooter
from leverframe.adapters.snapshot_file import write
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.features.build import check_times
from leverframe.domain.features.online import Span, about, first_of_newest, newest_span, online_files
from leverframe.domain.features.request import required, timestamp
from leverframe.domain.features.snapshot.store import SnapshotInfo, Table

_REDIS = "leverframe.adapters.redis"  # an extra that no stage needs: an import would make it a dependency


def snapshot(workspace: Workspace, as_of: str | None, since: str | None, out: Path, url: str | None, ttl: int) -> str:
    """Write the snapshot into a file or into Redis, and return where it is.

    It is as of a timestamp, by default right behind the last row that became known. Redis keeps it for ``ttl`` seconds.
    """
    span, later = (Span(timestamp(as_of), timestamp(as_of)), "") if as_of else _newest(workspace)
    description, tables = described(workspace, replace(span, since=timestamp(since)) if since else span)
    if url:
        redis = importlib.import_module(_REDIS)
        generation = redis.publish(url, description, tables, ttl=ttl)
        return f"{redis.redacted(url)}  generation {generation}, kept for {ttl:,} seconds"
    write(out, description, tables)
    return "\n".join([str(out), f"what was known before {span.until.astimezone(UTC).isoformat()}{later}"])


def _newest(workspace: Workspace) -> tuple[Span, str]:
    """Return the span of all that is known, and what to say of rows that came after the last partition."""
    root, partitions, plan = workspace.root, workspace.partitions, workspace.plan
    widest = Span(first_of_newest(partitions), partitions.end)
    files = online_files(plan, widest, partitions, Disk(root).exists, root)
    newest = DuckDBSnapshooter().newest(plan, files, partitions.end)
    later: dict[str, int] = {}
    for step in newest:
        later[step.table] = max(step.later, later.get(step.table, 0))
    counts = ", ".join(f"{rows:,} rows of {table}" for table, rows in later.items() if rows)
    return newest_span(newest, partitions), f"; {counts} became known after {partitions.last}" if counts else ""


def described(workspace: Workspace, span: Span) -> tuple[SnapshotInfo, Iterator[Table]]:
    """Return what a snapshot of ``span`` is of, and its tables, read one by one."""
    root, partitions, plan = workspace.root, workspace.partitions, workspace.plan
    files, engine = online_files(plan, span, partitions, Disk(root).exists, root), DuckDBEngine()
    check_times(plan, {table: engine.columns(paths) for table, paths in files.items()}, partitions.timezone)
    kinds = engine.columns([root / layout.raw(plan.spine, str(partitions.groups()[-1]))])
    fields = about(plan, span, {name: kinds[name] for name in required(plan)})
    return fields, DuckDBSnapshooter().tables(plan, files, span)
