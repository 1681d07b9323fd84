"""The steps from what a server has to what it should have, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leverframe.domain.model.bundle import bundle_manifest
from leverframe.domain.plan_engine import Action, Plan, Step
from leverframe.domain.release.release_manifest import ReleaseManifest
from leverframe.domain.release.release_state import Release, State
from leverframe.domain.release.steps import Adopt, Compare, Fetch, GoBack, Record, TrafficBack
from leverframe.domain.release.target import RolloutPolicy

CANDIDATE = bundle_manifest.CANDIDATE  # ends the name under which a release is tested before it gets traffic


@dataclass(frozen=True)
class Forget(Action):
    """Unload the candidate."""

    words = f"unload {{model}}{CANDIDATE}"
    model: str


@dataclass(frozen=True)
class Try(Action):
    """Load the bundle beside the release that serves, under a name that gets no traffic."""

    words = f"load it as {{model}}{CANDIDATE}, in a thread; traffic goes on"
    model: str
    number: int


@dataclass(frozen=True)
class Smoke(Action):
    """Send the candidate its golden rows, and requests that it must refuse."""

    words = "send it the golden rows, and requests that it must refuse"
    model: str


@dataclass(frozen=True)
class CompareLatency(Action):
    """Send the same requests to both releases in turn, and compare the response times."""

    words = "compare its latency with that of release {number}, which serves"
    number: int


@dataclass(frozen=True)
class Replay(Action):
    """Send the newest logged requests to both releases, and compare the predictions."""

    words = "replay up to {requests} logged requests on both"
    requests: int


@dataclass(frozen=True)
class Withdraw(TrafficBack):
    """Remove a release, so that the one before it serves."""

    words = "withdraw release {number}"
    number: int


@dataclass(frozen=True)
class Publish(Action):
    """Switch the traffic to the release; its bundle is loaded already, so no request waits."""

    words = "switch the traffic to release {number}"
    number: int


@dataclass(frozen=True)
class Verify(Action):
    """Watch the release under traffic."""

    words = "watch it for {seconds:g} s: predictions, errors"
    number: int
    seconds: float


@dataclass(frozen=True)
class Prune(Action):
    """Remove what no rollback needs."""

    words = "keep the newest {keep} releases"
    keep: int


@dataclass(frozen=True)
class Restore(Action):
    """Load the recorded release again, where the server does not answer with it."""

    words = "load release {number} again, which is recorded: {why}"
    number: int
    why: str


ServerAction = (
    Fetch | Compare | Try | Smoke | CompareLatency | Replay | Publish | Verify | Record | Adopt | Prune | Forget
    | Withdraw | GoBack | Restore
)  # fmt: skip


def planned(
    state: State, desired: ReleaseManifest, policy: RolloutPolicy, numbers: Sequence[int] = ()
) -> Plan[ServerAction]:
    """Return the steps; none where the bundle serves already, but to record a newer commit that wants it.

    ``numbers`` are the releases in the server's folder: the highest gets the traffic, recorded or not.
    """
    serving = state.serving
    if serving is not None and serving.bundle == desired.bundle:
        return () if serving.manifest == desired else (Step(Adopt(desired.commit)),)
    number, model = max(state.highest, *numbers, 0) + 1 if blank(state) else state.highest + 1, desired.model
    actions: list[Step[ServerAction]] = [Step(Fetch(desired.bundle))]
    actions += [Step(Compare(serving.manifest.schema))] if serving else []
    actions += [Step(Try(model, number), undo=Forget(model)), Step(Smoke(model))]
    actions += [Step(CompareLatency(serving.number))] if serving else []
    actions += [Step(Replay(policy.replay))] if serving and policy.replay else []
    return (
        *actions,
        Step(Publish(number), undo=Withdraw(number)),
        Step(Verify(number, policy.verify_seconds)),
        Step(Record(number)),
        Step(Prune(policy.keep)),
    )


def blank(state: State) -> bool:
    """Tell whether nothing was ever recorded, or the record is lost."""
    return not (state.releases or state.highest or state.refused)


def recovery(state: State, numbers: Sequence[int], *, candidate: bool) -> Plan[ServerAction]:
    """Return the steps that undo what a killed run left: releases that nobody recorded, and a candidate.

    ``numbers`` are the releases in the server's folder, ``candidate`` tells whether it holds a candidate. Without a
    record they serve until a release that is recorded takes their place: to withdraw them all would be an outage.
    """
    recorded = set(numbers) if blank(state) else {release.number for release in state.releases}
    steps: list[Step[ServerAction]] = [
        Step(Withdraw(number), recovers=True) for number in numbers if number not in recorded
    ]
    if candidate:
        steps.append(Step(Forget(state.model), recovers=True))
    return tuple(steps)


def repair(serving: Release, desired: ReleaseManifest, why: str) -> Plan[ServerAction]:
    """Return the steps to the recorded release, from which the server differs; ``desired`` is what can be fetched."""
    fetch: list[Step[ServerAction]] = [Step(Fetch(desired.bundle))] if serving.bundle == desired.bundle else []
    return (*fetch, Step(Restore(serving.number, why)))
