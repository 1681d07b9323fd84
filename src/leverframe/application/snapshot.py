"""Write the snapshot that features are looked up in at request time."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

from leverframe.adapters.disk import Disk
from leverframe.adapters.duckdb.engine import DuckDBEngine
from leverframe.adapters.duckdb.online import DuckDBSnapshooter
from leverframe.adapters.snapshot_file import write
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.features.build import check_times
from leverframe.domain.features.online import Span, about, online_files
from leverframe.domain.features.request import required, timestamp
from leverframe.domain.features.snapshot.store import About, Table

_REDIS = "leverframe.adapters.redis"  # an extra that no stage needs: an import would make it a dependency


def snapshot(workspace: Workspace, as_of: str | None, since: str | None, out: Path, url: str | None, ttl: int) -> str:
    """Write the snapshot into a file or into Redis, and return where it is.

    It is as of a timestamp, by default the end of the data. Redis keeps it for ``ttl`` seconds.
    """
    until = timestamp(as_of) if as_of else workspace.partitions.end
    description, tables = described(workspace, Span(timestamp(since) if since else until, until))
    if url:
        redis = importlib.import_module(_REDIS)
        generation = redis.publish(url, description, tables, ttl=ttl)
        return f"{redis.redacted(url)}  generation {generation}, kept for {ttl:,} seconds"
    write(out, description, tables)
    return str(out)


def described(workspace: Workspace, span: Span) -> tuple[About, Iterator[Table]]:
    """Return what a snapshot of ``span`` is of, and its tables, read one by one."""
    root, partitions, plan = workspace.root, workspace.partitions, workspace.plan
    files, engine = online_files(plan, span, partitions, Disk(root).exists, root), DuckDBEngine()
    check_times(plan, {table: engine.columns(paths) for table, paths in files.items()}, partitions.timezone)
    kinds = engine.columns([root / layout.raw(plan.spine, str(partitions.groups()[-1]))])
    fields = about(plan, span, {name: kinds[name] for name in required(plan)})
    return fields, DuckDBSnapshooter().tables(plan, files, span)
