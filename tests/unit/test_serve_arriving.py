"""Bodies and messages on their way: how many, how large, for how long; and connections, a few at a time."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from leverframe.serving import arriving, connections
from leverframe.serving.arrivals import UNFINISHED, Arrivals, RefusedMessageError
from leverframe.serving.room import SMALL, Room, Share


async def never() -> bytes:
    """Return no message."""
    await asyncio.Event().wait()
    return b""


async def status_of(arrivals: Arrivals, read: Any = never) -> grpc.StatusCode | bytes:
    """Return the status of a message that is refused, or the message."""
    try:
        return await arrivals.read(read)
    except RefusedMessageError as error:
        return error.code


def test_above_so_many_unfinished_messages_the_oldest_go() -> None:
    """And whole ones are taken meanwhile, whoever waits."""

    async def go() -> None:
        arrivals = Arrivals(Room(100))

        async def whole() -> bytes:
            return b"whole"

        first = [asyncio.create_task(status_of(arrivals)) for _ in range(UNFINISHED)]
        await asyncio.sleep(0)
        later = [asyncio.create_task(status_of(arrivals)) for _ in range(10)]
        assert await status_of(arrivals, whole) == b"whole"
        assert set(await asyncio.gather(*first[:10])) == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert not any(task.done() for task in (*first[11:], *later))
        for task in (*first, *later):
            task.cancel()
        await asyncio.gather(*first, *later, return_exceptions=True)

    asyncio.run(go())


def test_a_message_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After so long; sooner once the server is to end, also one that is only called for then."""

    async def no_message() -> Any:
        return grpc.aio.EOF

    async def go() -> None:
        arrivals = Arrivals(Room(100))
        assert await status_of(arrivals, no_message) == grpc.StatusCode.INVALID_ARGUMENT
        monkeypatch.setattr(arriving, "BODY_SECONDS", 0.01)
        assert await status_of(arrivals) == grpc.StatusCode.DEADLINE_EXCEEDED
        monkeypatch.setattr(arriving, "BODY_SECONDS", 60.0)
        monkeypatch.setattr(arriving, "LAST_SECONDS", 0.01)
        waiting = asyncio.create_task(status_of(arrivals))
        await asyncio.sleep(0)
        arrivals.arriving.end()
        assert [await waiting, await status_of(arrivals)] == [grpc.StatusCode.UNAVAILABLE] * 2

    asyncio.run(go())


def test_room_is_shared_and_given_back() -> None:
    """Small ones always find some."""
    room = Room(SMALL + 1, at_once=1)
    arrivals = Arrivals(room)
    with Share(room) as body:
        assert body.grow(10)
        assert body.grow(SMALL + 1)
        with Share(room) as small:
            assert small.grow(SMALL)
        with pytest.raises(RefusedMessageError) as refused, arrivals.held(b" " * (SMALL + 1)):
            pass
        assert refused.value.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    with arrivals.held(b" " * (SMALL + 1)):
        assert room.held == room.most
    assert room.held == 0


def test_few_connections_are_accepted_before_others_are_served() -> None:
    """However many wait; asyncio's own loop takes as many as may wait."""
    rounds: list[int] = []

    class Counted(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            rounds[-1] += 1
            transport.abort()

    async def go() -> None:
        loop, waiting = asyncio.get_running_loop(), 4 * connections.ACCEPTED
        listening = socket.create_server(("127.0.0.1", 0), backlog=1_024)
        with ExitStack() as held:
            for _ in range(waiting):
                held.enter_context(socket.create_connection(listening.getsockname()))
            server = await loop.create_server(Counted, sock=listening, backlog=1_024)
            while sum(rounds) < waiting:
                rounds.append(0)
                await asyncio.sleep(0)
            server.close()

    with asyncio.Runner(loop_factory=connections.Loop) as runner:
        runner.run(go())
    assert 0 < max(rounds) <= connections.ACCEPTED


def test_connections_that_are_left_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some seconds after the server was told to end."""
    monkeypatch.setattr(connections, "ENDING_SECONDS", 0.01)

    async def go() -> bytes:
        loop = asyncio.get_running_loop()
        one, other = socket.socketpair()
        other.setblocking(False)
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=one)
        await connections.close_all(lambda: [SimpleNamespace(transport=transport)])
        return await loop.sock_recv(other, 1)

    assert asyncio.run(go()) == b""
