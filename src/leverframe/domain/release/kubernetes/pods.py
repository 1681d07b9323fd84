"""What pods tell of a release: why they do not come up, and whether they are what they should be."""

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
    """Why pods do not come up; ``of_the_bundle`` where a server had it and did not answer with it."""

    why: str
    of_the_bundle: bool


def fault(pods: Sequence[Pod], number: int) -> Fault:
    """Return why the pods of a release do not come up, from the first that says something."""
    of_release = [each for each in _standing(pods) if each["metadata"].get("labels", {}).get(RELEASE) == str(number)]
    told = [found for each in of_release if (found := _told(each))]
    server = next((found for found in told if found.of_the_bundle), None)
    if told:
        return server or told[0]
    return Fault("its pods tell no reason" if of_release else "no pod of it was made", of_the_bundle=False)


def _told(pod: Pod) -> Fault | None:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for each in status.get("conditions", ()):
        if each.get("type") == "PodScheduled" and each.get("status") == "False":
            return Fault(f"pod `{name}` finds no node: {_short(each.get('message', ''))}", of_the_bundle=False)
    for each in status.get("initContainerStatuses", ()):
        why = _ended(each)
        if why:
            return Fault(f"pod `{name}`, step `{each['name']}`: {why}", of_the_bundle=False)
    for each in status.get("containerStatuses", ()):
        if each["name"] not in SERVERS or each.get("ready"):
            continue
        state = each.get("state", {})
        pulling = state.get("waiting", {}).get("reason", "") in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName")
        why = _ended(each) or ("it runs and the model does not get ready" if "running" in state else "")
        if why:
            return Fault(f"pod `{name}`: {why}", of_the_bundle=not pulling)
    return None


def _ended(container: Mapping[str, Any]) -> str:
    """Return what a container said when it ended last, or why it cannot start; empty where nothing is wrong."""
    state = container.get("state", {})
    for each in (state.get("terminated"), container.get("lastState", {}).get("terminated")):
        if each and each.get("exitCode"):
            said = _short(each.get("message", "")) or each.get("reason", "")
            return f"it ended with {each['exitCode']}: {said}"
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
        for each in standing:
            why = self._strange(each) or self._worse(each)
            if why:
                return f"pod `{each['metadata']['name']}` {why}"
        return "" if self._ready & {each["metadata"]["name"] for each in standing} else "no pod is ready"

    def _strange(self, pod: Pod) -> str:
        told = pod["metadata"].get("annotations", {}).get(BUNDLE, "")
        if told != self.release.bundle:
            return f"serves bundle {told[:12] or 'without a name'}"
        images = [each["image"] for each in pod["spec"]["containers"] if each["name"] in SERVERS]
        return "" if images == [self.release.cluster.image] else f"has another image, {', '.join(images) or 'none'}"

    def _worse(self, pod: Pod) -> str:
        name = pod["metadata"]["name"]
        server: Mapping[str, Any] = next(
            (each for each in pod.get("status", {}).get("containerStatuses", ()) if each["name"] in SERVERS), {}
        )
        restarts = int(server.get("restartCount", 0))
        if restarts > self._restarts.setdefault(name, restarts):
            return f"was started again: {_ended(server) or 'it did not answer'}"
        if server.get("ready"):
            self._ready.add(name)
        elif name in self._ready:
            return "was ready and is no longer"
        return ""


def _standing(pods: Sequence[Pod]) -> list[Pod]:
    """Return the pods that are not on their way out."""
    return [each for each in pods if not each["metadata"].get("deletionTimestamp")
            and each.get("status", {}).get("phase") not in ("Succeeded", "Failed")]  # fmt: skip
