"""What the status of pods says of a release: why they do not come up, and whether they are what they should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leverframe.domain.release.kubernetes.manifests import BUNDLE, RELEASE, ClusterRelease

Pod = Mapping[str, Any]

SERVERS = ("server", "kserve-container")
_BENIGN = ("PodInitializing", "ContainerCreating", "Completed", "")
_SHOWN = 300


@dataclass(frozen=True)
class Fault:
    """Why pods do not come up; ``of_the_bundle`` where a server had it and did not get ready with it."""

    why: str
    of_the_bundle: bool


def fault(pods: Sequence[Pod], number: int) -> Fault:
    """Return why the pods of a release do not come up, from the first that says something."""
    of_release = [pod for pod in _standing(pods) if pod["metadata"].get("labels", {}).get(RELEASE) == str(number)]
    faults = [reason for pod in of_release if (reason := _fault(pod))]
    if faults:
        return next((cause for cause in faults if cause.of_the_bundle), faults[0])
    return Fault("its pods give no reason" if of_release else "no pod of it was made", of_the_bundle=False)


def _fault(pod: Pod) -> Fault | None:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for condition in status.get("conditions", ()):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return Fault(f"pod `{name}` finds no node: {_short(condition.get('message', ''))}", of_the_bundle=False)
    for container in status.get("initContainerStatuses", ()):
        why = _ended(container)
        if why:
            return Fault(f"pod `{name}`, step `{container['name']}`: {why}", of_the_bundle=False)
    for container in status.get("containerStatuses", ()):
        if container["name"] not in SERVERS or container.get("ready"):
            continue
        state = container.get("state", {})
        pulling = state.get("waiting", {}).get("reason", "") in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName")
        why = _ended(container) or ("it runs and the model does not get ready" if "running" in state else "")
        if why:
            return Fault(f"pod `{name}`: {why}", of_the_bundle=not pulling)
    return None


def _ended(container: Mapping[str, Any]) -> str:
    """Return the message of a container that ended, or why it cannot start; empty where nothing is wrong."""
    state = container.get("state", {})
    for ended in (state.get("terminated"), container.get("lastState", {}).get("terminated")):
        if ended and ended.get("exitCode"):
            why = _short(ended.get("message", "")) or ended.get("reason", "")
            return f"it ended with {ended['exitCode']}: {why}"
    waiting = state.get("waiting", {})
    if waiting.get("reason", "") in _BENIGN:
        return ""
    return f"{waiting['reason']} {_short(waiting.get('message', ''))}".strip()


def _short(text: str) -> str:
    """Return the last error of ours in a log, else its last line, on one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    ours = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    kept = lines[ours[-1] : ours[-1] + 2] if ours else lines[-1:]
    return "; ".join(kept).replace("`", "'")[:_SHOWN]


@dataclass
class Watch:
    """Looks at pods again and again, and remembers what it saw."""

    release: ClusterRelease
    _ready: set[str] = field(default_factory=set)
    _restarts: dict[str, int] = field(default_factory=dict)

    def wrong(self, pods: Sequence[Pod]) -> str:
        """Return what is wrong with the pods as they are now, empty where nothing is."""
        standing = _standing(pods)
        for pod in standing:
            why = self._strange(pod) or self._worse(pod)
            if why:
                return f"pod `{pod['metadata']['name']}` {why}"
        return "" if self._ready & {pod["metadata"]["name"] for pod in standing} else "no pod is ready"

    def _strange(self, pod: Pod) -> str:
        bundle = pod["metadata"].get("annotations", {}).get(BUNDLE, "")
        if bundle != self.release.bundle:
            return f"serves bundle {bundle[:12] or 'without a name'}"
        images = [container["image"] for container in pod["spec"]["containers"] if container["name"] in SERVERS]
        return "" if images == [self.release.cluster.image] else f"has another image, {', '.join(images) or 'none'}"

    def _worse(self, pod: Pod) -> str:
        name = pod["metadata"]["name"]
        server: Mapping[str, Any] = next(
            (status for status in pod.get("status", {}).get("containerStatuses", ()) if status["name"] in SERVERS), {}
        )
        restarts = int(server.get("restartCount", 0))
        if restarts > self._restarts.setdefault(name, restarts):
            return f"was started again: {_ended(server) or 'it did not get ready'}"
        if server.get("ready"):
            self._ready.add(name)
        elif name in self._ready:
            return "was ready and is no longer"
        return ""


def _standing(pods: Sequence[Pod]) -> list[Pod]:
    """Return the pods that are not on their way out."""
    return [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")
            and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")]  # fmt: skip
