"""The servers of this machine: their folder, where they listen, and what they log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leverframe.adapters.mlserver import Ports, ServerFolder
from leverframe.adapters.process import Processes
from leverframe.application.workspace import Workspace
from leverframe.documents import plain
from leverframe.domain import layout
from leverframe.domain.release.serve import Running
from leverframe.errors import ServerError
from leverframe.files import private_folder
from leverframe.private_files import verify_own
from leverframe.serving.inference_log import LogSettings
from leverframe.serving.online_config import OnlineConfig
from leverframe.settings import PARAMS
from leverframe.settings.levers import ServeSettings
from leverframe.settings.online import OnlineSettings

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")  # as of an environment
AGAIN = "started again: "  # before the mark of a server that was killed


def server_folder(workspace: Workspace, name: str) -> ServerFolder:
    """Return the folder of the server of that name; raises ``ServerError`` for no name, or one of others."""
    if not _NAME.fullmatch(name):
        raise ServerError(
            f"{ascii(name)[:80]} is no name of a server",
            why="its folder has that name, and what another folder has would be replaced",
            next="a name has at most 32 letters from a to z, digits and `-`, and none of the latter at its ends",
        )
    servers = workspace.root / workspace.levers.serve.folder
    private_folder(servers if servers.is_absolute() else workspace.root / layout.PRIVATE)
    folder = (servers / name).resolve()
    verify_own(folder)
    settings = workspace.levers
    redis = [settings.online.redis] if settings.online.redis else []
    return ServerFolder(folder, Processes(), [*settings.serve.environment, *redis])


def code_of(workspace: Workspace, served: Path | None = None) -> Path | None:
    """Return the folder from which a server imports own types of the case: that of the settings, which trust them.

    None where there are no settings, and where what is ``served`` lies around them: a bundle that somebody sends may
    have settings and modules beside it.
    """
    root = workspace.root.resolve()
    return root if settings_hold(workspace, served) and (root / PARAMS).is_file() else None


def settings_hold(workspace: Workspace, served: Path | None = None) -> bool:
    """Tell whether the settings say what may be imported: not where what is ``served`` lies around them."""
    return served is None or not workspace.root.resolve().is_relative_to(served.resolve())


def requests_of(settings: ServeSettings) -> Mapping[str, Any]:
    """Return what a server is told of the requests that it takes."""
    return {"limit": settings.maximum_bytes, "datatypes": settings.datatypes}


def log_in(folder: Path, settings: ServeSettings) -> Mapping[str, Any]:
    """Return the settings of a server's inference log in a folder."""
    log = settings.log
    content: Mapping[str, Any] = plain(
        LogSettings(
            str(folder), log.share, tuple(log.deny), megabytes=log.megabytes, seconds=log.seconds, days=log.days
        )
    )
    return content


def online_of(root: Path, settings: OnlineSettings) -> Mapping[str, Any] | None:
    """Return what a server is told of the online store, None where its features are those of bundles, however old.

    A URL, which may hold a password, is not told: only the environment variable that has it.
    """
    if settings.store == "bundle" and settings.maximum_age_hours is None:
        return None
    folder = str((root / settings.folder).resolve()) if settings.store == "file" else ""
    content: Mapping[str, Any] = plain(
        OnlineConfig(settings.store, folder, settings.redis or "", settings.maximum_age_hours, settings.when_stale)
    )
    return content


def start_ports(settings: ServeSettings, wanted: tuple[int | None, int | None, int | None]) -> Ports:
    """Return where a server listens: at the ``wanted`` ports, where None at those of the settings."""
    declared = (settings.port, settings.grpc_port, settings.metrics_port)
    chosen = [default if port is None else port for port, default in zip(wanted, declared, strict=True)]
    return Ports(settings.host, *chosen)


def ports_again(declared: Ports, ended: Running | None) -> tuple[Ports, str]:
    """Return where a server starts after one that ``ended`` by itself, and as what.

    One that Terraform started has its mark, and its clients look for it where it was, whatever is ``declared`` for
    others. The new mark keeps that in mind without being Terraform's, whose next plan replaces the server.
    """
    if ended is None or not ended.mark:
        return declared, ""
    return Ports(
        ended.host, ended.port, ended.grpc_port, ended.metrics_port
    ), f"{AGAIN}{ended.mark.removeprefix(AGAIN)}"
