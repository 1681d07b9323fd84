"""What is kept of releases in the cluster itself: any machine, and any job, sees the same.

One ConfigMap a model holds the state, and of each release that is kept the manifests and the schema. It is
written with the version that was read, so that of two deployments at once the later gets an error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leverframe.documents import parsed, plain
from leverframe.domain.release.kubernetes.kustomize_patches import Manifest
from leverframe.domain.release.kubernetes.manifests import INSTANCE, OWNER
from leverframe.domain.release.release_state import State
from leverframe.errors import ClusterError

KIND = "ConfigMap"
_STATE = "state.json"


@dataclass(frozen=True)
class AppliedRelease:
    """One release as it was applied: its objects, and the schema of its bundle."""

    objects: Sequence[Manifest]
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class ClusterRecord:
    """The state, what is kept by number, and the version of the object that holds them, empty where there is none."""

    state: State
    kept: Mapping[int, AppliedRelease] = field(default_factory=dict)
    version: str = ""

    def manifest(self, name: str, namespace: str) -> Manifest:
        """Return the object that holds the record of the model whose objects have that name."""
        known = {release.number for release in self.state.releases}
        data = {_STATE: json.dumps(plain(self.state), sort_keys=True)}
        for number, kept in self.kept.items():
            if number in known:
                data[f"release-{number}.json"] = json.dumps(plain(kept), sort_keys=True)
        metadata: dict[str, Any] = {
            "name": record_name(name), "namespace": namespace, "labels": {INSTANCE: name, OWNER: "leverframe"},
        }  # fmt: skip
        if self.version:
            metadata["resourceVersion"] = self.version
        return {"apiVersion": "v1", "kind": KIND, "metadata": metadata, "data": data}


def record_name(name: str) -> str:
    """Return the name of the object that holds the record."""
    return f"{name}-releases"


def read_record(model: str, manifest: Mapping[str, Any] | None) -> ClusterRecord:
    """Return the record in a ConfigMap, an empty one where there is none; raises ``ClusterError`` for a damaged one."""
    if manifest is None:
        return ClusterRecord(State(model))
    try:
        data = manifest["data"]
        state = parsed(State, data[_STATE])
        kept = {
            release.number: parsed(AppliedRelease, data[f"release-{release.number}.json"]) for release in state.releases
        }
        return ClusterRecord(state, kept, manifest["metadata"]["resourceVersion"])
    except (KeyError, TypeError, ValueError) as error:
        raise ClusterError(
            f"the record of the releases of `{model}` cannot be read",
            why=f"{type(error).__name__}: {error}",
            next="restore the ConfigMap, or delete it and deploy again; what is served goes on until then",
        ) from error
