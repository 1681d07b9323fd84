"""Idle connections: closed in time, so that clients find room.

Uvicorn waits without an end for the first request of a connection, for the rest of its head, and
for a client that does not read its response.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import resource
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import Any
from weakref import WeakKeyDictionary

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0  # from a connection, or the response before, to the end of a request's head
WHOLE_SECONDS = 120.0  # from there to the end of the response
MOST = 4_000  # connections at once; above it those that have waited longest are closed
_SWEEP = 1.0  # seconds
_RESERVED = 384  # descriptors for what is no connection of ours: files, gRPC, and those that are accepted just now
_LEAST = 64
ACCEPTED = 32  # connections that are accepted before others are served
ENDING_SECONDS = 15.0  # from the signal to end: connections that are still there are closed
_LOOKS = 64  # connections that are looked at to find an idle one
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_AGAIN = 60.0  # seconds
_PIECES, _TINY = 1_000, 64  # so many pieces of a body may be shorter than so many bytes


_log = logging.getLogger("mlserver")


class Loop(asyncio.SelectorEventLoop):
    """Asyncio's loop, which accepts a few connections at a time, however many wait; asyncio's own takes them all."""

    def _accept_connection(
        self, protocol_factory: Any, sock: Any, sslcontext: Any = None, server: Any = None, backlog: int = 100,
        *timeouts: Any,
    ) -> None:  # fmt: skip
        super()._accept_connection(protocol_factory, sock, sslcontext, server, min(backlog, ACCEPTED), *timeouts)  # type: ignore[misc]


class BoundedProtocol(H11Protocol):
    """Uvicorn's protocol, which refuses a body in thousands of tiny pieces: each costs as much as a large one."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._next, self._tiny = self.conn.next_event, 0
        self.conn.next_event = self._counted  # type: ignore[method-assign]

    def connection_made(self, transport: Any) -> None:
        """Take a connection; where there is no room for it, the idle one that waited longest makes some."""
        super().connection_made(transport)
        _doors[self] = None
        if len(_doors) > room():
            _close(_longest_idle(self))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        _doors.pop(self, None)
        super().connection_lost(exc)

    def _counted(self) -> Any:
        event = self._next()
        if type(event) is h11.Data:
            self._tiny += len(event.data) < _TINY
            if self._tiny > _PIECES:
                raise h11.RemoteProtocolError("a body in too many pieces")
        elif type(event) is h11.Request:
            self._tiny = 0
            if self in _doors:
                _doors[self] = _doors.pop(self)  # to the end: it is not idle
        return event


_doors: dict[BoundedProtocol, None] = {}  # those that are open, in the order in which they were last asked


def _longest_idle(new: BoundedProtocol) -> BoundedProtocol:
    for door in list(islice(_doors, _LOOKS)):
        _doors[door] = _doors.pop(door)
        if door is not new and (door.cycle is None or door.cycle.response_complete):
            _doors.pop(door)
            return door
    return new


def room() -> int:
    """Return how many connections there may be: what the process may open, less what others need."""
    return max(_LEAST, min(MOST, descriptors() - _RESERVED))


def remote_room() -> int:
    """Return how many connections of gRPC there may be, within what ``room`` reserves where few are allowed."""
    return max(_LEAST, min(MOST // 4, descriptors() // 8))


def backlog() -> int:
    """Return how many connections the system holds until they are accepted: more than all descriptors are never met."""
    return max(_LEAST, min(2048, descriptors() // 8))


def descriptors() -> int:
    """Return how many files and connections this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def quiet_at_the_limit(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop say once a minute that no connection can be accepted; asyncio says it for each that waits."""
    logged_at = -math.inf

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal logged_at
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in _EXHAUSTED):
            loop.default_exception_handler(context)
        elif time.monotonic() - logged_at > _AGAIN:
            logged_at = time.monotonic()
            _log.error(
                f"connections wait: this process may have {descriptors():,} files open, and has; raise `ulimit -n`"
            )

    loop.set_exception_handler(handle)


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
        for _, _, protocol in sorted(waiting, reverse=True)[: max(0, total - room())]:
            _close(protocol)


async def close_all(connections: Callable[[], Iterable[Any]]) -> None:
    """Close what is left some seconds after the server was told to end: whoever reads no response keeps it for ever."""
    await asyncio.sleep(ENDING_SECONDS)
    for connection in list(connections()):
        _close(connection)


def _close(connection: Any) -> None:
    with suppress(Exception):  # whatever state it is in, the others must not suffer
        connection.transport.abort()


def open_files() -> None:
    """Let this process have as many connections as the system allows; the usual limit is far lower."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
