"""The steps from what a server has to what it should have, as data.

`--dry-run` prints the list, the runner goes through the same list, and what has to be undone
after a failure is read from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from leverframe.domain.release.release_manifest import ReleaseManifest
from leverframe.domain.release.release_state import State

CANDIDATE = "-candidate"  # ends the name under which a release is tried before it gets traffic


@dataclass(frozen=True)
class Fetch:
    """Bring the files of the bundle, and hold each against the manifest."""

    bundle: str

    def __str__(self) -> str:
        """Return the step in words."""
        return f"fetch bundle {self.bundle[:12]} and verify every file"


@dataclass(frozen=True)
class Compare:
    """Refuse a schema that would wrong the clients of the one that is served."""

    served: str

    def __str__(self) -> str:
        """Return the step in words."""
        return f"compare its schema with the served one, {self.served[:12]}"


@dataclass(frozen=True)
class Forget:
    """Take the candidate away."""

    model: str

    def __str__(self) -> str:
        """Return the step in words."""
        return f"unload {self.model}{CANDIDATE}"


@dataclass(frozen=True)
class Try:
    """Load the bundle beside the served release, under a name that gets no traffic."""

    model: str
    number: int
    undone_by: Forget

    def __str__(self) -> str:
        """Return the step in words."""
        return f"load it as {self.model}{CANDIDATE}, in a thread; traffic goes on"


@dataclass(frozen=True)
class Smoke:
    """Ask the candidate its golden rows, and requests that it must refuse."""

    model: str

    def __str__(self) -> str:
        """Return the step in words."""
        return "ask it the golden rows, and requests that it must refuse"


@dataclass(frozen=True)
class Replay:
    """Ask both the newest logged requests, and compare."""

    requests: int

    def __str__(self) -> str:
        """Return the step in words."""
        return f"replay up to {self.requests} logged requests on both"


@dataclass(frozen=True)
class Withdraw:
    """Take a release away, so that the one before it answers."""

    number: int

    def __str__(self) -> str:
        """Return the step in words."""
        return f"withdraw release {self.number}"


@dataclass(frozen=True)
class Publish:
    """Give the traffic to the release; its bundle is open already, so no request waits."""

    number: int
    undone_by: Withdraw

    def __str__(self) -> str:
        """Return the step in words."""
        return f"give the traffic to release {self.number}"


@dataclass(frozen=True)
class Verify:
    """Watch the release under traffic."""

    number: int
    seconds: float

    def __str__(self) -> str:
        """Return the step in words."""
        return f"watch it for {self.seconds:g} s: answers, errors, latency"


@dataclass(frozen=True)
class Record:
    """Write down that the release serves."""

    number: int

    def __str__(self) -> str:
        """Return the step in words."""
        return f"record release {self.number}"


@dataclass(frozen=True)
class Adopt:
    """Write down that a newer commit wants what serves already."""

    commit: str

    def __str__(self) -> str:
        """Return the step in words."""
        return f"note that {self.commit[:12]} wants what serves already"


@dataclass(frozen=True)
class Prune:
    """Let go of what no rollback needs."""

    keep: int

    def __str__(self) -> str:
        """Return the step in words."""
        return f"keep the newest {self.keep} releases"


Step = Fetch | Compare | Try | Smoke | Replay | Publish | Verify | Record | Adopt | Prune
Undo = Forget | Withdraw


@dataclass(frozen=True)
class Terms:
    """How a deployment goes; ``replay`` 0 asks no logged request."""

    verify_seconds: float
    replay: int
    maximum_disagreement: float
    maximum_slowdown: float
    keep: int


def planned(state: State, desired: ReleaseManifest, terms: Terms) -> tuple[Step, ...]:
    """Return the steps; none where the bundle is served already, but to note a newer commit that wants it."""
    serving = state.serving
    if serving is not None and serving.bundle == desired.bundle:
        return () if serving.manifest == desired else (Adopt(desired.commit),)
    number = state.highest + 1
    steps: list[Step] = [Fetch(desired.bundle)]
    steps += [Compare(serving.manifest.schema)] if serving else []
    steps += [Try(desired.model, number, Forget(desired.model)), Smoke(desired.model)]
    steps += [Replay(terms.replay)] if serving and terms.replay else []
    steps += [Publish(number, Withdraw(number)), Verify(number, terms.verify_seconds), Record(number)]
    return (*steps, Prune(terms.keep))
