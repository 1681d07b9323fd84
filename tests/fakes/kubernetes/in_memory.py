"""The port of a cluster straight onto the objects, for tests that need many deployments and no `kubectl`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leverframe.domain.release.kubernetes.kustomize_patches import Manifest
from leverframe.domain.release.kubernetes.manifests import BUNDLE, COMMIT, INSTANCE
from leverframe.errors import ServerBusyError
from tests.fakes.kubernetes.state import Objects, RefusedError
from tests.manifests import IMAGE

NAMESPACE = "shops"


@dataclass(frozen=True)
class InMemoryCluster:
    """A cluster with one namespace; its manifests are a Service and a Deployment."""

    objects: Objects

    def render(self, overlay: Manifest) -> list[Manifest]:
        """Return the two objects with what an overlay says of release, bundle and commit."""
        instance, release = (entry["pairs"] for entry in overlay["labels"])
        labels, patches = {**instance, **release}, "".join(patch["patch"] for patch in overlay["patches"])
        annotations = {name: patches.partition(f'"{name}": "')[2].partition('"')[0] for name in (BUNDLE, COMMIT)}
        metadata = {"name": instance[INSTANCE], "namespace": NAMESPACE, "labels": labels}
        pod = {"containers": [{"name": "server", "image": IMAGE}]}
        template = {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod}
        deployment = {"metadata": {**metadata, "annotations": annotations}, "spec": {"template": template}}
        return [
            {"apiVersion": "v1", "kind": "Service", "metadata": {**metadata, "labels": instance}, "spec": {}},
            {"apiVersion": "apps/v1", "kind": "Deployment", **deployment},
        ]

    def get(self, kind: str, name: str) -> Mapping[str, Any] | None:
        """Return an object."""
        return self.objects.get((kind, NAMESPACE, name))

    def pods(self, selector: str) -> list[Mapping[str, Any]]:
        """Return the pods with a label."""
        name, _, value = selector.partition("=")
        return [pod for pod in self.objects.all("Pod", NAMESPACE) if pod["metadata"]["labels"].get(name) == value]

    def check(self, objects: Sequence[Manifest]) -> None:
        """Apply the objects to nothing."""
        self._apply(objects, dry=True)

    def differs(self, objects: Sequence[Manifest]) -> bool:
        """Tell whether applying would change anything."""
        return any(self.get(manifest["kind"], manifest["metadata"]["name"]) is None for manifest in objects)

    def apply(self, objects: Sequence[Manifest]) -> None:
        """Apply the objects."""
        self._apply(objects, dry=False)

    def delete(self, kind: str, name: str) -> None:
        """Delete an object."""
        self.objects.delete((kind, NAMESPACE, name))

    def rolled_out(self, deployment: str, seconds: int) -> str:  # noqa: ARG002 - patience is the objects' own
        """Look until the rollout is done or late."""
        while True:
            status = (self.get("Deployment", deployment) or {})["status"]
            (progress,) = status["conditions"]
            if progress["reason"] == "ProgressDeadlineExceeded":
                return "it exceeded its progress deadline"
            if progress["reason"] == "NewReplicaSetAvailable":
                return ""

    def _apply(self, objects: Sequence[Manifest], *, dry: bool) -> None:
        for manifest in objects:
            try:
                self.objects.apply((manifest["kind"], NAMESPACE, manifest["metadata"]["name"]), manifest, dry=dry)
            except RefusedError as error:
                raise ServerBusyError("another deployment was quicker", why=error.message, next="again") from error
