"""The MLServer process: ``python -m leverframe.serving.server CONFIG.json``.

MLServer is put together as its own command does, with one thread, no debug pages and no workers:
workers are slower here, lose requests on SIGTERM, and cannot start with every event loop. Three
things are set before its own: the ``Guard``; ``Infer``, the route that is asked all day; and for gRPC
a servicer that answers what cannot be read as a wrong argument instead of an internal error.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import mlserver.grpc.server as mlserver_grpc
from fastapi.exceptions import RequestValidationError
from mlserver.cli.serve import load_settings
from mlserver.errors import MLServerError
from mlserver.grpc.servicers import InferenceServicer
from mlserver.grpc.utils import handle_mlserver_error
from mlserver.rest.responses import Response
from mlserver.server import MLServer
from mlserver.settings import Settings

from leverframe.serving import process
from leverframe.serving.guard import CLOSED, Guard
from leverframe.serving.infer import Infer
from leverframe.serving.inference_log import LogSettings

_log = logging.getLogger("mlserver")


@dataclass(frozen=True)
class ServerConfig:
    """Where a server listens and what it serves.

    ``models`` is the folder with one folder a release, ``key_file`` holds what opens the model
    repository, ``limit`` is the largest body in bytes.
    """

    models: str
    host: str
    port: int
    grpc_port: int
    metrics_port: int
    key_file: str
    limit: int = 4_000_000
    log: LogSettings | None = None

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> ServerConfig:
        """Return the configuration that ``asdict`` gave."""
        log = content.get("log")
        return cls(**{**content, "log": LogSettings(**{**log, "deny": tuple(log["deny"])}) if log else None})


class _Servicer(InferenceServicer):  # type: ignore[misc]
    """MLServer's servicer, whose errors are the client's where the client's bytes cause them."""

    @handle_mlserver_error  # type: ignore[untyped-decorator]
    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        try:
            self._InsertHeaders(request, context)
        except Exception as error:  # whatever unpacking bytes that do not fit raises
            raise MLServerError(f"the request cannot be read: {type(error).__name__}: {error}"[:300], 400) from error
        return await InferenceServicer.ModelInfer(self, request, context)

    @handle_mlserver_error  # type: ignore[untyped-decorator]
    async def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        return await InferenceServicer.ModelReady(self, request, context)

    async def ModelStreamInfer(self, requests_stream: Any, context: Any) -> Any:  # noqa: N802, ARG002 - as above
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "one request, one answer: use ModelInfer")
        yield None

    async def RepositoryModelLoad(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - as above
        await _closed(context)

    async def RepositoryModelUnload(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - as above
        await _closed(context)

    async def RepositoryIndex(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - as above
        await _closed(context)


async def _closed(context: Any) -> None:
    await context.abort(grpc.StatusCode.PERMISSION_DENIED, CLOSED)


def _nothing(servicer: Any, server: Any) -> None:
    """Register no service: MLServer's second way to the repository stays shut."""


async def serve(config: ServerConfig) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is under way and end."""
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
        environments_dir=str(Path(config.models, ".envs")),
        metrics_dir=str(Path(config.models, ".metrics")),
    )
    _, models = await load_settings(config.models)
    mlserver_grpc.InferenceServicer = _Servicer
    mlserver_grpc.add_ModelRepositoryServiceServicer_to_server = _nothing
    server = MLServer(settings)
    app = server._rest_server._app
    app.add_middleware(Infer, registry=server._model_registry)
    app.add_middleware(Guard, limit=config.limit, key=Path(config.key_file).read_text(encoding="utf-8").strip())
    app.add_exception_handler(RequestValidationError, _unreadable)
    log = process.start_log(config.log) if config.log else None
    loading = asyncio.create_task(_load(server, models))
    try:
        await server.start([])
    finally:
        loading.cancel()
        if log is not None:
            log.close()


async def _load(server: Any, models: list[Any]) -> None:
    """Load the releases in order; MLServer itself would end because of one that cannot be loaded."""
    for each in sorted(models, key=lambda each: int(each.parameters.version or 0)):
        try:
            await server._model_registry.load(each)
        except Exception:
            _log.exception(f"release {each.parameters.version} of {each.name} cannot be loaded; the others serve")


async def _unreadable(request: Any, error: Any) -> Any:  # noqa: ARG001 - FastAPI hands it over
    first = error.errors()[0] if error.errors() else {}
    where = ".".join(str(part) for part in first.get("loc", ())[1:])[:120]
    told = f"the request cannot be read: {where or 'the body'}: {first.get('msg', 'it is no JSON')}"
    return Response(status_code=400, content={"error": told[:300]})


def main() -> None:
    """Serve what the file named on the command line says."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    config = ServerConfig.from_json(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    asyncio.run(serve(config))


if __name__ == "__main__":
    main()
