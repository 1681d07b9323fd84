"""The MLServer process: ``python -m leverframe.serving.server CONFIG.json [RECORD.json PARENT]``.

MLServer is put together as its own command does, with one thread, no debug pages and no workers:
workers are slower here, lose requests on SIGTERM, and cannot start with every event loop. Before
its own stand a ``BoundedProtocol`` for each connection, the ``Guard``, ``Infer`` for the route that is asked all
day, and for gRPC the services of ``remote``.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import mlserver.grpc.server as mlserver_grpc
import mlserver.rest.endpoints as mlserver_rest
import mlserver.server as mlserver_server
from fastapi.exceptions import RequestValidationError
from mlserver.cli.serve import load_settings
from mlserver.rest.responses import Response
from mlserver.server import MLServer
from mlserver.settings import Settings
from starlette.exceptions import HTTPException

from leverframe import __version__
from leverframe.documents import parsed
from leverframe.serving import process, remote
from leverframe.serving.arrivals import OPTIONS, Arrivals
from leverframe.serving.arriving import Arriving
from leverframe.serving.binary import EXTENSION
from leverframe.serving.connections import (
    BoundedProtocol,
    Loop,
    backlog,
    close_all,
    open_files,
    quiet_at_the_limit,
    remote_room,
    sweep,
)
from leverframe.serving.counted import Limits
from leverframe.serving.draining import Calls
from leverframe.serving.guard import Guard, Hosts, is_local
from leverframe.serving.infer import Infer
from leverframe.serving.inference_log import LogSettings
from leverframe.serving.online_config import OnlineConfig
from leverframe.serving.own_log import rotate
from leverframe.serving.own_record import end_unrecorded, recorded
from leverframe.serving.room import Room

_log = logging.getLogger("mlserver")


@dataclass(frozen=True)
class ServerConfig:
    """Where a server listens and what it serves.

    ``models`` is the folder with one folder a release, ``key_file`` holds what opens the model
    repository, ``limit`` is the largest body in bytes, ``datatypes`` those that a column of numbers may
    have. Own types of a model are imported from ``code``.
    """

    models: str
    host: str
    port: int
    grpc_port: int
    metrics_port: int
    key_file: str
    limit: int = 4_000_000
    log: LogSettings | None = None
    online: OnlineConfig | None = None
    code: str | None = None
    datatypes: Literal["any", "declared"] = "any"


async def serve(config: ServerConfig, record: Path | None = None) -> None:
    """Serve until SIGTERM or SIGINT, or until ``record`` names another process; then finish what is under way."""
    settings = Settings(
        debug=False,
        parallel_workers=0,
        gzip_enabled=False,
        host=config.host,
        http_port=config.port,
        grpc_port=config.grpc_port,
        grpc_max_message_length=config.limit,
        metrics_port=config.metrics_port,
        model_repository_root=config.models,
        server_name="leverframe",
        server_version=__version__,
        extensions=[EXTENSION],
        environments_dir=str(Path(config.models, ".envs")),
        metrics_dir=str(Path(config.models, ".metrics")),
    )
    _, models = await load_settings(config.models)
    process.loading().begin(map(_release, models))
    process.take(config.datatypes)
    server = _put_together(settings, config)
    gc.freeze()  # what is imported stays: looking through it again and again would take most of a large request's time
    log = process.start_log(config.log) if config.log else None
    freshness = process.start_freshness(config.online) if config.online else None
    tasks = [asyncio.create_task(_load(server, models)), asyncio.create_task(sweep(lambda: _connections(server)))]
    quiet_at_the_limit(asyncio.get_running_loop())
    if record is not None:
        tasks.append(asyncio.create_task(end_unrecorded(record)))
        tasks.append(asyncio.create_task(rotate(record.with_name("server.log"))))
    try:
        await server.start([])
    finally:
        for task in tasks:
            task.cancel()
        if freshness is not None:
            freshness.end()
        if log is not None:
            log.close()


def _put_together(settings: Settings, config: ServerConfig) -> Any:
    """Return MLServer with what stands before its own; its modules offer no other way than to replace their names."""
    settings._custom_rest_server_settings = settings._custom_metrics_server_settings = {
        "http": BoundedProtocol,
        "backlog": backlog(),
    }
    room, arriving = Room(config.limit), Arriving()
    arrivals, calls = Arrivals(room), Calls()
    settings._custom_grpc_server_settings = {**OPTIONS, "grpc.max_allowed_incoming_connections": remote_room()}
    mlserver_grpc.InferenceServicer = remote.Servicer
    mlserver_grpc.add_GRPCInferenceServiceServicer_to_server = partial(remote.register, arrivals=arrivals, calls=calls)
    mlserver_grpc.add_ModelRepositoryServiceServicer_to_server = remote.nothing
    mlserver_server.GRPCServer = partial(remote.LateServer, calls)
    server = MLServer(settings)
    server.stop = partial(_stop, server, server.stop, (arriving, arrivals.arriving))
    models = server._model_registry._models

    def limits(model: str, version: str | None) -> Limits | None:
        if model not in models or (version is not None and version not in models[model]._versions):
            return None
        release = models[model]._versions[version] if version else models[model].default
        own_limits: Limits = getattr(release, "limits", Limits())  # one that is being loaded has none of its own
        return own_limits

    def versions(model: str) -> list[str]:
        loaded = models[model]._versions.items() if model in models else ()
        return sorted((version for version, release in loaded if release.ready), key=int)

    process.serve_versions(versions)
    ready = server._data_plane.ready

    async def all_ready() -> bool:
        return not process.loading() and bool(await ready())

    server._data_plane.ready = all_ready
    mlserver_rest.to_status_code = lambda good: 200 if good else 503  # of what is not ready, MLServer says 400
    metrics, app = server._metrics_server._app, server._rest_server._app
    _metrics_alone(metrics, settings.metrics_endpoint)
    key = Path(config.key_file).read_text(encoding="utf-8").strip()
    app.add_middleware(Infer, registry=server._model_registry)
    app.add_middleware(Guard, room=room, key=key, loading=process.loading(), limits=limits,
                       arriving=arriving)  # fmt: skip
    if is_local(config.host):
        app.add_middleware(Hosts)
        metrics.add_middleware(Hosts)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, _refused)
    return server


async def _stop(
    server: Any, stop: Callable[..., Awaitable[None]], waiting: Iterable[Arriving], sig: Any = None
) -> None:
    """End as MLServer does, but wait for no body, message or connection for longer than said."""
    for arrival in waiting:
        arrival.end()
    closing = asyncio.create_task(close_all(lambda: _connections(server)))
    await stop(sig)
    await closing


def _connections(server: Any) -> list[Any]:
    """Return the connections of REST and of the metrics."""
    servers = [getattr(listener, "_server", None) for listener in (server._rest_server, server._metrics_server)]
    return [connection for httpd in servers if httpd is not None for connection in httpd.server_state.connections]


def _metrics_alone(app: Any, path: str | None) -> None:
    """Leave one page on the port of the metrics: the framework puts pages beside it that load scripts of others."""
    app.router.routes[:] = [route for route in app.router.routes if route.path == path]
    app.router.redirect_slashes = False


def _release(model: Any) -> tuple[str, str]:
    return model.name, str(model.parameters.version or "1")


async def _load(server: Any, models: list[Any]) -> None:
    """Load the releases, the newest first, as it is what answers; with the last one gRPC begins to listen.

    MLServer itself would end because of one that cannot be loaded.
    """
    waiting = sorted(models, key=lambda release: int(release.parameters.version or 0))
    while waiting:
        model, loaded = waiting.pop(), False
        try:
            await server._model_registry.load(model)
            loaded = True
        except Exception:
            _log.exception(f"release {model.parameters.version} of {model.name} cannot be loaded; the others serve")
        finally:
            if not waiting:
                server._grpc_server.listen()  # before anybody is told that we are ready
            process.loading().end(*_release(model), loaded=loaded)
    server._grpc_server.listen()  # of a server without releases


async def _unreadable(request: Any, error: Any) -> Any:  # noqa: ARG001 - FastAPI hands it over
    first = error.errors()[0] if error.errors() else {}
    where = ".".join(str(part) for part in first.get("loc", ())[1:])[:120]
    message = f"the request cannot be read: {where or 'the body'}: {first.get('msg', 'it is no JSON')}"
    return Response(status_code=400, content={"error": message[:300]})


async def _refused(request: Any, error: Any) -> Any:  # noqa: ARG001 - FastAPI hands it over
    return Response(status_code=error.status_code, content={"error": str(error.detail)[:300]})


def main() -> None:
    """Serve what the file named on the command line says."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.umask(0o077)  # the logs hold what clients sent
    open_files()
    config = parsed(ServerConfig, Path(sys.argv[1]).read_bytes())
    if config.code:
        sys.path.append(config.code)  # last: a module there takes the place of none that is installed
    record = Path(sys.argv[2]) if sys.argv[2:] else None
    if record is not None and not recorded(record, int(sys.argv[3])):
        sys.exit("who started this server ended before it was recorded, so nobody would ever stop it")
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(serve(config, record))


if __name__ == "__main__":
    main()
