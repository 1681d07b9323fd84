"""The steps from what a cluster has to what it should have, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leverframe.domain.plan_engine import Action, Plan, Step
from leverframe.domain.release.kubernetes.kustomize_patches import Manifest
from leverframe.domain.release.kubernetes.manifests import ClusterRelease, LiveAnnotations
from leverframe.domain.release.release_manifest import ReleaseManifest
from leverframe.domain.release.release_state import State
from leverframe.domain.release.steps import Adopt, Compare, Fetch, GoBack, Record, TrafficBack


@dataclass(frozen=True)
class Validate(Action):
    """Let the API server validate the manifests without keeping them."""

    objects: Sequence[Manifest]
    namespace: str

    def __str__(self) -> str:
        """Return the action in words."""
        return f"validate {len(self.objects)} objects for `{self.namespace}` by a dry run of the API server"


@dataclass(frozen=True)
class Restore(TrafficBack):
    """Apply the manifests of the release that was recorded last."""

    words = "apply the manifests of release {number} again"
    number: int


@dataclass(frozen=True)
class Remove(TrafficBack):
    """Delete the workload of a first release: nothing served before it."""

    words = "delete the workload `{name}`, which never served"
    name: str


@dataclass(frozen=True)
class Apply(Action):
    """Apply the manifests; pods of the release come up beside the ones that serve."""

    words = "apply release {number}; pods that serve stay until new ones are ready"
    number: int
    objects: Sequence[Manifest]


@dataclass(frozen=True)
class Rollout(Action):
    """Wait until every pod is of the release; a pod gets traffic once the model answers its golden rows."""

    words = "roll release {number} out, at most {seconds} s without progress"
    number: int
    seconds: int


@dataclass(frozen=True)
class VerifyPods(Action):
    """Watch the pods: image, bundle, readiness, restarts."""

    words = "watch its pods for {seconds:g} s: image, bundle, readiness, restarts"
    release: ClusterRelease
    seconds: float


ClusterAction = Fetch | Compare | Validate | Apply | Rollout | VerifyPods | Record | Adopt | Restore | Remove | GoBack


def number_for(state: State, bundle: str) -> int:
    """Return the number of a bundle: the one it serves under, else the next; after a killed run it is the same."""
    serving = state.serving
    return serving.number if serving is not None and serving.bundle == bundle else state.highest + 1


@dataclass(frozen=True)
class Rendered:
    """A release as manifests, and the digest of all of them."""

    release: ClusterRelease
    digest: str
    objects: Sequence[Manifest]


def planned(
    state: State, now: LiveAnnotations | None, desired: ReleaseManifest, rendered: Rendered, seconds: float
) -> Plan[ClusterAction]:
    """Return the steps; none where the cluster has these very manifests, but to record a newer commit.

    ``seconds`` is how long pods are watched.
    """
    release, serving = rendered.release, state.serving
    recorded = serving is not None and (serving.bundle, serving.number) == (release.bundle, release.number)
    if serving is not None and recorded and now == LiveAnnotations(release.bundle, release.number, rendered.digest):
        return () if serving.manifest == desired else (Step(Adopt(desired.commit)),)
    steps: list[Step[ClusterAction]] = [Step(Fetch(release.bundle))]
    steps += [Step(Compare(serving.manifest.schema))] if serving is not None and not recorded else []
    return (
        *steps,
        Step(Validate(rendered.objects, release.cluster.namespace)),
        Step(
            Apply(release.number, rendered.objects),
            undo=Restore(serving.number) if serving else Remove(release.name),
        ),
        Step(Rollout(release.number, release.cluster.timeout_seconds)),
        Step(VerifyPods(release, seconds)),
        Step(Record(release.number)),
    )


def recovery(state: State, now: LiveAnnotations | None, desired: ReleaseManifest) -> Plan[ClusterAction]:
    """Return the step back to the recorded release, where a killed run left pods of a bundle that is refused."""
    serving = state.serving
    left = serving is not None and now is not None and now.bundle == desired.bundle
    return (Step(Restore(serving.number), recovers=True),) if serving is not None and left else ()
