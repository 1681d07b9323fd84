"""What a runner gives to the jobs of a workflow that run here: contexts, variables, programs that install nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from leverframe.local.repository import TemporaryRepository
from tests.loop.forge import NAME, SECRET
from tests.warm import warm


def context(name: str, event: dict[str, Any], **more: str) -> dict[str, Any]:
    """Return the context `github` of a run that an event of this name started."""
    return {"event_name": name, "event": event, "repository": NAME, "token": SECRET, **more}


def surroundings(
    address: str,
    job: TemporaryRepository,
    name: str,
    event: dict[str, Any],
    run: int,
    folder: Path,
    *,
    repository: str = NAME,
    cold: bool = False,
) -> dict[str, str]:
    """Return the environment of a job, with a server at an address.

    Its `leverframe` is a warm one, unless it shall be the one installed.
    """
    path = job.home / "event.json"
    path.write_text(json.dumps(event), encoding="utf-8")
    kept = {key: value for key, value in job.environment.items() if not key.startswith(("GITHUB_", "LEVERFRAME_"))}
    variables = kept | {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": name,
        "GITHUB_EVENT_PATH": str(path),
        "GITHUB_REPOSITORY": repository,
        "GITHUB_RUN_ID": str(run),
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_API_URL": address,
        "GITHUB_SERVER_URL": address,
        "PATH": f"{uv(folder)}:{job.environment['PATH']}",
    }
    return variables if cold else warm().around(variables)


def uv(folder: Path) -> Path:
    """Return a folder with a `uv` that installs nothing: what the job needs is installed already."""
    place = folder / "bin"
    place.mkdir(parents=True, exist_ok=True)
    (place / "uv").write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    (place / "uv").chmod(0o755)
    return place
