"""The steps from what a cluster has to what it should have, as data; how each is undone stands beside it."""

from __future__ import annotations

from dataclasses import dataclass

from leverframe.domain.release.kubernetes.manifests import Live, Target
from leverframe.domain.release.release_manifest import ReleaseManifest
from leverframe.domain.release.release_state import State
from leverframe.domain.release.server_plan import Adopt, Compare, Fetch, Record


@dataclass(frozen=True)
class Validate:
    """Let the API server go through the manifests without keeping them."""

    objects: int
    namespace: str

    def __str__(self) -> str:
        """Return the step in words."""
        return f"let the cluster check {self.objects} objects for `{self.namespace}`, dry"


@dataclass(frozen=True)
class Restore:
    """Apply the manifests of the release that was recorded last."""

    number: int

    def __str__(self) -> str:
        """Return the step in words."""
        return f"apply the manifests of release {self.number} again"


@dataclass(frozen=True)
class Remove:
    """Take the workload of a first release away: nothing served before it."""

    name: str

    def __str__(self) -> str:
        """Return the step in words."""
        return f"delete the workload `{self.name}`, which never served"


@dataclass(frozen=True)
class Apply:
    """Apply the manifests; pods of the release come up beside the ones that serve."""

    number: int
    undone_by: Restore | Remove

    def __str__(self) -> str:
        """Return the step in words."""
        return f"apply release {self.number}; pods that serve stay until new ones answer"


@dataclass(frozen=True)
class Rollout:
    """Wait until every pod is of the release; a pod gets traffic once the model answers its golden rows."""

    number: int
    seconds: int

    def __str__(self) -> str:
        """Return the step in words."""
        return f"roll release {self.number} out, at most {self.seconds} s without progress"


@dataclass(frozen=True)
class VerifyPods:
    """Watch the pods: image, bundle, readiness, restarts."""

    number: int
    seconds: float

    def __str__(self) -> str:
        """Return the step in words."""
        return f"watch its pods for {self.seconds:g} s: image, bundle, readiness, restarts"


Step = Fetch | Compare | Validate | Apply | Rollout | VerifyPods | Record | Adopt
Undo = Restore | Remove


def number_for(state: State, bundle: str) -> int:
    """Return the number of a bundle: the one that it serves under, else the next; a killed try gets the same again."""
    serving = state.serving
    return serving.number if serving is not None and serving.bundle == bundle else state.highest + 1


@dataclass(frozen=True)
class Rendered:
    """A release as manifests: the digest of all, and how many objects they are."""

    target: Target
    digest: str
    objects: int


def planned(
    state: State, now: Live | None, desired: ReleaseManifest, rendered: Rendered, seconds: float
) -> tuple[Step, ...]:
    """Return the steps; none where the cluster carries these very manifests, but to note a newer commit.

    ``seconds`` is how long pods are watched.
    """
    target, serving = rendered.target, state.serving
    recorded = serving is not None and (serving.bundle, serving.number) == (target.bundle, target.number)
    if serving is not None and recorded and now == Live(target.bundle, target.number, rendered.digest):
        return () if serving.manifest == desired else (Adopt(desired.commit),)
    undo: Undo = Restore(serving.number) if serving else Remove(target.name)
    steps: list[Step] = [Fetch(target.bundle)]
    steps += [Compare(serving.manifest.schema)] if serving is not None and not recorded else []
    return (
        *steps,
        Validate(rendered.objects, target.cluster.namespace),
        Apply(target.number, undo),
        Rollout(target.number, target.cluster.timeout_seconds),
        VerifyPods(target.number, seconds),
        Record(target.number),
    )
