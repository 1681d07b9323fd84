"""A server of this machine as a target: releases are folders, and the server loads them beside one another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from leverframe.domain.plan_engine import Plan
from leverframe.domain.release.ports import ReleaseStore, Server
from leverframe.domain.release.release_manifest import ReleaseManifest
from leverframe.domain.release.release_state import State
from leverframe.domain.release.server_plan import CANDIDATE, ServerAction, Withdraw, planned, recovery, repair
from leverframe.domain.release.server_reality import difference
from leverframe.domain.release.server_steps import Log, ServerExecutor
from leverframe.domain.release.target import Candidate, DeployContext


@dataclass(frozen=True)
class ServerTarget:
    """A server, a ``Target``: ``start`` returns it, and starts it where it does not run.

    ``running`` returns it where it runs, None where it does not.
    """

    context: DeployContext
    store: ReleaseStore
    start: Callable[[], Server]
    log: Log
    running: Callable[[], Server | None]

    @property
    def state(self) -> State:
        """What is recorded; raises ``ServerError`` for a record that cannot be read."""
        return self.store.state(self.context.model)

    def record(self, state: State) -> None:
        """Replace the record."""
        self.store.record(state)

    def recovery(self, desired: ReleaseManifest, *, refused: bool) -> Plan[ServerAction]:
        """Return the steps that undo what a killed run left, and those to what is recorded, where it should stay."""
        model, serving = self.context.model, self.state.serving
        candidate = self.store.has_model(f"{model}{CANDIDATE}")
        undo = recovery(self.state, self.store.numbers(model), candidate=candidate)
        stays = serving is not None and (refused or serving.bundle == desired.bundle)
        if not stays or any(isinstance(step.action, Withdraw) for step in undo):  # it loads what is recorded
            return undo
        return (*undo, *self.repair(desired))

    def repair(self, desired: ReleaseManifest) -> Plan[ServerAction]:
        """Return the steps to what is recorded, none where the server answers with it, or does not run."""
        serving, why = self.state.serving, self.difference() if self.running() is not None else ""
        return repair(serving, desired, why) if serving is not None and why else ()

    def difference(self) -> str:
        """Return how what answers differs from what is recorded, empty where it does not, or nothing is recorded."""
        serving, server = self.state.serving, self.running()
        if serving is None:
            return ""
        return difference(self.store, server, serving) if server is not None else "its server does not run"

    def plan(self, candidate: Candidate) -> Plan[ServerAction]:
        """Return the steps to the candidate; none where it serves already."""
        numbers = self.store.numbers(self.context.model)
        return planned(self.state, candidate.manifest, self.context.policy, numbers)

    def executor(self, candidate: Candidate) -> ServerExecutor:
        """Return what executes the steps; raises ``ServerError`` where the server does not start."""
        return ServerExecutor(self.context, self.store, self.start(), self.log, candidate)
