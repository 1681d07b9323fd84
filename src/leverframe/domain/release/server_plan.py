"""The steps from what a server has to what it should have, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leverframe.domain.plan_engine import Plan, Step
from leverframe.domain.release.release_manifest import ReleaseManifest
from leverframe.domain.release.release_state import State
from leverframe.domain.release.steps import Adopt, Compare, Fetch, GoBack, Record
from leverframe.domain.release.target import RolloutPolicy

CANDIDATE = "-candidate"  # ends the name under which a release is tested before it gets traffic


@dataclass(frozen=True)
class Forget:
    """Unload the candidate."""

    model: str

    def __str__(self) -> str:
        """Return the action in words."""
        return f"unload {self.model}{CANDIDATE}"


@dataclass(frozen=True)
class Try:
    """Load the bundle beside the release that serves, under a name that gets no traffic."""

    model: str
    number: int

    def __str__(self) -> str:
        """Return the action in words."""
        return f"load it as {self.model}{CANDIDATE}, in a thread; traffic goes on"


@dataclass(frozen=True)
class Smoke:
    """Send the candidate its golden rows, and requests that it must refuse."""

    model: str

    def __str__(self) -> str:
        """Return the action in words."""
        return "ask it the golden rows, and requests that it must refuse"


@dataclass(frozen=True)
class Replay:
    """Send the newest logged requests to both releases, and compare the predictions."""

    requests: int

    def __str__(self) -> str:
        """Return the action in words."""
        return f"replay up to {self.requests} logged requests on both"


@dataclass(frozen=True)
class Withdraw:
    """Remove a release, so that the one before it serves."""

    number: int

    def __str__(self) -> str:
        """Return the action in words."""
        return f"withdraw release {self.number}"


@dataclass(frozen=True)
class Publish:
    """Switch the traffic to the release; its bundle is loaded already, so no request waits."""

    number: int

    def __str__(self) -> str:
        """Return the action in words."""
        return f"give the traffic to release {self.number}"


@dataclass(frozen=True)
class Verify:
    """Watch the release under traffic."""

    number: int
    seconds: float

    def __str__(self) -> str:
        """Return the action in words."""
        return f"watch it for {self.seconds:g} s: answers, errors, latency"


@dataclass(frozen=True)
class Prune:
    """Remove what no rollback needs."""

    keep: int

    def __str__(self) -> str:
        """Return the action in words."""
        return f"keep the newest {self.keep} releases"


ServerAction = (
    Fetch | Compare | Try | Smoke | Replay | Publish | Verify | Record | Adopt | Prune | Forget | Withdraw | GoBack
)


def planned(state: State, desired: ReleaseManifest, policy: RolloutPolicy) -> Plan[ServerAction]:
    """Return the steps; none where the bundle serves already, but to record a newer commit that wants it."""
    serving = state.serving
    if serving is not None and serving.bundle == desired.bundle:
        return () if serving.manifest == desired else (Step(Adopt(desired.commit)),)
    number, model = state.highest + 1, desired.model
    actions: list[Step[ServerAction]] = [Step(Fetch(desired.bundle))]
    actions += [Step(Compare(serving.manifest.schema))] if serving else []
    actions += [Step(Try(model, number), undo=Forget(model)), Step(Smoke(model))]
    actions += [Step(Replay(policy.replay))] if serving and policy.replay else []
    return (
        *actions,
        Step(Publish(number), undo=Withdraw(number)),
        Step(Verify(number, policy.verify_seconds)),
        Step(Record(number)),
        Step(Prune(policy.keep)),
    )


def recovery(state: State, numbers: Sequence[int], *, candidate: bool) -> Plan[ServerAction]:
    """Return the steps that undo what a killed run left: releases that nobody recorded, and a candidate.

    ``numbers`` are the releases in the server's folder, ``candidate`` tells whether it holds a candidate.
    """
    recorded = {release.number for release in state.releases}
    steps: list[Step[ServerAction]] = [
        Step(Withdraw(number), recovers=True) for number in numbers if number not in recorded
    ]
    if candidate:
        steps.append(Step(Forget(state.model), recovers=True))
    return tuple(steps)
