"""How an agent keeps a server at what a branch says: look, bring it there, wait, look again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from leverframe.errors import LeverframeError

_LONGEST = 600.0  # seconds between two looks, however often the last ones failed

Found = TypeVar("Found")


def looks(
    look: Callable[[], Found], seconds: float | None, sleep: Callable[[float], None], tell: Callable[[str], None]
) -> Iterator[Found]:
    """Yield what each look found; one look where ``seconds`` is None, else one every so often, without an end.

    A single look raises what it raises. One of many tells it and goes on: the server serves what
    it did. Failures in a row are waited for ever longer.
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
