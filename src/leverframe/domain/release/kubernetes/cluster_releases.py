"""What a deployment needs of a cluster, and the record of releases that it keeps there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from leverframe.domain.release.kubernetes.cluster_record import (
    KIND,
    AppliedRelease,
    ClusterRecord,
    read_record,
    record_name,
)
from leverframe.domain.release.kubernetes.kustomize_patches import Manifest
from leverframe.domain.release.kubernetes.manifests import ClusterRelease
from leverframe.domain.release.kubernetes.pods import Pod
from leverframe.domain.release.release_state import State


class Cluster(Protocol):
    """What a deployment needs of a cluster; every method raises ``ClusterError``."""

    def render(self, overlay: Manifest) -> list[Manifest]:
        """Return the objects of an overlay over the manifests of the package."""

    def get(self, kind: str, name: str) -> Mapping[str, Any] | None:
        """Return an object, None where there is none."""

    def pods(self, selector: str) -> list[Pod]:
        """Return the pods with those labels."""

    def check(self, objects: Sequence[Manifest]) -> None:
        """Let the API server validate the objects without keeping them."""

    def differs(self, objects: Sequence[Manifest]) -> bool:
        """Tell whether applying the objects would change anything."""

    def apply(self, objects: Sequence[Manifest]) -> None:
        """Apply the objects; raises ``ServerBusyError`` where one has another version than it was read with."""

    def delete(self, kind: str, name: str) -> None:
        """Delete an object, if it is there."""

    def rolled_out(self, deployment: str, seconds: int) -> str:
        """Wait until a Deployment is rolled out; return why it is not."""


class ClusterReleases:
    """The record of one model's releases in a cluster, read once, when it is first needed.

    It is replaced with the version that was read: of two deployments at once, the later gets ``ServerBusyError``.
    """

    def __init__(self, cluster: Cluster, template: ClusterRelease) -> None:
        self.cluster, self.template = cluster, template
        self._read: ClusterRecord | None = None

    @property
    def state(self) -> State:
        """What is recorded; raises ``ClusterError`` for a record that cannot be read."""
        return self._record.state

    @property
    def kept(self) -> Mapping[int, AppliedRelease]:
        """The manifests and schemas of recorded releases, by number."""
        return self._record.kept

    def record(self, state: State, more: Mapping[int, AppliedRelease] | None = None) -> None:
        """Replace the record in the cluster; ``more`` are manifests and schemas of new releases."""
        record = replace(self._record, state=state, kept={**self._record.kept, **(more or {})})
        self.cluster.apply([record.manifest(self.template.name, self.template.cluster.namespace)])
        self._read = record

    @property
    def _record(self) -> ClusterRecord:
        if self._read is None:
            name = record_name(self.template.name)
            self._read = read_record(self.template.model, self.cluster.get(KIND, name))
        return self._read
