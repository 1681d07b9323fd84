"""The files that a stage reads and writes beside its tables, by the paths of ``layout``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol, TypeVar

from leverframe.documents import parsed
from leverframe.errors import SourceError

Described = TypeVar("Described")


class Artefacts(Protocol):
    """Reads and replaces whole files, paths relative to the root of the repository."""

    def read_json(self, path: Path) -> Any:
        """Return the content of a JSON file; raises ``SourceError`` when it is missing or damaged."""

    def read_bytes(self, path: Path) -> bytes:
        """Return the content of a file; raises ``SourceError`` when it cannot be read."""

    def write_json(self, path: Path, content: Any) -> None:
        """Replace a file with JSON."""

    def write_text(self, path: Path, text: str) -> None:
        """Replace a file with text."""

    def write_bytes(self, path: Path, data: bytes) -> None:
        """Replace a file with bytes."""

    def remove(self, path: Path) -> None:
        """Remove a file, if there is one."""


def read_as(kind: type[Described], path: Path, artefacts: Artefacts) -> Described:
    """Return the document in a JSON file; raises ``SourceError`` when it is missing, damaged or of another kind."""
    content = artefacts.read_json(path)
    try:
        return parsed(kind, json.dumps(content))
    except ValueError as error:
        raise SourceError(
            f"{path} is not a valid file of its kind",
            why=str(error),
            next="run `dvc repro`, which writes it again with this version of Leverframe",
        ) from error
