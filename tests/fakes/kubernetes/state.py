"""The objects of the fake API server, and what its controllers make of them: pods that come up, or do not."""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from leverframe.domain.release.kubernetes.manifests import BUNDLE

Thing = dict[str, Any]
Fault = Literal["crash", "fetch", "no-node", "restarts"]
Key = tuple[str, str, str]  # kind, namespace, name


class RefusedError(Exception):
    """The API server says no: a status code, and why."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


@dataclass
class Objects:
    """Everything in the cluster; ``faults`` says by bundle what goes wrong with its pods, ``refuse`` names kinds.

    Pods are ready, and deadlines over, after ``patience`` seconds. ``served`` has every bundle that got
    traffic, in order.
    """

    namespaces: tuple[str, ...] = ("shops",)
    faults: dict[str, Fault] = field(default_factory=dict)
    refuse: dict[str, str] = field(default_factory=dict)
    served: list[str] = field(default_factory=list)
    patience: float = 0.3
    lock: threading.RLock = field(default_factory=threading.RLock)
    _all: dict[Key, Thing] = field(default_factory=dict)
    _applied: dict[Key, Thing] = field(default_factory=dict)
    _rollouts: dict[Key, _Rollout] = field(default_factory=dict)
    _version: int = 0

    def get(self, key: Key) -> Thing | None:
        """Return an object as it is now."""
        with self.lock:
            self._control()
            return copy.deepcopy(self._all.get(key))

    def all(self, kind: str, namespace: str) -> list[Thing]:
        """Return the objects of a kind."""
        with self.lock:
            self._control()
            if kind == "Pod":
                return [pod for rollout in self._rollouts.values() for pod in rollout.pods()]
            return [copy.deepcopy(body) for (a, b, _), body in self._all.items() if (a, b) == (kind, namespace)]

    def apply(self, key: Key, body: Thing, *, dry: bool) -> Thing:
        """Apply as the server side does: what was applied before and is no longer goes, the rest is merged."""
        with self.lock:
            kind, namespace, name = key
            before = self._all.get(key)
            self._check(kind, namespace, name, body, before)
            body = copy.deepcopy(body)
            body["metadata"].pop("resourceVersion", None)
            after: Thing = _merged(_without(copy.deepcopy(before or {}), self._applied.get(key, {}), body), body)
            if kind == "Deployment":
                after["spec"].setdefault("replicas", 1)
            changed = before is None or _bare(before) != _bare(after)
            if dry:
                return after
            if changed:
                self._version += 1
                generation = (before or {}).get("metadata", {}).get("generation", 0)
                after["metadata"]["resourceVersion"] = str(self._version)
                after["metadata"]["generation"] = generation + (
                    before is None or before.get("spec") != after.get("spec")
                )
            self._all[key], self._applied[key] = after, body
            return copy.deepcopy(after)

    def edit(self, key: Key, change: Thing) -> None:
        """Change an object as somebody does by hand."""
        with self.lock:
            self._version += 1
            self._all[key] = _merged(self._all[key], change)
            self._all[key]["metadata"]["resourceVersion"] = str(self._version)

    def delete(self, key: Key) -> bool:
        """Delete an object; tell whether it was there."""
        with self.lock:
            self._applied.pop(key, None)
            self._rollouts.pop(key, None)
            return self._all.pop(key, None) is not None

    def _check(self, kind: str, namespace: str, name: str, body: Thing, before: Thing | None) -> None:
        if namespace not in self.namespaces:
            raise RefusedError(404, "NotFound", f'namespaces "{namespace}" not found')
        if kind in self.refuse:
            raise RefusedError(403, "Forbidden", f'{kind} "{name}" is forbidden: {self.refuse[kind]}')
        asked, has = body["metadata"].get("resourceVersion"), (before or {}).get("metadata", {}).get("resourceVersion")
        if asked is not None and asked != has:
            why = "the object has been modified; please apply your changes to the latest version and try again"
            raise RefusedError(409, "Conflict", f'Operation cannot be fulfilled on {kind} "{name}": {why}')

    def _control(self) -> None:
        """Let controllers see what changed: KServe makes a Deployment, a Deployment makes pods."""
        for (kind, namespace, name), body in list(self._all.items()):
            if kind == "InferenceService":
                self._predictor(namespace, name, body)
        for key, body in self._all.items():
            if key[0] == "Deployment":
                scaler = self._all.get(("HorizontalPodAutoscaler", *key[1:]))
                if scaler is not None:
                    body["spec"]["replicas"] = max(body["spec"].get("replicas", 1), scaler["spec"]["minReplicas"])
                rollout = self._rollouts.setdefault(key, _Rollout(key[2], self))
                rollout.see(body)
                body["status"] = rollout.status(body)

    def _predictor(self, namespace: str, name: str, service: Thing) -> None:
        predictor, runtime = service["spec"]["predictor"], self._all.get(("ServingRuntime", namespace, name), {})
        metadata = {"labels": predictor.get("labels", {}), "annotations": predictor.get("annotations", {})}
        pod = {"containers": runtime.get("spec", {}).get("containers", [])}
        spec = {"replicas": predictor["minReplicas"], "template": {"metadata": metadata, "spec": pod}}
        key, labels = ("Deployment", namespace, f"{name}-predictor"), predictor.get("labels", {})
        self._all.setdefault(key, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}})
        old = self._all[key]
        generation = old["metadata"].get("generation", 0) + (old.get("spec") != spec)
        old["metadata"] = {"name": key[2], "namespace": namespace, "labels": labels, "generation": generation,
                           "resourceVersion": "1"}  # fmt: skip
        old["spec"] = spec


@dataclass
class _Rollout:
    """How far a Deployment is: the template whose pods serve, and the one that should."""

    name: str
    cluster: Objects
    serving: Thing | None = None
    wanted: Thing | None = None
    since: float = 0.0
    replicas: int = 1

    def see(self, deployment: Thing) -> None:
        """Take note of the template, and finish when it is time."""
        template, self.replicas = deployment["spec"]["template"], deployment["spec"].get("replicas", 1)
        if template != self.wanted:
            self.wanted, self.since = copy.deepcopy(template), time.monotonic()
        if self.wanted != self.serving and self._over() and not self._stuck():
            self.serving = self.wanted
            self.cluster.served.append(_bundle(self.wanted))

    def status(self, deployment: Thing) -> Thing:
        """Return the status of the Deployment."""
        done = self.wanted == self.serving
        progress = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
        if not done:
            progress = {**progress, "reason": "ReplicaSetUpdated"}
            if self._over() and self._stuck():
                progress = {**progress, "status": "False", "reason": "ProgressDeadlineExceeded"}
        return {
            "observedGeneration": deployment["metadata"].get("generation", 1),
            "replicas": self.replicas if done else self.replicas + 1,
            "updatedReplicas": self.replicas if done else 1,
            "availableReplicas": self.replicas if self.serving else 0,
            "readyReplicas": self.replicas if self.serving else 0,
            "conditions": [progress],
        }

    def pods(self) -> list[Thing]:
        """Return the pods that serve, and the one that comes up beside them."""
        pods = []
        if self.serving is not None:
            fault = self.cluster.faults.get(_bundle(self.serving))
            pods = [_pod(self.name, self.serving, number, fault, ready=True) for number in range(self.replicas)]
        if self.wanted is not None and self.wanted != self.serving:
            fault = self.cluster.faults.get(_bundle(self.wanted))
            pods.append(_pod(self.name, self.wanted, len(pods), fault, ready=False))
        return pods

    def _stuck(self) -> bool:
        return self.cluster.faults.get(_bundle(self.wanted)) not in (None, "restarts")

    def _over(self) -> bool:
        return time.monotonic() - self.since > self.cluster.patience


def _pod(name: str, template: Thing, number: int, fault: Fault | None, *, ready: bool) -> Thing:
    """Return a pod; a template has the same name for its pods as long as it is the same."""
    mark = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:8]
    containers = template["spec"].get("containers", [])
    status = _ready(containers[0]["name"], fault) if ready else _coming(containers[0]["name"], fault)
    metadata = {**copy.deepcopy(template["metadata"]), "name": f"{name}-{mark}-{number}"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"], "status": status}


def _ready(server: str, fault: Fault | None) -> Thing:
    # One more a look: a count tied to the clock stands still between two looks of a busy machine.
    restarts = next(_LOOKS) if fault == "restarts" else 0
    running = {"name": server, "ready": True, "restartCount": restarts, "state": {"running": {}}}
    return {"phase": "Running", "conditions": _PLACED, "containerStatuses": [running]}


def _coming(server: str, fault: Fault | None) -> Thing:
    """Return the status of a pod that does not serve yet."""
    back = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    if fault == "no-node":
        why = "0/3 nodes are available: 3 Insufficient cpu."
        return {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": why}]}
    if fault == "fetch":
        message = "error: the remote has no MANIFEST.json\n  why:  nothing there\n  next: push it"
        last = {"terminated": {"exitCode": 28, "message": message}}
        fetch = {"name": "fetch", "state": back, "lastState": last}
        return {"phase": "Pending", "conditions": _PLACED, "initContainerStatuses": [fetch]}
    if fault == "crash":
        last = {"terminated": {"exitCode": 1, "reason": "Error", "message": "golden row 0 is answered otherwise"}}
        crashed = {"name": server, "ready": False, "restartCount": 2, "state": back, "lastState": last}
        return {"phase": "Running", "conditions": _PLACED, "containerStatuses": [crashed]}
    return {"phase": "Pending", "conditions": _PLACED}


_PLACED = [{"type": "PodScheduled", "status": "True"}]
_LOOKS = itertools.count(1)


def _bundle(template: Thing | None) -> str:
    return str(((template or {}).get("metadata", {}).get("annotations") or {}).get(BUNDLE, ""))


def _bare(thing: Thing) -> Thing:
    """Return an object without what the server itself writes."""
    metadata = {k: v for k, v in thing["metadata"].items() if k not in ("resourceVersion", "generation")}
    return {**{k: v for k, v in thing.items() if k != "status"}, "metadata": metadata}


def _without(live: Any, applied: Any, now: Any) -> Any:
    """Return ``live`` without what was applied before and is not any more."""
    if isinstance(live, dict) and isinstance(applied, dict) and isinstance(now, dict):
        gone = set(applied) - set(now)
        return {
            name: _without(value, applied.get(name), now.get(name)) for name, value in live.items() if name not in gone
        }
    return live


def _merged(live: Any, change: Any) -> Any:
    if not (isinstance(live, dict) and isinstance(change, dict)):
        return copy.deepcopy(change)
    return {**live, **{name: _merged(live.get(name), value) for name, value in change.items()}}
