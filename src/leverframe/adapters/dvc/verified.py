"""What remotes are known to hold, so that it is asked for once a week and not in every check."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Collection
from hashlib import sha256
from pathlib import Path

from leverframe.errors import DiskError
from leverframe.files import private_folder, write_json

_log = logging.getLogger(__name__)

_VERSION = 1
_DAY = 86_400
_DAYS = 7  # what `dvc gc --cloud` removed is noticed after this time at the latest


class Verified:
    """The places of objects in one remote, in a file that keeps those of all; ``remote`` is what tells it from others.

    Only what a remote said to hold is kept, with the day. A file that is missing or damaged, or None, costs requests
    and no more.
    """

    def __init__(self, file: Path | None, remote: str, clock: Callable[[], float] = time.time) -> None:
        self._file, self._today = file, int(clock() // _DAY)
        self._remote = sha256(remote.encode()).hexdigest()  # the address may hold a password
        self._remotes = {key: self._young(places) for key, places in _read(file).items()}

    def places(self) -> Collection[str]:
        """Return what the remote held not longer ago than a week."""
        return self._remotes.get(self._remote, {}).keys()

    def add(self, places: Collection[str]) -> None:
        """Keep places from today on; a folder that cannot be written to is left alone."""
        known = self._remotes.setdefault(self._remote, {})
        fresh = dict.fromkeys(sorted(set(places) - known.keys()), self._today)
        if not fresh or self._file is None:
            return
        known |= fresh
        try:
            private_folder(self._file.parent)
            write_json(self._file, {"version": _VERSION, "remotes": self._remotes})
        except (DiskError, OSError) as error:
            _log.debug("%s is not kept: %s", self._file, error)

    def _young(self, places: object) -> dict[str, int]:
        kept = places.items() if isinstance(places, dict) else ()
        return {place: day for place, day in kept if isinstance(day, int) and 0 <= self._today - day < _DAYS}


def _read(file: Path | None) -> dict[str, object]:
    try:
        content = json.loads(file.read_bytes()) if file else None
    except (OSError, ValueError, RecursionError):
        return {}
    remotes = content.get("remotes") if isinstance(content, dict) and content.get("version") == _VERSION else None
    return remotes if isinstance(remotes, dict) else {}
