"""What the server itself prints: a file that is closed at its size, of which few are kept."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

_EVERY = 1.0  # seconds between two looks
_MOST = 8_000_000  # bytes
KEPT = 3  # files beside the one that is written


async def rotate(log: Path, every: float = _EVERY, most: int = _MOST) -> None:
    """Close ``log`` where it is larger than ``most`` bytes, again and again; what is printed goes into a new one."""
    while True:
        await asyncio.sleep(every)
        with suppress(OSError):
            if log.stat().st_size > most and _is_printed_to(log):
                renew(log, (1, 2))


def renew(log: Path, numbers: tuple[int, ...]) -> None:
    """Let these descriptors, which write into ``log``, write into a new file in its place; no line is lost.

    Nothing is copied, so that it needs no room on the disk.
    """
    fresh = log.with_name(f".{log.name}.new")
    opened = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        for number in range(KEPT, 1, -1):
            with suppress(FileNotFoundError):
                _kept(log, number - 1).replace(_kept(log, number))
        log.replace(_kept(log, 1))
        fresh.replace(log)
        for number in numbers:
            os.dup2(opened, number, inheritable=number in (1, 2))
    finally:
        os.close(opened)


def _kept(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")


def _is_printed_to(log: Path) -> bool:
    """Tell whether stdout is that file: a server that somebody else started prints where they want."""
    return os.path.samestat(os.fstat(1), log.stat())
