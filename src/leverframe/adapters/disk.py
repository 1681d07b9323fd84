"""The disk: whole files read with errors that tell what to do, and replaced without a half-written state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from leverframe.errors import SourceError
from leverframe.files import disk_error, replacing, write_json, write_text


class Disk:
    """The ``Artefacts`` port; paths are relative to ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read_json(self, path: Path) -> Any:
        """Return the object in a JSON file; raises ``SourceError`` when it is missing or damaged."""
        remedy = "`dvc repro` makes it again; a merge may have left marks in it"
        try:
            content = json.loads(self.read_bytes(path).decode("utf-8"))
        except ValueError as error:
            raise SourceError(f"{path} is not JSON", why=str(error), next=remedy) from error
        if not isinstance(content, dict):
            raise SourceError(f"{path} is damaged", why=f"it holds no object but {str(content)[:40]}", next=remedy)
        return content

    def read_bytes(self, path: Path) -> bytes:
        """Return the content of a file; raises ``SourceError`` when it cannot be read."""
        try:
            return (self._root / path).read_bytes()
        except OSError as error:
            raise SourceError(
                f"cannot read {path}",
                why=(error.strerror or str(error)).lower(),
                next="`dvc pull` fetches it, `dvc repro` makes it",
            ) from error

    def write_json(self, path: Path, content: Any) -> None:
        """Replace a file with JSON."""
        write_json(self._root / path, content)

    def write_text(self, path: Path, text: str) -> None:
        """Replace a file with text in UTF-8."""
        write_text(self._root / path, text)

    def write_bytes(self, path: Path, data: bytes) -> None:
        """Replace a file with bytes."""
        with replacing(self._root / path) as temporary:
            temporary.write_bytes(data)

    def exists(self, path: Path) -> bool:
        """Tell whether there is a file or a folder."""
        return (self._root / path).exists()

    def remove(self, path: Path) -> None:
        """Remove a file, if there is one."""
        try:
            (self._root / path).unlink(missing_ok=True)
        except OSError as error:
            raise disk_error(path, error) from error
