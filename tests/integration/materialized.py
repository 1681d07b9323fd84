"""What tests of the online store share: a repository in memory whose sources return the tables of a world."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from leverframe.adapters.git import Git
from leverframe.application.materialize import MaterializeOptions, materialize, store_folder
from leverframe.application.workspace import Workspace
from leverframe.case import Contract, Function, Source
from leverframe.domain.features.materialize import Materialized
from leverframe.domain.features.plan import Plan
from leverframe.domain.features.snapshot.layers import Layered
from leverframe.domain.partition import Partitions
from leverframe.settings.levers import Levers
from leverframe.settings.online import OnlineSettings
from leverframe.settings.params import Params
from tests.integration.worlds import TIMESTAMP, World

Types = dict[str, dict[str, Any]]


class Living:
    """A world whose tables change while its online store lives in ``folder``."""

    def __init__(
        self, folder: Path, plan: Plan, world: World, types: Types, partitions: Partitions, **online: Any
    ) -> None:
        self.world, self.types, self.plan = world, types, plan
        levers = Levers(online=OnlineSettings(**{"folder": str(folder), **online}))
        self.workspace = Workspace(folder, Git(folder), _no_params, lambda: levers, lambda _: plan)
        sources = {table: self._source(table) for table in types}
        self.contracts: dict[str, Contract] = {}
        vars(self.workspace).update(plan=plan, partitions=partitions, sources=sources)
        object.__setattr__(self.workspace, "declared", lambda file, name: self.contracts)  # noqa: ARG005
        self.messages: list[str] = []

    def _source(self, table: str) -> Source:
        read = Function(lambda _: self.frame(table))
        return Source(read) if table == "places" else Source(read, event_time="event_time", known_at="known_at")

    def frame(self, table: str) -> pl.DataFrame:
        """Return a table as it is now."""
        timed = {} if table == "places" else {"event_time": TIMESTAMP, "known_at": TIMESTAMP}
        return pl.DataFrame(self.world[table], schema=self.types[table] | timed, orient="row")

    def materialize(self, until: datetime, **asked: Any) -> Materialized:
        """Bring the store up to a timestamp."""
        return materialize(self.workspace, MaterializeOptions(until.isoformat(), **asked), self.messages.append)

    def store(self) -> Layered:
        """Return what is in force."""
        opened = store_folder(self.workspace).opened()
        assert opened is not None
        return opened.store


def filled(world: World, types: Types, partitions: Partitions) -> World:
    """Return a world with a row of no key in each partition of each table: a source without a row is refused."""
    starts = [group.start(partitions.timezone) + timedelta(hours=1) for group in partitions.groups()]
    nothing = {table: dict.fromkeys(columns) for table, columns in types.items()}
    rows = {table: [row | {"event_time": at, "known_at": at} for at in starts] for table, row in nothing.items()}
    return {table: its + (rows[table] if table != "places" else [nothing[table]]) for table, its in world.items()}


def _no_params() -> Params:
    raise AssertionError("the store needs no params beside the partitions")
