"""What runs on a machine, as a document that Terraform reads: the format of a state, with outputs and no resource."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from leverframe.domain.release.serve import Running

MARKER = ".leverframe-folder"  # in a folder that Terraform made; terraform/modules/local_store writes it
_TOKEN = re.compile(r"\b[0-9a-f]{64}@([1-9][0-9]{0,8})\b")


@dataclass(frozen=True)
class ObservedServer:
    """A server by name: its process, None where none lives, and whether it answers.

    ``settings`` is the digest of what it would be started with now.
    """

    name: str
    running: Running | None
    answers: bool
    settings: str


@dataclass(frozen=True)
class ObservedFolder:
    """A folder, by its path as Terraform names it: its permissions in octal, None where it is none, and its marker."""

    path: str
    mode: int | None = None
    marker: str = ""


def settings_digest(*settings: Mapping[str, Any] | str) -> str:
    """Return the digest of settings, SHA-256 in hex."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def latest_generation(texts: Iterable[str]) -> int:
    """Return the highest generation that any token in ``texts`` has, 0 without one.

    A token is what Terraform names a thing by that it made: a digest, ``@`` and a generation. What replaces that
    thing must have a later one than any record knows, or Terraform takes the old one to be there still.
    """
    return max((int(number) for text in texts for number in _TOKEN.findall(text)), default=0)


def first_token(marker: str) -> str:
    """Return the token in the text of a marker, empty without one."""
    token = _TOKEN.search(marker)
    return token[0] if token else ""


def live_state(
    server: ObservedServer, folders: Mapping[str, ObservedFolder], generation: int, observed_at: str
) -> dict[str, Any]:
    """Return the document: format 4 of a Terraform state, everything observed in its outputs.

    ``observed_at`` is RFC 3339 in UTC, the only thing that differs between two looks at the same reality.
    """
    outputs = {
        "observed_at": observed_at,
        "generation": generation,
        "server": _server(server),
        "folders": {name: _folder(folder) for name, folder in folders.items()},
    }
    return {
        "version": 4,
        "terraform_version": "1.10.0",
        "serial": 1,
        "lineage": "observed-by-leverframe",
        "outputs": {name: {"value": value, "type": _type(value)} for name, value in outputs.items()},
        "resources": [],
    }


def recorded_generation(document: str) -> int:
    """Return the generation in a document of ``live_state``, 0 where it is none or of another kind."""
    try:
        number = json.loads(document)["outputs"]["generation"]["value"]
    except (ValueError, TypeError, KeyError):
        return 0
    return number if isinstance(number, int) else 0


def _server(server: ObservedServer) -> dict[str, Any]:
    running = server.running
    return {
        "name": server.name,
        "alive": running is not None,
        "answers": server.answers,
        "mark": running.mark if running else "",
        "settings": server.settings,
        "url": running.url if running else "",
        "port": running.port if running else 0,
        "grpc_port": running.grpc_port if running else 0,
        "metrics_port": running.metrics_port if running else 0,
    }


def _folder(folder: ObservedFolder) -> dict[str, Any]:
    return {
        "path": folder.path,
        "mode": "" if folder.mode is None else f"{folder.mode:04o}",
        "mark": first_token(folder.marker),
    }


def _type(value: object) -> Any:
    """Return the type of a value as a Terraform state writes it."""
    if isinstance(value, Mapping):
        return ["object", {name: _type(inner) for name, inner in value.items()}]
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int) else "string"
