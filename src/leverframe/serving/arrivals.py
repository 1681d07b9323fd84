"""Messages of gRPC on their way: how many are unfinished at once, and for how long.

The core of gRPC lets a client send the whole of a message as soon as somebody reads it, on every stream of every
connection, and knows neither a deadline nor a limit for all of them together. So each method is registered as one that
reads a stream: until it reads, a stream holds no more than its window. On the wire that is the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from leverframe.serving.arriving import BODY_SECONDS, ENDING, Arriving
from leverframe.serving.room import Room, Share

UNFINISHED = 64  # messages; where there are more, the oldest has to be there within HURRIED_SECONDS
HURRIED_SECONDS = 0.25  # from when a message is first waited for
STREAMS = 32  # of one connection
OPTIONS = {
    "grpc.server_handshake_timeout_ms": 10_000,
    "grpc.max_connection_idle_ms": 300_000,  # clients open a new one without being told
    "grpc.max_concurrent_streams": STREAMS,  # more wait at the client
    "grpc.http2.lookahead_bytes": 65_536,  # of a stream that nobody reads
    "grpc.http2.bdp_probe": 0,  # which would let windows grow with what a client sends
}


class RefusedMessageError(Exception):
    """A message that is not waited for any longer, or for which there is no room: its status and the reason."""

    def __init__(self, code: grpc.StatusCode, why: str) -> None:
        super().__init__(why)
        self.code, self.why = code, why


class Arrivals:
    """The messages of a server: those that are on their way, and how much room there is for whole ones."""

    def __init__(self, room: Room) -> None:
        self.arriving = Arriving(UNFINISHED, HURRIED_SECONDS)
        self._room = room

    async def read(self, read: Callable[[], Awaitable[Any]]) -> bytes:
        """Return the bytes of a message; raises ``RefusedMessageError``."""
        with self.arriving.deadline() as deadline:
            try:
                async with deadline:
                    self.arriving.hurry()
                    data = await read()
            except TimeoutError as error:
                raise self._late(deadline) from error
        if data is grpc.aio.EOF:
            raise RefusedMessageError(grpc.StatusCode.INVALID_ARGUMENT, "the call has no message")
        return bytes(data)

    @contextmanager
    def held(self, data: bytes) -> Iterator[None]:
        """Hold a message in memory until it is answered; raises ``RefusedMessageError`` where there is no room."""
        with Share(self._room) as share:
            if not share.grow(len(data)):
                why = "too many large messages at once; try again, or send fewer rows"
                raise RefusedMessageError(grpc.StatusCode.RESOURCE_EXHAUSTED, why)
            yield

    def _late(self, deadline: asyncio.Timeout) -> RefusedMessageError:
        if self.arriving.ending:
            return RefusedMessageError(grpc.StatusCode.UNAVAILABLE, ENDING)
        if self.arriving.hurried(deadline):
            why = f"more than {UNFINISHED} messages are unfinished, and this is the oldest; send it again"
            return RefusedMessageError(grpc.StatusCode.RESOURCE_EXHAUSTED, why)
        why = f"the message did not arrive within {BODY_SECONDS:.0f} s"
        return RefusedMessageError(grpc.StatusCode.DEADLINE_EXCEEDED, why)
