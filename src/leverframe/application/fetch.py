"""Fetch a bundle into a folder without a repository, with what a server needs beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from leverframe.adapters.dvc.remotes import RemoteContents
from leverframe.adapters.releases import Releases
from leverframe.application.servers import log_in, online_of, requests_of
from leverframe.documents import Document, validated
from leverframe.domain.release.fetch import Fetched, ReleaseReference, run
from leverframe.errors import SettingsError
from leverframe.files import write_json, write_text
from leverframe.private_files import for_us_alone
from leverframe.settings.levers import ServeSettings
from leverframe.settings.online import OnlineSettings

Section = TypeVar("Section", bound=Document)


def fetch(
    remote: tuple[str, float], release: ReleaseReference, to: Path, sections: tuple[str | None, str | None],
    log: Path | None, tell: Callable[[str], None],
) -> Fetched:  # fmt: skip
    """Bring a release into a folder, and write the configuration of its server last.

    ``remote`` is its address and for how many seconds it is read at most, ``sections`` are `serve` and `online` of
    leverframe.yaml. Nobody has a key to the model repository: it is empty.
    """
    settings = _section(ServeSettings, sections[0], "--serve")
    store = _section(OnlineSettings, sections[1], "--online")
    fetched = run(release, RemoteContents(*remote), Releases(to), tell)
    with for_us_alone():
        write_text(to / "key", "")
        write_json(to / "config.json", _config(to.resolve(), settings, log, store))
    return fetched


def _config(folder: Path, settings: ServeSettings, log: Path | None, online: OnlineSettings) -> dict[str, Any]:
    return {
        "models": str(folder / "models"), "host": settings.host, "port": settings.port,
        "grpc_port": settings.grpc_port, "metrics_port": settings.metrics_port, "key_file": str(folder / "key"),
        "log": log_in(log, settings) if log else None, "online": online_of(folder, online), **requests_of(settings),
    }  # fmt: skip


def _section(model: type[Section], text: str | None, option: str) -> Section:
    """Return a section of leverframe.yaml that was written as JSON; raises ``SettingsError``."""
    try:
        content = json.loads(text or "{}")
    except ValueError as error:
        raise SettingsError(
            f"`{option}` is no JSON", why=str(error), next="""such as --serve '{"port": 8080}'"""
        ) from error
    return validated(model, content if isinstance(content, dict) else {"": content}, name=option)
