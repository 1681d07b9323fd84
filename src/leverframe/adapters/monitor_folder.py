"""Files of the last run of the monitor in a folder: one writer at a time, and no file is ever half written."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Mapping
from pathlib import Path

from leverframe.files import disk_error, write_text

Change = Callable[[Mapping[str, str]], Mapping[str, str]]


class FolderState:
    """The ``MonitorState`` port in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> dict[str, str]:
        """Return the files by name; empty where there is no folder."""
        try:
            paths = [
                path for path in sorted(self._folder.glob("*")) if path.is_file() and not path.name.startswith(".")
            ]
            return {path.name: path.read_text(encoding="utf-8", errors="replace") for path in paths}
        except OSError as error:
            raise disk_error(self._folder, error) from error

    def update(self, change: Change) -> None:
        """Write what ``change`` makes of the files as they are; a second writer waits for the first."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / ".lock").open("a") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX)
                files = self.read()
                for name, text in change(files).items():
                    if files.get(name) != text:
                        write_text(self._folder / name, text)
        except OSError as error:
            raise disk_error(self._folder, error) from error
