"""Where a release can be deployed to: a server and a cluster are two targets of the same deployment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from leverframe.domain.plan_engine import ActionT, HandledT_contra, Plan, Progress
from leverframe.domain.release.latency import Paced
from leverframe.domain.release.ports import Clock
from leverframe.domain.release.release_manifest import ReleaseManifest
from leverframe.domain.release.release_state import State
from leverframe.domain.release.replay import Replayed
from leverframe.domain.verdict import Violation


@dataclass(frozen=True)
class RolloutPolicy:
    """What a release must show; ``replay`` is how many logged requests are replayed, 0 replays none.

    ``verify_seconds`` is how long it is watched after the traffic switch, ``maximum_disagreement`` the share of
    replayed rows that may get another label, ``keep`` how many releases stay for a rollback. A release that takes
    more than ``maximum_slowdown`` times as long and ``slowdown_floor_ms`` longer than the one that serves is refused.
    """

    verify_seconds: float
    replay: int
    maximum_disagreement: float
    maximum_slowdown: float
    slowdown_floor_ms: float
    keep: int


@dataclass(frozen=True)
class DeployContext:
    """What a deployment to any target needs to know: the model, the environment, the policy and the time."""

    model: str
    environment: str
    policy: RolloutPolicy
    clock: Clock
    tell: Callable[[str], None] = lambda _: None

    @property
    def progress(self) -> Progress:
        """How steps are timed and shown."""
        return Progress(self.clock.seconds, self.tell)


@dataclass(frozen=True)
class Candidate:
    """The release that should serve, the MD5 by which DVC knows its folder, and how its files are read.

    ``trusted`` returns the own types that the model of a commit may hold, by the settings of that commit.
    """

    manifest: ReleaseManifest
    content: str = ""
    fetch: Callable[[], Mapping[str, bytes]] = dict
    trusted: Callable[[str], Sequence[str]] = lambda _: ()


class DeployExecutor(Protocol[HandledT_contra]):
    """Executes the steps of one deployment."""

    @property
    def replayed(self) -> Replayed | None:
        """What the replay of logged requests showed; None where none were replayed."""

    @property
    def latency(self) -> tuple[Paced, ...]:
        """What the comparison of response times showed, a kind of request each; empty where there was none."""

    def run(self, action: HandledT_contra, /) -> Violation | None:
        """Execute an action, as an ``Executor`` does."""

    def blames_bundle(self, violation: Violation) -> bool:
        """Tell whether the bundle is at fault; such a bundle is not tried again by itself."""


class Target(Protocol[ActionT]):
    """One place where a model is served; it keeps a record of its releases."""

    @property
    def context(self) -> DeployContext:
        """The context of deployments to it."""

    @property
    def state(self) -> State:
        """What is recorded; raises ``ServerError`` or ``ClusterError`` for a record that cannot be read."""

    def record(self, state: State) -> None:
        """Replace the record."""

    def recovery(self, desired: ReleaseManifest, *, refused: bool) -> Plan[ActionT]:
        """Return the steps that undo what a killed run left; ``refused`` where what is desired may not serve."""

    def repair(self, desired: ReleaseManifest) -> Plan[ActionT]:
        """Return the steps to what is recorded, none where it is what answers; of ``desired`` the files are at hand."""

    def difference(self) -> str:
        """Return how what answers differs from what is recorded, empty where it does not, or nothing is recorded."""

    def plan(self, candidate: Candidate) -> Plan[ActionT]:
        """Return the steps to the candidate; none where it serves already."""

    def executor(self, candidate: Candidate) -> DeployExecutor[ActionT]:
        """Return what executes the steps; a server that does not run is started."""
