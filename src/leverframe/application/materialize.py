"""Bring the online store up to a timestamp: read what is new, write the rows of the keys that changed, switch."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from leverframe.adapters.duckdb.changes import ChangedFiles, DuckDBChanges, changes
from leverframe.adapters.duckdb.engine import DuckDBEngine
from leverframe.adapters.snapshot_file import SnapshotFile, opened_layer, write
from leverframe.adapters.store_folder import StoreFolder
from leverframe.application.fresh_rows import FreshRows, fresh_rows
from leverframe.application.served_day import compared
from leverframe.application.workspace import Workspace
from leverframe.domain.features import materialize as rules
from leverframe.domain.features.build import check_times
from leverframe.domain.features.materialize import FORMAT, Generation, LayerFile, Materialized
from leverframe.domain.features.online import about, microseconds_of, table_of
from leverframe.domain.features.parity import Parity, refuse
from leverframe.domain.features.plan import Step, Windows
from leverframe.domain.features.request import required, timestamp
from leverframe.domain.features.snapshot.arrange import Arranged, arranged
from leverframe.domain.features.snapshot.layers import Layer, fits
from leverframe.domain.features.snapshot.store import Keys, SnapshotInfo
from leverframe.errors import SettingsError

_REDIS = "leverframe.adapters.redis"  # an extra that no stage needs
Tell = Callable[[str], None]


@dataclass(frozen=True)
class MaterializeOptions:
    """Up to when; ``full`` builds the store anew, ``dry_run`` changes nothing.

    Redis keeps what is written for ``ttl`` seconds.
    """

    as_of: str | None = None
    full: bool = False
    dry_run: bool = False
    ttl: int = 604_800


def store_folder(workspace: Workspace) -> StoreFolder:
    """Return the online store of this machine for the star.yaml of the repository."""
    folder = workspace.root / workspace.levers.online.folder
    return StoreFolder(folder.resolve(), workspace.plan.spec, opened_layer)


def materialize(workspace: Workspace, asked: MaterializeOptions, tell: Tell) -> Materialized:
    """Bring the online store up to a timestamp, by default now, and return what was written.

    The data of the repository stay as they are, and the store where anything fails. Raises ``SourceError``,
    ``ContractError``, ``SnapshotError``, ``MaterializeBusyError``, and ``StoreUnreachableError`` of Redis.
    """
    began = time.perf_counter()
    now = datetime.now(UTC)
    until = timestamp(asked.as_of) if asked.as_of else now
    rules.refuse_future(until, now)
    folder = store_folder(workspace)
    if not asked.dry_run:
        _redis(workspace)  # before the sources are read
    with folder.lock():
        before = folder.current(whatever=asked.full)
        rules.refuse_backwards(None if asked.full else before, until)
        why = rules.rebuild_reason(before, microseconds_of(until), workspace.plan, full=asked.full)
        tell(f"reading the sources up to {until.isoformat()}" + (f", all that is in reach: {why}" if why else ""))
        old = None if why else before
        rows = fresh_rows(workspace, folder, until, old)
        where = str(folder.folder)
        made = _Making(workspace, folder, rows, before).made(old)
        if not asked.dry_run:
            where = _pushed(workspace, folder, made, before, asked.ttl, tell) or where
            folder.put(made.generation, (made.layer,) if made.layer else ())
        return Materialized(
            kind="increment" if old else "full", as_of=rules.written(made.generation.as_of),
            since=rules.written(made.generation.since),
            generation=made.generation.number, where=where, rows=sum(made.rows.values()), keys=made.keys,
            seconds=time.perf_counter() - began, why=why, dry_run=asked.dry_run,
            absent={table: [str(group) for group in groups] for table, groups in rows.absent.items()},
            delivered=rules.written(rows.delivered) if rows.delivered is not None else "",
        )  # fmt: skip


def refuse_other(workspace: Workspace) -> Parity:
    """Compare the store with a build of the days that it answers for; raises ``ParityError`` for a difference."""
    parity = compared(workspace, store_folder(workspace))
    refuse(parity, "in the online store than in the sources", "`leverframe materialize --full` writes it anew")
    return parity


@dataclass(frozen=True)
class _Made:
    """A generation that can be put in force, and the layer that was written for it."""

    generation: Generation
    layer: Path | None
    rows: dict[str, int]
    keys: int


@dataclass(frozen=True)
class _Making:
    """How a generation is made from fresh rows; ``before`` is the one in force."""

    workspace: Workspace
    folder: StoreFolder
    rows: FreshRows
    before: Generation | None

    def made(self, old: Generation | None) -> _Made:
        """Return a delta above the base of ``old``, or a new base where there is no old one."""
        base = self.folder.open_layer(old.base) if old else None  # verified: what is damaged is not built upon
        plan, raw, span = self.workspace.plan, self.rows.raw, self.rows.span
        changed = {table: self._changed(old, table) for table in raw} if old else {}
        engine = DuckDBEngine()
        columns = {table: engine.columns(paths) for table, paths in self.rows.files.items()}
        check_times(plan, columns, self.workspace.partitions.timezone)
        kinds = columns.get(plan.spine, {})
        fields = {name: kinds[name] for name in required(plan) if name in kinds} or dict(old.fields if old else {})
        whole: list[str] = []
        described = about(plan, span, fields)
        with changes(plan, self.rows.files, span, old.base_as_of if old else 0, changed) as source:
            for step in plan.steps:
                if isinstance(step, Windows):
                    source.refuse_late(step)
            tables = _above(plan.steps, source, base, changed, whole) if base else _all(plan.steps, source)
            layer, rows, keys = self._written("delta" if old else "base", described, tables)
        file = LayerFile(layer.name, rows, tuple(whole)) if layer else None
        generation = Generation(
            FORMAT, (self.before.number if self.before else 0) + 1, plan.spec, described.as_of,
            microseconds_of(span.since), fields, base=old.base if old else file or LayerFile("", {}),
            base_as_of=old.base_as_of if old else described.as_of, raw=raw, base_raw=old.base_raw if old else raw,
            delta=file if old else None,
            previous=tuple(earlier.file for earlier in self.before.layers()) if self.before else (),
            delivered=self.rows.delivered,
        )  # fmt: skip
        return _Made(generation, layer, rows, keys)

    def _changed(self, old: Generation, table: str) -> ChangedFiles:
        """Return the files of a table whose rows are others than those of the base."""
        now, before = rules.changed_files(old.base_raw, self.rows.raw, table)
        files = dict(zip(self.rows.raw[table], self.rows.files[table], strict=True))
        stored = old.base_raw.get(table, {})
        return ChangedFiles(
            tuple(files[part] for part in now), tuple(self.folder.raw(table, stored[part]) for part in before)
        )

    def _written(
        self, kind: str, described: SnapshotInfo, tables: Iterator[Arranged]
    ) -> tuple[Path | None, dict[str, int], int]:
        """Write a layer and return it, its rows by table, and how many keys it has; nothing of no table."""
        rows: dict[str, int] = {}
        keys = 0

        def counted() -> Iterator[Arranged]:
            nonlocal keys
            for table in tables:
                rows[table.name] = table.rows.count
                keys += table.index.size
                yield table

        path = self.folder.layer(kind)
        write(path, described, counted())
        return (path if rows or kind == "base" else None), rows, keys


def _redis(workspace: Workspace) -> str:
    """Return the address of Redis, empty where that is not the store; raises where it cannot be written to."""
    settings = workspace.levers.online
    if settings.store != "redis":
        return ""
    url = os.environ.get(str(settings.redis), "")
    if not url:
        raise SettingsError(
            f"the address of Redis is not known: {settings.redis} is not set",
            why="`online.redis` of leverframe.yaml names that environment variable",
            next=f"set {settings.redis} to a URL such as redis://user:password@host:6379/0",
        )
    importlib.import_module(_REDIS).ready(url)
    return url


def _pushed(
    workspace: Workspace, folder: StoreFolder, made: _Made, before: Generation | None, ttl: int, tell: Tell
) -> str:
    """Put a generation in force in Redis, where that is the store, before it is here; return where.

    A run that is killed between the two finds the older one here, and pushes again what is lacking.
    """
    url = _redis(workspace)
    if not url:
        return ""
    redis, generation = importlib.import_module(_REDIS), made.generation

    def layer(file: LayerFile) -> Any:
        path = made.layer if made.layer and made.layer.name == file.file else folder.layer_path(file)
        opened = SnapshotFile(path, spec=folder.spec, verify=False)
        return redis.Pushed(file.file.removesuffix(".bin"), opened.arranged(), file.whole)

    layers = [layer(file) for file in generation.layers()]
    old = layer(before.delta) if before and before.delta and generation.delta else None
    described = SnapshotInfo(generation.spec, generation.as_of, generation.attributes())
    written = redis.push(url, described, layers, old, ttl=ttl)
    tell(f"{written:,} keys written to {redis.redacted(url)}")
    return str(redis.redacted(url))


def _all(steps: tuple[Step, ...], source: DuckDBChanges) -> Iterator[Arranged]:
    return (arranged(source.whole(step)) for step in steps)


def _above(
    steps: tuple[Step, ...],
    source: DuckDBChanges,
    base: Layer,
    changed: dict[str, ChangedFiles],
    whole: list[str],
) -> Iterator[Arranged]:
    """Yield the tables of a delta; names in ``whole`` those that hide what the base has."""  # fmt: skip
    for step in steps:
        name = table_of(step)
        if rules.is_static(step):
            if changed[step.table].now:
                whole.append(name)
                yield arranged(source.whole(step))
            continue
        rows = source.changed(step)
        if rows is None:
            continue
        above = arranged(rows.rows)
        if not fits(above, base.table(name)) or _lost(above, base, name, rows.keys):
            whole.append(name)
            above = arranged(source.whole(step))
        yield above


def _lost(above: Arranged, base: Layer, name: str, keys: Keys) -> bool:
    """Tell whether a key that the base has rows of has none any more: what lies above could not hide them."""
    (start, stop), (first, last) = base.table(name)[0].find(keys), above.index.find(keys)
    return bool(np.any((start < stop) & (first >= last)))
