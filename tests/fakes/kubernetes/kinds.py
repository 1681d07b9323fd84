"""What the fake API server knows of kinds, and how it tells them to `kubectl`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """One kind: the group and version that it lives in, its name and its word in addresses."""

    group: str
    version: str
    name: str
    plural: str

    @property
    def api(self) -> str:
        """The value of `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        """Where its addresses begin."""
        return f"/apis/{self.api}" if self.group else f"/api/{self.version}"


KINDS = (
    Kind("", "v1", "ServiceAccount", "serviceaccounts"),
    Kind("", "v1", "Service", "services"),
    Kind("", "v1", "ConfigMap", "configmaps"),
    Kind("", "v1", "Pod", "pods"),
    Kind("apps", "v1", "Deployment", "deployments"),
    Kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
    Kind("serving.kserve.io", "v1alpha1", "ServingRuntime", "servingruntimes"),
    Kind("serving.kserve.io", "v1beta1", "InferenceService", "inferenceservices"),
)
VERSION = {"major": "1", "minor": "32", "gitVersion": "v1.32.0", "platform": "linux/amd64"}


def discovery(path: str) -> dict[str, Any] | None:
    """Return what a client that gets to know the server is told at an address, None where that is no such address."""
    fixed: dict[str, dict[str, Any]] = {
        "/version": VERSION,
        "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": _groups()},
        "/openapi/v3": {"paths": {root[1:]: {"serverRelativeURL": f"/openapi/v3{root}"} for root in _roots()}},
    }
    if path in fixed:
        return fixed[path]
    if path.startswith("/openapi/v3/"):
        return _described(path.removeprefix("/openapi/v3"))
    if path in _roots():
        kinds = [kind for kind in KINDS if kind.root == path]
        return {
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": kinds[0].api,
            "resources": [_resource(kind) for kind in kinds],
        }  # fmt: skip
    return None


def _roots() -> list[str]:
    return sorted({kind.root for kind in KINDS})


def _groups() -> list[dict[str, Any]]:
    groups: dict[str, list[dict[str, str]]] = {}
    for kind in KINDS:
        version = {"groupVersion": kind.api, "version": kind.version}
        if kind.group and version not in groups.setdefault(kind.group, []):
            groups[kind.group].append(version)
    return [{"name": name, "versions": known, "preferredVersion": known[-1]} for name, known in groups.items()]


def _resource(kind: Kind) -> dict[str, Any]:
    verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
    return {"name": kind.plural, "singularName": kind.name.lower(), "namespaced": True, "kind": kind.name,
            "verbs": verbs}  # fmt: skip


def _described(root: str) -> dict[str, Any]:
    """Return the smallest OpenAPI description by which `kubectl` sees that fields are checked, dry runs too."""
    words = [{"name": name, "in": "query"} for name in ("dryRun", "fieldManager", "fieldValidation", "force")]
    paths = {
        f"{root}/namespaces/{{namespace}}/{kind.plural}/{{name}}": {
            "patch": {
                "parameters": words,
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.name},
            }
        }
        for kind in KINDS
        if kind.root == root
    }
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.32.0"}, "paths": paths}
