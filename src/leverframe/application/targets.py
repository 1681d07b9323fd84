"""The target that an environment declares, with its adapters: a server of this machine, or a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from leverframe.adapters.kubectl import Kubectl
from leverframe.adapters.mlserver import V2
from leverframe.adapters.releases import Releases
from leverframe.application.environments import Environment, WallClock
from leverframe.application.servers import (
    code_of,
    log_in,
    online_of,
    ports_again,
    requests_of,
    server_folder,
    start_ports,
)
from leverframe.application.workspace import Workspace
from leverframe.domain.release.kubernetes.cluster_releases import ClusterReleases
from leverframe.domain.release.kubernetes.cluster_target import ClusterTarget
from leverframe.domain.release.kubernetes.manifests import ClusterRelease
from leverframe.domain.release.server_target import ServerTarget
from leverframe.domain.release.target import DeployContext, Target
from leverframe.package import check_extras
from leverframe.serving.logged import newest

Tell = Callable[[str], None]


def target_of(workspace: Workspace, environment: Environment, tell: Tell, kind: str | None = None) -> Target[Any]:
    """Return the target of an environment: of ``kind``, else as declared; a server starts when it is first needed.

    Raises ``SettingsError`` where a cluster is wanted and none is declared.
    """
    context = DeployContext(environment.model, environment.name, environment.policy, WallClock(), tell)
    if not environment.in_cluster(kind):
        return _server(workspace, environment, context)
    cluster = environment.settings.kubernetes
    assert cluster is not None  # noqa: S101 - `in_cluster` looked
    template = ClusterRelease(environment.model, 0, "", "", "", cluster, environment.serve, environment.name,
                              environment.levers.online)  # fmt: skip
    return ClusterTarget(context, ClusterReleases(Kubectl(cluster.context, cluster.namespace), template))


def releases_of(workspace: Workspace, environment: Environment) -> Releases:
    """Return the releases that this machine keeps for an environment; their lock is held by one deployment a time."""
    return Releases(server_folder(workspace, environment.name).folder)


def _server(workspace: Workspace, environment: Environment, context: DeployContext) -> ServerTarget:
    server = server_folder(workspace, environment.name)
    serve, settings = environment.serve, environment.settings

    def start() -> V2:
        running = server.running()
        if running is None:
            check_extras(("serving",), "a model server")
            declared = start_ports(serve, (settings.port, settings.grpc_port, settings.metrics_port))
            ports, mark = ports_again(declared, server.recorded())
            log, online = log_in(server.folder / "log", serve), online_of(workspace.root, environment.levers.online)
            running = server.start(
                ports, log=log, requests=requests_of(serve), online=online, mark=mark, code=code_of(workspace)
            )
            context.tell(f"no server `{environment.name}` ran: started it at {running.url}")
            client = server.client(running)
            if server.models.joinpath(environment.model).is_dir():
                client.load(environment.model)  # it is being loaded already: until then nothing of it answers
            return client
        return server.client(running)

    def client() -> V2 | None:
        running = server.running()
        return server.client(running) if running else None

    return ServerTarget(
        context,
        Releases(server.folder),
        start,
        lambda model, count: newest(server.folder / "log", model, count).requests,
        client,
    )
