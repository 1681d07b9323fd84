"""How a deployment to a cluster is given its kubectl, its target and its terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from leverframe.errors import SettingsError
from leverframe.wiring import ROOT
from leverframe.wiring import deploy as room
from leverframe.wiring.bundles import recorded_bundle

if TYPE_CHECKING:
    from leverframe.domain.release.deploy import Deployed
    from leverframe.domain.release.kubernetes.cluster_deploy import Rollouts
    from leverframe.domain.release.kubernetes.cluster_plan import Step
    from leverframe.domain.release.kubernetes.cluster_steps import Wanted
    from leverframe.domain.release.ledger import Ledger
    from leverframe.domain.release.release_manifest import ReleaseManifest
    from leverframe.domain.release.release_state import State
    from leverframe.settings import Settings

TARGETS = ("server", "kubernetes")


def chosen(settings: Settings, environment: str, target: str | None) -> bool:
    """Tell whether a cluster is meant: as asked, else as the environment declares. Raises ``SettingsError``."""
    declared = room.environment_of(settings, environment).kubernetes is not None
    if target == "kubernetes" and not declared:
        raise SettingsError(
            f"environment `{environment}` declares no cluster",
            why=f"`deploy.environments.{environment}.kubernetes` of params.yaml is not there",
            next="declare context, namespace, image and remote there; docs/guides/kubernetes.md has an example",
        )
    return declared if target is None else target == "kubernetes"


def deploy(
    settings: Settings, environment: str, wanted: Wanted, again: bool, ledger: Ledger | None, tell: room.Tell
) -> Deployed:
    """Let a cluster serve what is wanted; raises ``ClusterError``, and what `deploy` to a server does."""
    from leverframe.adapters.releases import Releases
    from leverframe.wiring.serving import server_folder

    with Releases(server_folder(environment).folder).lock():
        return rollouts(settings, environment, tell, ledger).run(wanted, again=again)


def plan(settings: Settings, environment: str, wanted: Wanted, tell: room.Tell) -> tuple[tuple[Step, ...], list[Any]]:
    """Return the steps that `deploy` would go through, and the objects that it would apply."""
    return rollouts(settings, environment, tell).plan(wanted)


def rollback(
    settings: Settings, environment: str, number: int | None, why: str, ledger: Ledger | None, tell: room.Tell
) -> Deployed:
    """Let a cluster serve an earlier release again."""
    from leverframe.adapters.releases import Releases
    from leverframe.wiring.serving import server_folder

    with Releases(server_folder(environment).folder).lock():
        return rollouts(settings, environment, tell, ledger).rollback(number, why)


def state(settings: Settings, environment: str) -> State:
    """Return what a cluster keeps of its releases."""
    return rollouts(settings, environment, lambda _: None).record().state


def rollouts(settings: Settings, environment: str, tell: room.Tell, ledger: Ledger | None = None) -> Rollouts:
    """Return deployments to the cluster that an environment declares."""
    from leverframe.adapters.kubectl import Kubectl
    from leverframe.domain.release.kubernetes.cluster_deploy import Rollouts
    from leverframe.domain.release.kubernetes.manifests import Target

    cluster = room.environment_of(settings, environment).kubernetes
    assert cluster is not None  # noqa: S101 - `chosen` looked
    template = Target(settings.bundle.model, 0, "", "", "", cluster, settings.serve)
    kubectl = Kubectl(cluster.context, cluster.namespace)
    return Rollouts(kubectl, room.WallClock(), room.terms_of(settings), environment, template, tell, ledger)


def wanted(desired: ReleaseManifest, files: Callable[[], Mapping[str, bytes]]) -> Wanted:
    """Return what a commit wants with the MD5 of its bundle, by which pods find it."""
    from leverframe.adapters.git import Git
    from leverframe.domain.release.kubernetes.cluster_steps import Wanted

    return Wanted(desired, recorded_bundle(Git(ROOT), desired.commit).md5, files)
