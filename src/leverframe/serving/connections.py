"""Idle connections: closed in time, so that clients find room.

Uvicorn waits without an end for the first request of a connection, for the rest of its head, and
for a client that does not read its response.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0  # from a connection, or the response before, to the end of a request's head
WHOLE_SECONDS = 120.0  # from there to the end of the response
MOST = 4_000  # connections at once; above it those that have waited longest are closed
_SWEEP = 1.0  # seconds
_PIECES, _TINY = 1_000, 64  # so many pieces of a body may be shorter than so many bytes


class Door(H11Protocol):
    """Uvicorn's protocol, which refuses a body in thousands of tiny pieces: each costs as much as a large one."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._next, self._tiny = self.conn.next_event, 0
        self.conn.next_event = self._counted  # type: ignore[method-assign]

    def _counted(self) -> Any:
        event = self._next()
        if type(event) is h11.Data:
            self._tiny += len(event.data) < _TINY
            if self._tiny > _PIECES:
                raise h11.RemoteProtocolError("a body in too many pieces")
        elif type(event) is h11.Request:
            self._tiny = 0
        return event


async def sweep(connections: Callable[[], Iterable[Any]]) -> None:
    """Close connections that are late, again and again; ``connections`` are uvicorn's protocols."""
    began: WeakKeyDictionary[Any, tuple[Any, float]] = WeakKeyDictionary()
    while True:
        await asyncio.sleep(_SWEEP)
        now, waiting, total = time.monotonic(), [], 0
        for connection in list(connections()):
            total += 1
            cycle = connection.cycle
            idle = cycle is None or cycle.response_complete
            state = (id(cycle), idle)
            if connection not in began or began[connection][0] != state:
                began[connection] = (state, now)
            since = now - began[connection][1]
            if since > (HEAD_SECONDS if idle else WHOLE_SECONDS):
                _close(connection)
            elif idle:
                waiting.append((since, id(connection), connection))
        for _, _, each in sorted(waiting, reverse=True)[: max(0, total - MOST)]:
            _close(each)


def _close(connection: Any) -> None:
    with suppress(Exception):  # whatever state it is in, the others must not suffer
        connection.transport.abort()


def open_files() -> None:
    """Let this process have as many connections as the system allows; the usual limit is far lower."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
