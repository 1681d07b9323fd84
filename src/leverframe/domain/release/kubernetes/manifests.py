"""What is applied to a cluster: an overlay over the manifests of the package, and what is read back of it.

The overlay is the content of a `kustomization.yaml`; JSON is YAML, so it is written as JSON. The same release
gives the same bytes, and their digest stands on the workload: by it a second deployment sees that there is
nothing to do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from leverframe.domain.release.kubernetes.kustomize_patches import BASE, Manifest, named, patch, steps
from leverframe.domain.release.kubernetes.monitor_job import monitor_patches
from leverframe.settings.levers import KubernetesSettings, ServeSettings
from leverframe.settings.online import OnlineSettings

BUNDLE = "leverframe.dev/bundle"
COMMIT = "leverframe.dev/commit"
RELEASE = "leverframe.dev/release"
MANIFESTS = "leverframe.dev/manifests"
INSTANCE = "app.kubernetes.io/instance"
OWNER = "app.kubernetes.io/managed-by"
WORKLOAD = {"deployment": "Deployment", "kserve": "InferenceService"}
FOLDER = "/var/lib/leverframe"
_LOG = "/var/log/leverframe"
_REDIS = 6379  # its URL is secret, so its port is the usual one
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class ClusterRelease:
    """One release as it should be in the cluster.

    ``content`` is the MD5 by which DVC knows the folder of the bundle, ``bundle`` the SHA-256 of its manifest.
    ``environment`` is the one whose traffic a monitor beside the pods looks at, ``trusted`` are own types that the
    model may hold.
    """

    model: str
    number: int
    bundle: str
    content: str
    commit: str
    cluster: KubernetesSettings
    serve: ServeSettings
    environment: str = ""
    online: OnlineSettings = field(default_factory=OnlineSettings)
    trusted: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the objects."""
        return self.cluster.name or self.model

    @property
    def workload(self) -> str:
        """The kind of the object that makes the pods."""
        return WORKLOAD[self.cluster.flavour]

    def arguments(self) -> list[str]:
        """Return what `leverframe fetch` is called with in a pod."""
        at = {"host": "0.0.0.0", "port": 8080, "grpc_port": 8081, "metrics_port": 8082}  # noqa: S104 - of the pod
        serve = {**self.serve.model_dump(), **at}
        words = {
            "remote": self.cluster.remote, "md5": self.content, "bundle": self.bundle, "model": self.model,
            "release": str(self.number), "commit": self.commit, "to": FOLDER,
            "serve": json.dumps(serve, sort_keys=True, separators=(",", ":")).replace("$", "$$"),
        }  # fmt: skip
        log = ["--log", f"{_LOG}/{self.name}/$(POD_NAME)"] if self.cluster.log_claim else []
        online = ["--online", json.dumps(self._online(), sort_keys=True)] if self.online != OnlineSettings() else []
        trusted = [part for kind in self.trusted for part in ("--trusted", kind)]
        return [part for option, value in words.items() for part in (f"--{option}", value)] + trusted + log + online

    def _online(self) -> dict[str, Any]:
        """Return what pods are told of the online store: a folder of another machine is none of theirs."""
        content = self.online.model_dump()
        return {**content, "store": "bundle" if self.online.store == "file" else self.online.store}


def overlay(release: ClusterRelease) -> Manifest:
    """Return the content of the `kustomization.yaml` beside the folders `base` and `kserve` of the package."""
    flavour = release.cluster.flavour
    labels = {RELEASE: str(release.number), OWNER: "leverframe"}
    image, _, digest = release.cluster.image.partition("@")
    beside = ["../monitor"] if release.cluster.monitor else []
    patches = _deployment(release) if flavour == "deployment" else _kserve(release)
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": release.cluster.namespace,
        "resources": [f"../{'base' if flavour == 'deployment' else 'kserve'}", *beside],
        "images": [{"name": "leverframe", "newName": image, "digest": digest}],
        "labels": [
            {"pairs": {INSTANCE: release.name}, "includeSelectors": flavour == "deployment"},
            {"pairs": labels, "includeTemplates": flavour == "deployment"},
        ],
        "patches": [*patches, *_monitored(release), _annotated(release), named(BASE, release.name)],
    }


def stamped(objects: Sequence[Manifest], release: ClusterRelease) -> list[Manifest]:
    """Return the objects, the workload among them annotated with the digest of all."""
    digest = hashlib.sha256(json.dumps(objects, sort_keys=True).encode()).hexdigest()
    result = []
    for manifest in objects:
        metadata = manifest["metadata"]
        if manifest["kind"] == release.workload:
            metadata = {**metadata, "annotations": {**metadata.get("annotations", {}), MANIFESTS: digest}}
        result.append({**manifest, "metadata": metadata})
    return result


def digest_of(objects: Sequence[Manifest], kind: str) -> str:
    """Return the digest that the workload among stamped objects carries."""
    return _annotation(objects, kind, MANIFESTS)


def commit_of(objects: Sequence[Manifest], kind: str) -> str:
    """Return the commit that the workload among rendered objects carries, empty where there is none."""
    return _annotation(objects, kind, COMMIT)


def _annotation(objects: Sequence[Manifest], kind: str, name: str) -> str:
    return next((_annotations(manifest).get(name, "") for manifest in objects if manifest["kind"] == kind), "")


@dataclass(frozen=True)
class LiveAnnotations:
    """What the workload in the cluster is annotated with; ``digest`` is that of the manifests it was applied from."""

    bundle: str
    number: int
    digest: str


def live(workload: Mapping[str, Any] | None) -> LiveAnnotations | None:
    """Return what a workload carries; None where there is none, or none of ours."""
    annotations = _annotations(workload or {})
    number = (workload or {}).get("metadata", {}).get("labels", {}).get(RELEASE, "")
    if BUNDLE not in annotations or not number.isdigit():
        return None
    return LiveAnnotations(annotations[BUNDLE], int(number), annotations.get(MANIFESTS, ""))


def _annotations(thing: Mapping[str, Any]) -> Mapping[str, str]:
    annotations: Mapping[str, str] = thing.get("metadata", {}).get("annotations") or {}
    return annotations


def _annotated(release: ClusterRelease) -> Manifest:
    """Return the patch that annotates the workload and its pods with what they serve."""
    annotations = {BUNDLE: release.bundle, COMMIT: release.commit}
    if release.workload == "Deployment":
        spec: Manifest = {"template": {"metadata": {"annotations": annotations}}}
    else:
        labels = {RELEASE: str(release.number), INSTANCE: release.name}
        spec = {"predictor": {"annotations": annotations, "labels": labels}}
    return patch(release.workload, {"metadata": {"annotations": annotations}, "spec": spec})


def _deployment(release: ClusterRelease) -> list[Manifest]:
    cluster = release.cluster
    pod = {"initContainers": [_fetch(release)], "containers": [{"name": "server", **_server(release, "http")}],
           **_volumes(release)}  # fmt: skip
    spec = {"progressDeadlineSeconds": cluster.timeout_seconds, "template": {"spec": pod}}
    return [
        patch("Deployment", {"spec": spec}),
        patch("HorizontalPodAutoscaler", {"spec": _between(cluster, "minReplicas", "maxReplicas")}),
        *_account(cluster),
        *_reached(release),
    ]


def _kserve(release: ClusterRelease) -> list[Manifest]:
    """Return the patches of the variant; its lists of containers are no known ones, so they are replaced in place."""
    cluster, image = release.cluster, release.cluster.image
    fetch = {name: value for name, value in _fetch(release).items() if name != "name"}
    mounts = fetch.pop("volumeMounts", [])
    at = "/spec/predictor/initContainers/0"
    predictor = [{"op": "add", "path": f"{at}/{name}", "value": value} for name, value in fetch.items()]
    predictor += [{"op": "replace", "path": f"{at}/image", "value": image}]
    predictor += [{"op": "add", "path": f"{at}/volumeMounts/-", "value": mount} for mount in mounts]
    predictor += [
        {"op": "add", "path": "/spec/predictor/volumes/-", "value": volume}
        for volume in _volumes(release).get("volumes", [])
    ]
    predictor += [
        {"op": "replace", "path": f"/spec/predictor/{name}", "value": value}
        for name, value in {
            **_between(cluster, "minReplicas", "maxReplicas"), "serviceAccountName": release.name,
        }.items()
    ]  # fmt: skip
    predictor += [{"op": "replace", "path": "/spec/predictor/model/runtime", "value": release.name}]
    runtime = [{"op": "replace", "path": "/spec/containers/0/image", "value": image}]
    runtime += [
        {"op": "add", "path": f"/spec/containers/0/{name}", "value": value}
        for name, value in _server(release, 8080, whole=True).items()
        if name not in ("volumeMounts", "env")
    ]
    variables = _redis_variable(release).get("env", [])
    runtime += [{"op": "add", "path": "/spec/containers/0/env/-", "value": variable} for variable in variables]
    runtime += [{"op": "add", "path": "/spec/containers/0/volumeMounts/-", "value": mount} for mount in mounts]
    return [steps("InferenceService", predictor), steps("ServingRuntime", runtime), *_account(cluster)]


def _fetch(release: ClusterRelease) -> Manifest:
    secret = release.cluster.secret
    keys = {"envFrom": [{"secretRef": {"name": secret}}]} if secret else {}
    return {"name": "fetch", "args": release.arguments(), "resources": _resources(release.cluster), **keys,
            **_log_mount(release.cluster)}  # fmt: skip


def _server(release: ClusterRelease, port: str | int, *, whole: bool = False) -> Manifest:
    """Return what depends on the release in the container of the server; ``whole`` probes, not only their paths."""
    ready = {"path": f"/v2/models/{release.model}/ready", "port": port}
    limits = {"periodSeconds": 3, "timeoutSeconds": 3, "failureThreshold": 60}
    startup, readiness = (
        (limits, {"periodSeconds": 5, "timeoutSeconds": 3, "failureThreshold": 2}) if whole else ({}, {})
    )
    return {
        "startupProbe": {"httpGet": ready, **startup},
        "readinessProbe": {"httpGet": ready, **readiness},
        "resources": _resources(release.cluster),
        **_log_mount(release.cluster),
        **_redis_variable(release),
    }


def _redis_variable(release: ClusterRelease) -> Manifest:
    """Return the environment variable with the URL of Redis, of the cluster's Secret."""
    if release.online.store != "redis":
        return {}
    key = {"name": release.cluster.secret, "key": release.online.redis}
    return {"env": [{"name": release.online.redis, "valueFrom": {"secretKeyRef": key}}]}


def _resources(cluster: KubernetesSettings) -> Manifest:
    same = {"cpu": "1", "memory": cluster.memory}
    return {"requests": same, "limits": same}


def _log_mount(cluster: KubernetesSettings) -> Manifest:
    return {"volumeMounts": [{"name": "log", "mountPath": _LOG}]} if cluster.log_claim else {}


def _volumes(release: ClusterRelease) -> Manifest:
    claim = release.cluster.log_claim
    return {"volumes": [{"name": "log", "persistentVolumeClaim": {"claimName": claim}}]} if claim else {}


def _between(cluster: KubernetesSettings, least: str, most: str) -> Manifest:
    return {least: cluster.replicas.minimum, most: cluster.replicas.maximum}


def _account(cluster: KubernetesSettings) -> list[Manifest]:
    annotations = dict(cluster.service_account)
    return [patch("ServiceAccount", {"metadata": {"annotations": annotations}})] if annotations else []


def _monitored(release: ClusterRelease) -> list[Manifest]:
    """Return the patches of the job that looks at the log of the pods; none where there is no such job."""
    cluster = release.cluster
    if cluster.monitor is None or cluster.log_claim is None:
        return []
    arguments = (release.commit, release.environment, f"{_LOG}/{release.name}", f"{_LOG}/.monitor/{release.name}")
    mount = {"name": "log", "mountPath": _LOG}
    return monitor_patches(release.name, cluster, arguments, (mount, *_volumes(release)["volumes"]), _port(cluster))


def _port(cluster: KubernetesSettings) -> int:
    at = urlsplit(cluster.remote)
    return at.port or _PORTS.get(at.scheme, 443)


def _reached(release: ClusterRelease) -> list[Manifest]:
    """Return the patches of the policy: who may send requests, the port of the remote, and that of Redis."""
    cluster = release.cluster
    rules: list[Manifest] = [
        {
            "op": "add",
            "path": "/spec/ingress/0/from/-",
            "value": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": client}}},
        }
        for client in cluster.clients
    ]
    rules += [{"op": "replace", "path": "/spec/egress/1/ports/0/port", "value": _port(cluster)}]
    if release.online.store == "redis":
        rules.append({"op": "add", "path": "/spec/egress/-", "value": {"ports": [{"port": _REDIS, "protocol": "TCP"}]}})
    return [steps("NetworkPolicy", rules)]
