"""The record by which a server is ended: as long as it names this process, somebody can; otherwise nobody could."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

_log = logging.getLogger("mlserver")
_EVERY = 1.0  # seconds between two looks
_LOOKS = 3  # in a row: a record may be read while somebody replaces it


def recorded(record: Path, parent: int) -> bool:
    """Tell whether ``record`` names this process; the process ``parent`` writes it just after this one's start."""
    while True:
        alone = os.getppid() != parent  # first: what it wrote before it ended counts
        if _names_us(record):
            return True
        if alone:
            return False
        time.sleep(0.05)


async def end_unrecorded(record: Path, every: float = _EVERY) -> None:
    """End this process in order, by SIGTERM, once ``record`` no longer names it; looks ``every`` seconds.

    Who removes the folder of a server, as `git clean` does, takes away the only way to end it.
    """
    missed = 0
    while missed < _LOOKS:
        await asyncio.sleep(every)
        missed = 0 if _names_us(record, unreadable=True) else missed + 1
    _log.error(f"{record} no longer names this server, so nobody could ever stop it: it ends")
    os.kill(os.getpid(), signal.SIGTERM)


def _names_us(record: Path, *, unreadable: bool = False) -> bool:
    """Tell whether a record names this process; ``unreadable`` is the result where a disk does not tell."""
    with suppress(ValueError, TypeError, KeyError):
        try:
            content = record.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return unreadable
        return bool(json.loads(content)["pid"] == os.getpid())
    return False
