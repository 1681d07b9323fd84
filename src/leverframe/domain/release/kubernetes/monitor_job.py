"""The CronJob that looks at the log of the pods, as patches over the manifests of the package."""

from __future__ import annotations

from collections.abc import Sequence

from leverframe.domain.release.kubernetes.kustomize_patches import BASE, Manifest, named, steps
from leverframe.settings.levers import KubernetesSettings

_JOB = "/spec/jobTemplate/spec/template/spec"
_POLICY = f"{BASE}-monitor"


def monitor_patches(
    name: str, cluster: KubernetesSettings, arguments: Sequence[str], log: tuple[Manifest, Manifest], port: int
) -> list[Manifest]:
    """Return the patches; none where the cluster has no such job.

    ``arguments`` are commit, environment, log and folder of the results; ``log`` is the mount of the log and its
    volume, ``port`` that of the remote.
    """
    job = cluster.monitor
    if job is None:
        return []
    container, (mount, volume) = f"{_JOB}/containers/0", log
    same = {"cpu": "1", "memory": job.memory}
    secrets = [secret for secret in dict.fromkeys((cluster.secret, job.secret)) if secret]
    # A variable in parentheses is what Kubernetes would fill in; two dollars stand for one.
    words = [word.replace("$", "$$") for word in (job.repository, *arguments)]
    operations: list[Manifest] = [
        {"op": "replace", "path": "/spec/schedule", "value": job.schedule},
        {"op": "replace", "path": f"{container}/image", "value": job.image},
        *({"op": "add", "path": f"{container}/args/-", "value": word} for word in words),
        {"op": "replace", "path": f"{container}/resources", "value": {"requests": same, "limits": same}},
        {"op": "add", "path": f"{container}/envFrom", "value": [{"secretRef": {"name": secret}} for secret in secrets]},
        {"op": "add", "path": f"{container}/volumeMounts/-", "value": mount},
        {"op": "add", "path": f"{_JOB}/volumes/-", "value": volume},
    ]
    reached = [{"op": "replace", "path": "/spec/egress/2/ports/0/port", "value": port}]
    return [steps("CronJob", operations), steps("NetworkPolicy", reached, _POLICY), named(_POLICY, f"{name}-monitor")]
