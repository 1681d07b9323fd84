"""The connections of gRPC when the server ends: their clients are told to leave before the core of gRPC is told to end.

That core responds CANCELLED to a call that reaches it while it ends, or that it has not handed on yet. To a proxy that
is a response like any other, and its client gets it; nor does nginx send a call to another server that it has sent
once. So every call that comes is served until its client has left: nobody listens any more, and over each connection
goes what HTTP/2 has for it, a GOAWAY that takes back nothing. gRPC itself sends one only when it is ending already.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

DRAIN_SECONDS = 6.0  # for calls that are under way: a little more than a message that is not whole has
_LOOK_AGAIN = 0.02  # seconds
_DESCRIPTORS = Path("/dev/fd")
_INTERNET = (socket.AF_INET, socket.AF_INET6)
# Eight bytes of the kind GOAWAY: the last stream that is served is the last there can be, and there is no error.
_GOAWAY = bytes([0, 0, 8, 7, 0, 0, 0, 0, 0]) + b"\x7f\xff\xff\xff" + bytes(4)


class Calls:
    """The calls that are under way, by the client's port of their connection."""

    def __init__(self) -> None:
        self._under_way = Counter[int]()

    def begin(self, context: Any) -> None:
        """Count a call until its response is written."""
        port = int(context.peer().rpartition(":")[2])
        self._under_way[port] += 1
        context.add_done_callback(lambda _: self._end(port))

    def on(self, port: int) -> bool:
        """Tell whether a call is under way over the connection from that port of a client."""
        return port in self._under_way

    def _end(self, port: int) -> None:
        self._under_way[port] -= 1
        if not self._under_way[port]:
            del self._under_way[port]


async def drained(port: int, calls: Calls) -> None:
    """Stop listening on a port, and tell each client to leave once it has no call, until all have or time is over."""
    loop, notified = asyncio.get_running_loop(), set[int]()
    until = loop.time() + DRAIN_SECONDS
    for connection in _connections(port):
        with connection, suppress(OSError):  # of a system where only connections can be shut
            if _listens(connection):
                connection.shutdown(socket.SHUT_RDWR)
    await asyncio.sleep(_LOOK_AGAIN)  # for those that came just before: gRPC begins with its own words
    while _tell(port, calls, notified) and loop.time() < until:
        await asyncio.sleep(_LOOK_AGAIN)


def _tell(port: int, calls: Calls, notified: set[int]) -> bool:
    """Tell those to leave who are not told yet, and tell whether anybody is still there.

    Where no call is under way, gRPC is within no frame of its own.
    """
    clients = set[int]()
    for connection in _connections(port):
        with connection, suppress(OSError):  # of one that its client has just closed
            client = connection.getpeername()[1]
            clients.add(client)
            if client not in notified and not calls.on(client):
                connection.send(_GOAWAY, socket.MSG_DONTWAIT)
                notified.add(client)
    return bool(clients)


def _listens(connection: socket.socket) -> bool:
    return bool(connection.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _connections(port: int) -> Iterator[socket.socket]:
    """Yield the sockets of this process at a port of its own, by descriptors of ours: gRPC tells nobody its own."""
    for entry in list(_DESCRIPTORS.iterdir()):
        with suppress(OSError):  # what is closed meanwhile
            number = int(entry.name)
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            connection = socket.socket(fileno=os.dup(number))
            if connection.family in _INTERNET and connection.getsockname()[1] == port:
                yield connection
            else:
                connection.close()
