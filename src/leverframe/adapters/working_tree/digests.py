"""MD5 sums of files, computed once as long as nothing about a file changes."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from pathlib import Path
from typing import BinaryIO

from leverframe.errors import DiskError, RepositoryError
from leverframe.files import md5, write_json

_log = logging.getLogger(__name__)

_VERSION = 1
_LEGACY = "md5-dos2unix"  # what DVC calls it
_CHUNK, _HEAD = 1 << 20, 512  # bytes that DVC 2 hashed at once, and of those that it took for text or not
_TEXT = bytes(range(32, 127)) + b"\n\r\t\f\b"
_SETTLED = 2.0  # seconds: two writes closer than the clock of a file system look like one


class Digests:
    """The MD5 sums of files below ``root``, kept in ``store`` between runs.

    A sum is used again while size, modification time, change time and inode are as they were.
    A store that is missing or damaged only costs time.
    """

    def __init__(self, root: Path, store: Path) -> None:
        self._root = root
        self._store = store
        self._known = _read(store)
        self._used: dict[str, list[int | str]] = {}
        self._started = time.time()

    def of(self, path: str, status: os.stat_result, *, legacy: bool = False) -> str:
        """Return the MD5 of the file at ``path``, whose state is ``status``; a ``legacy`` one is that of DVC 2.

        Raises ``RepositoryError`` where the file cannot be read.
        """
        key = f"{path}\n{_LEGACY}" if legacy else path
        state: list[int | str] = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        known = self._known.get(key)
        if isinstance(known, list) and known[:-1] == state and isinstance(known[-1], str):
            self._used[key] = known
            return known[-1]
        try:
            digest = _legacy_md5_of(self._root / path) if legacy else md5(self._root / path)
        except OSError as error:
            raise unreadable(path, error) from error
        if max(status.st_mtime, status.st_ctime) < self._started - _SETTLED:
            self._used[key] = [*state, digest]
        return digest

    def save(self) -> None:
        """Replace the store where something was learnt; a folder that cannot be written to is left alone."""
        if all(self._known.get(path) == entry for path, entry in self._used.items()):
            return
        try:
            write_json(self._store, {"version": _VERSION, "files": {**self._known, **self._used}})
        except DiskError as error:
            _log.debug("%s is not kept: %s", self._store, error.why)


def legacy_md5(stream: BinaryIO) -> str:
    """Return the MD5 of DVC 2, which hashed what it took for text with the line ends of Unix, piece by piece."""
    digest = hashlib.md5(usedforsecurity=False)
    while piece := stream.read(_CHUNK):
        head = piece[:_HEAD]
        text = b"\0" not in head and len(head.translate(None, _TEXT)) <= 0.3 * len(head)
        digest.update(piece.replace(b"\r\n", b"\n") if text else piece)
    return digest.hexdigest()


def _legacy_md5_of(file: Path) -> str:
    with file.open("rb") as handle:
        return legacy_md5(handle)


def unreadable(path: str, error: OSError) -> RepositoryError:
    """Return the error for a file or folder that is there and cannot be read."""
    return RepositoryError(
        f"cannot read {path}",
        why=f"{error.strerror or error}; a link to nothing, a file that is being replaced, or a permission",
        next="fix the link or permission, or wait for the other program, and run the command again",
    )


def _read(store: Path) -> dict[str, list[int | str]]:
    try:
        content = json.loads(store.read_bytes())
    except (OSError, ValueError):
        return {}
    files = content.get("files") if isinstance(content, dict) and content.get("version") == _VERSION else None
    return files if isinstance(files, dict) else {}
