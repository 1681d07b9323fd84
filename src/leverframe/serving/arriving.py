"""How long the server waits for a body or a message that is not whole: so many seconds, fewer once it is to end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

BODY_SECONDS = 30.0  # from the head of a request to the end of its body, or from the call to the end of its message
LAST_SECONDS = 5.0  # for what is not whole when the server is told to end
ENDING = "the server ends; send it again"


class Arriving:
    """The bodies of REST, or the messages of gRPC, that are waited for."""

    def __init__(self, most: int | None = None, hurried: float = 0.0) -> None:
        """Wait for any number, or for ``most``: where there are more, the oldest has ``hurried`` seconds in all."""
        self._most, self._hurried, self._waiting = most, hurried, dict[asyncio.Timeout, float]()
        self._end: float | None = None

    @property
    def ending(self) -> bool:
        """Tell whether the server was told to end."""
        return self._end is not None

    @contextmanager
    def deadline(self) -> Iterator[asyncio.Timeout]:
        """Yield the timeout within which to wait; it may become shorter."""
        now = asyncio.get_running_loop().time()
        deadline = asyncio.timeout_at(now + BODY_SECONDS if self._end is None else self._end)
        self._waiting[deadline] = now
        try:
            yield deadline
        finally:
            self._waiting.pop(deadline, None)

    def hurry(self) -> None:
        """Let the oldest be there soon where too many are waited for."""
        if self._most is not None and len(self._waiting) > self._most:
            oldest = next(iter(self._waiting))
            oldest.reschedule(self._waiting.pop(oldest) + self._hurried)

    def hurried(self, deadline: asyncio.Timeout) -> bool:
        """Tell whether a timeout that is still waited within became shorter as too many were waited for."""
        return deadline not in self._waiting

    def end(self) -> None:
        """Wait for everything, and for what comes from now on, for no more than the last seconds."""
        self._end = asyncio.get_running_loop().time() + LAST_SECONDS
        for deadline in self._waiting:
            deadline.reschedule(min(self._end, deadline.when() or self._end))
