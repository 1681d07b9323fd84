"""Limits of time and memory for the programs that one piece of work starts, all together."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from leverframe.errors import PipelineError
from leverframe.programs import RunGroup

OVER = 124  # the exit code of a program that took too long, as that of `timeout`
_LOOK = 0.5  # seconds between two looks at the memory


class Bounded:
    """Runs programs as ``inner`` does, from now on for ``seconds`` together and within some bytes of memory.

    Raises ``PipelineError`` with the code 124 where either is used up; all processes have ended then. Memory is
    looked at twice a second, so that a burst may go beyond it.
    """

    def __init__(self, inner: RunGroup, seconds: float, memory: int) -> None:
        self._inner, self._memory, self._seconds = inner, memory, seconds
        self._deadline = time.monotonic() + seconds

    def __call__(
        self,
        arguments: Sequence[str],
        on_line: Callable[[str], None],
        *,
        folder: Path,
        environment: Mapping[str, str],
        timeout: float | None = None,
    ) -> int:
        """Run a program and return its exit code."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise _over("took too long", f"all of them had {self._seconds / 60:g} minutes")
        with _watched(self._memory) as largest:
            code = self._inner(
                arguments,
                on_line,
                folder=folder,
                environment=environment,
                timeout=left if timeout is None else min(left, timeout),
            )
        if largest:
            raise _over("took too much memory", f"{largest[0] / 1e9:.1f} GB of {self._memory / 1e9:g} GB")
        return code


def _over(what: str, why: str) -> PipelineError:
    return PipelineError(
        f"the stages {what}", why=why, next="raise `judge.minutes` or `judge.memory_gb` on the base branch", code=OVER
    )


@contextlib.contextmanager
def _watched(limit: int) -> Iterator[list[int]]:
    """Yield a list that gets the bytes of what is started inside where they go beyond the limit, which ends that."""
    over, done, known = list[int](), threading.Event(), {*psutil.Process().children()}

    def look() -> None:
        while not done.wait(_LOOK):
            children = _started({*psutil.Process().children()} - known)
            taken = sum(map(_resident, children))
            if taken > limit:
                over.append(taken)
                for child in sorted(children, key=_resident, reverse=True):
                    with contextlib.suppress(psutil.Error):
                        child.kill()
                return

    watcher = threading.Thread(target=look, name="memory", daemon=True)
    watcher.start()
    try:
        yield over
    finally:
        done.set()
        watcher.join()


def _started(processes: set[psutil.Process]) -> list[psutil.Process]:
    """Return some processes and all that they started."""
    family = list(processes)
    for process in processes:
        with contextlib.suppress(psutil.Error):
            family += process.children(recursive=True)
    return family


def _resident(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0
