"""How an agent keeps an environment at the head of a branch: look, deploy, wait, look again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from leverframe.errors import LeverframeError

_LONGEST = 600.0  # seconds between two looks, however often the last ones failed

Result = TypeVar("Result")


def looks(
    look: Callable[[], Result], seconds: float | None, sleep: Callable[[float], None], tell: Callable[[str], None]
) -> Iterator[Result]:
    """Yield the result of each look; one look where ``seconds`` is None, else one every so many, without an end.

    A single look raises its error. One of many tells it and goes on: the environment serves what it did
    before. The pause gets longer after each failure in a row.
    """
    failures = 0
    while True:
        try:
            yield look()
            failures = 0
        except LeverframeError as error:
            if seconds is None:
                raise
            tell(error.render())
            failures += 1
        if seconds is None:
            return
        sleep(pause(seconds, failures))


def pause(seconds: float, failures: int) -> float:
    """Return how long to wait after so many failures in a row: twice as long after each, ten minutes at most."""
    doubled: float = seconds * 2.0 ** min(failures, 30)
    return max(seconds, min(doubled, _LONGEST))
