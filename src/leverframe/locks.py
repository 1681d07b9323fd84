"""One process at a time: a lock on a file that ends with the process that holds it, however it ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from leverframe.errors import LeverframeError


@contextmanager
def held(path: Path, busy: LeverframeError) -> Iterator[None]:
    """Hold the lock at ``path`` in the block; raises ``busy`` where another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise busy from error
        yield
