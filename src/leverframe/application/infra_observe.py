"""Write what runs on this machine for a Terraform plan to read."""

from __future__ import annotations

import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from leverframe import __version__
from leverframe.adapters.mlserver import ServerFolder
from leverframe.application.servers import server_folder
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.infrastructure.observed_server import (
    MARKER,
    ObservedFolder,
    ObservedServer,
    latest_generation,
    live_state,
    recorded_generation,
    settings_digest,
)
from leverframe.errors import SettingsError, nearest
from leverframe.files import private_folder, write_json
from leverframe.settings.infra import InfraEnvironmentSettings

LIVE = "live.tfstate"
STATE = "terraform.tfstate"
_PATIENCE = 10.0  # seconds in which a server answers that it lives
_PORTS = {"port", "grpc_port", "metrics_port"}  # variables of Terraform say where it listens


def observe(workspace: Workspace, environment: str) -> Path:
    """Write what runs on this machine of an environment, and return where: ``.leverframe/infra/NAME/live.tfstate``.

    Nothing else is changed. Raises ``SettingsError`` for an environment that is not declared, or declared as one
    whose providers tell what there is.
    """
    declared = _declared(workspace, environment)
    name = str(declared.variables.get("server") or environment)
    server = server_folder(workspace, name)
    folders = {
        "dvc_remote": _folder(workspace.root, str(declared.variables.get("dvc_remote") or dvc_remote(environment))),
        "model_repository": _folder(workspace.root, _named(workspace.root, server.folder)),
    }
    place = workspace.root / layout.INFRA / environment
    live = place / LIVE
    known = server.recorded()
    texts = [known.mark if known else "", *(folder.marker for folder in folders.values()), _text(place / STATE)]
    generation = max(latest_generation(texts), recorded_generation(_text(live)))
    private_folder(workspace.root / layout.PRIVATE)
    seen = ObservedServer(name, server.running(), _answers(server), _settings(workspace))
    write_json(live, live_state(seen, folders, generation, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")))
    return live


def dvc_remote(environment: str) -> str:
    """Return the folder of a DVC remote that an environment has by default, as terraform/environments/local has it."""
    return ".leverframe/storage" if environment == "local" else f".leverframe/storage-{environment}"


def _declared(workspace: Workspace, environment: str) -> InfraEnvironmentSettings:
    known = workspace.levers.infra.environments
    if environment not in known:
        raise SettingsError(
            f"no environment `{environment}` of infrastructure is declared",
            why="`infra.environments` of leverframe.yaml has no such name",
            next=nearest(environment, known),
        )
    if known[environment].observe is None:
        raise SettingsError(
            f"environment `{environment}` is not observed",
            why="its providers tell Terraform what there is",
            next=f"set `infra.environments.{environment}.observe: local` for one on this machine",
        )
    return known[environment]


def _answers(server: ServerFolder) -> bool:
    running = server.running()
    return running is not None and server.client(running, timeout=_PATIENCE).live()


def _settings(workspace: Workspace) -> str:
    """Return the digest of what a server is started with, paths and ports apart; no two machines differ in it."""
    serve = workspace.levers.serve.model_dump(mode="json", exclude={"folder", *_PORTS})
    return settings_digest(__version__, serve, workspace.levers.online.model_dump(mode="json"))


def _named(root: Path, folder: Path) -> str:
    """Return a folder as Terraform names it: relative to the repository where it is inside."""
    here = root.resolve()
    return folder.relative_to(here).as_posix() if folder.is_relative_to(here) else str(folder)


def _folder(root: Path, path: str) -> ObservedFolder:
    folder = root / path
    try:
        status = folder.stat()
    except OSError:
        return ObservedFolder(path)
    if not stat.S_ISDIR(status.st_mode):
        return ObservedFolder(path)
    return ObservedFolder(path, stat.S_IMODE(status.st_mode), _text(folder / MARKER))


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""
