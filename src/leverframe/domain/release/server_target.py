"""A server of this machine as a target: releases are folders, and the server loads them beside one another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from leverframe.domain.plan_engine import Plan
from leverframe.domain.release.ports import ReleaseStore, Server
from leverframe.domain.release.release_manifest import ReleaseManifest
from leverframe.domain.release.release_state import State
from leverframe.domain.release.server_plan import CANDIDATE, ServerAction, planned, recovery
from leverframe.domain.release.server_steps import Log, ServerExecutor
from leverframe.domain.release.target import Candidate, DeployContext


@dataclass(frozen=True)
class ServerTarget:
    """A server, a ``Target``: ``start`` returns it, and starts it where it does not run."""

    context: DeployContext
    store: ReleaseStore
    start: Callable[[], Server]
    log: Log

    @property
    def state(self) -> State:
        """What is recorded; raises ``ServerError`` for a record that cannot be read."""
        return self.store.state(self.context.model)

    def record(self, state: State) -> None:
        """Replace the record."""
        self.store.record(state)

    def recovery(self, desired: ReleaseManifest, *, refused: bool) -> Plan[ServerAction]:  # noqa: ARG002 - of no matter
        """Return the steps that undo what a killed run left: a candidate, and releases that nobody recorded."""
        model = self.context.model
        candidate = self.store.has_model(f"{model}{CANDIDATE}")
        return recovery(self.state, self.store.numbers(model), candidate=candidate)

    def plan(self, candidate: Candidate) -> Plan[ServerAction]:
        """Return the steps to the candidate; none where it serves already."""
        return planned(self.state, candidate.manifest, self.context.policy)

    def executor(self, candidate: Candidate) -> ServerExecutor:
        """Return what executes the steps; raises ``ServerError`` where the server does not start."""
        return ServerExecutor(self.context, self.store, self.start(), self.log, candidate)
