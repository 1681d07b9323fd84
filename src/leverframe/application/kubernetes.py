"""How a deployment to a cluster is given its kubectl and its target."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from leverframe.adapters.git import Git
from leverframe.adapters.kubectl import Kubectl
from leverframe.application.bundles import recorded_bundle
from leverframe.application.environments import Environment, WallClock
from leverframe.domain.release.kubernetes.cluster_deploy import Rollouts
from leverframe.domain.release.kubernetes.cluster_steps import Wanted
from leverframe.domain.release.kubernetes.manifests import Target
from leverframe.domain.release.ledger import Ledger
from leverframe.domain.release.release_manifest import ReleaseManifest

TARGETS = ("server", "kubernetes")


def rollouts(environment: Environment, tell: Callable[[str], None], ledger: Ledger | None = None) -> Rollouts:
    """Return deployments to the cluster that an environment declares."""
    cluster = environment.settings.kubernetes
    assert cluster is not None  # noqa: S101 - `in_cluster` looked
    template = Target(environment.model, 0, "", "", "", cluster, environment.serve)
    kubectl = Kubectl(cluster.context, cluster.namespace)
    return Rollouts(kubectl, WallClock(), environment.terms, environment.name, template, tell, ledger)


def wanted(git: Git, desired: ReleaseManifest, files: Callable[[], Mapping[str, bytes]]) -> Wanted:
    """Return what a commit wants with the MD5 of its bundle, by which pods find it."""
    return Wanted(desired, recorded_bundle(git, desired.commit).md5, files)
