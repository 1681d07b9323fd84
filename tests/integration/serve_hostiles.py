"""Hostile clients of a server, one for each protocol, as a process of its own: ``python -m ... KIND PORT [MODEL]``.

They send what costs the server most for what it costs them: containers in containers, half messages on every stream of
a connection, connections that are reset at once. Each sends until it is ended.
"""

from __future__ import annotations

import itertools
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

MEGABYTES = 1_000_000
LARGEST = 4 * MEGABYTES - 100  # bytes of a body, by default
METHOD = b"/inference.GRPCInferenceService/ModelInfer"


def filled(before: bytes, piece: bytes, after: bytes) -> Callable[[], bytes]:
    """Return what makes a body of nearly the largest size: the piece again and again."""
    times = (LARGEST - len(before) - len(after)) // len(piece) - 1
    return lambda: before + piece * times + piece.rstrip(b",") + after


# Made where they are sent, not where a test is collected: together they are 44 MB.
BODIES: dict[str, Callable[[], bytes]] = {
    "lists in lists": filled(b'{"inputs":[', b"[[]],", b"]}"),
    "lists": filled(b'{"inputs":[', b"[],", b"]}"),
    "lists in objects": filled(b'{"inputs":[', b'{"":[]},', b"]}"),
    "objects": filled(b'{"inputs":[', b"{},", b"]}"),
    "numbers": filled(b'{"inputs":[{"name":"a","shape":[1],"datatype":"FP64","data":[', b"0,", b"]}]}"),
    "a colon": filled(b'{"id":"\\u003a","inputs":[{"name":"a","shape":[1],"datatype":"FP64","data":[', b"0,", b"]}]}"),
    "texts": filled(b'{"inputs":[{"name":"a","shape":[1],"datatype":"BYTES","data":[', b'"",', b"]}]}"),
    "escapes": filled(b'{"id":"', b'\\"', b'"}'),
    "keys": lambda: b'{"parameters":{' + b",".join(b'"%x":1' % number for number in range(400_000)) + b"}}",
    "only opened": lambda: b"[" * LARGEST,
    "rows": filled(b'{"inputs":[{"name":"a","shape":[1],"datatype":"FP64","data":[', b"[1],", b"]}]}"),
}  # fmt: skip


def post(body: bytes, model: str, sent: int | None = None) -> bytes:
    """Return a request, of whose body only so many bytes are sent."""
    head = f"POST /v2/models/{model}/infer HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body[:sent]


def rest(port: int, model: str) -> None:
    """Send one costly body after the other, and leave two half ones behind for each."""
    halves: list[socket.socket] = []
    for body in itertools.cycle([made() for made in BODIES.values()]):
        for sent in (None, len(body) - 1, 3 * MEGABYTES):
            with suppress(OSError):
                connection = socket.create_connection(("127.0.0.1", port), timeout=10)
                if sent is None:
                    with connection:
                        connection.sendall(post(body, model))
                        connection.recv(100)
                else:
                    halves.append(connection)
                    connection.sendall(post(b" " * len(body), model, sent))
        while len(halves) > 100:
            halves.pop(0).close()


def resets(port: int, model: str) -> None:  # noqa: ARG001 - each kind is told
    """Connect and reset, three thousand times without a pause, and again."""
    while True:
        reset(port, 3_000)
        time.sleep(1)


def reset(port: int, times: int) -> None:
    """Connect and reset so many times."""
    for _ in range(times):
        with suppress(OSError), socket.socket() as connection:
            connection.setblocking(False)
            with suppress(BlockingIOError):
                connection.connect(("127.0.0.1", port))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Wire:
    """A connection of HTTP/2 that sends whatever it wants, within the windows that the server grants."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._connection, self._initial, self._frame = 65_535, 65_535, 16_384
        self._windows: dict[int, int] = {}
        self.closed, self._changed = False, threading.Condition()
        self._socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
        threading.Thread(target=self._read, daemon=True).start()

    def begin(self, stream: int, size: int) -> None:
        """Call ModelInfer with a message of that size."""
        fields = ((b":method", b"POST"), (b":scheme", b"http"), (b":path", METHOD), (b":authority", b"localhost"),
                  (b"content-type", b"application/grpc"), (b"te", b"trailers"))  # fmt: skip
        block = b"".join(b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in fields)
        with self._changed:
            self._windows[stream] = self._initial
        self._socket.sendall(frame(1, 4, stream, block))
        self.send(stream, b"\0" + size.to_bytes(4, "big"))

    def send(self, stream: int, data: bytes) -> int:
        """Send what the server takes of the bytes, without waiting, and return how many."""
        done = 0
        while done < len(data) and not self.closed:
            with self._changed:
                most = min(self._frame, self._connection, self._windows.get(stream, 0), len(data) - done)
                if most <= 0:
                    break
                self._connection -= most
                self._windows[stream] -= most
            self._socket.sendall(frame(0, 0, stream, data[done : done + most]))
            done += most
        return done

    def close(self) -> None:
        """Hang up."""
        self.closed = True
        self._socket.close()

    def _read(self) -> None:
        try:
            while True:
                head = self._exactly(9)
                payload = self._exactly(int.from_bytes(head[:3], "big"))
                self._take(head[3], head[4], int.from_bytes(head[5:], "big"), payload)
        except OSError:
            self.closed = True

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        with self._changed:
            if kind == 8:
                more = int.from_bytes(payload, "big")
                if stream == 0:
                    self._connection += more
                elif stream in self._windows:
                    self._windows[stream] += more
            elif kind == 3 or (kind == 1 and flags & 1):  # reset, or answered
                self._windows.pop(stream, None)
            elif kind == 4 and not flags & 1:
                for at in range(0, len(payload), 6):
                    if payload[at : at + 2] == b"\0\4":
                        value = int.from_bytes(payload[at + 2 : at + 6], "big")
                        self._windows = {number: left + value - self._initial for number, left in self._windows.items()}
                        self._initial = value
        if kind == 4 and not flags & 1:
            self._socket.sendall(frame(4, 1, 0, b""))
        elif kind == 6 and not flags & 1:
            self._socket.sendall(frame(6, 1, 0, payload))

    def _exactly(self, size: int) -> bytes:
        buffer = b""
        while len(buffer) < size:
            piece = self._socket.recv(size - len(buffer))
            if not piece:
                raise OSError
            buffer += piece
        return buffer


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def unfinished(port: int, connections: int, streams: int, seconds: float, size: int = 3_900_000) -> list[Wire]:
    """Send messages less one byte on so many streams of so many connections, for so long, and return those held."""
    wires = [Wire(port) for _ in range(connections)]
    left = {(wire, 2 * number + 1): size - 1 for wire in wires for number in range(streams)}
    for wire, stream in left:
        with suppress(OSError):
            wire.begin(stream, size)
    data, until = b"\0" * size, time.monotonic() + seconds
    while any(left.values()) and time.monotonic() < until:
        sent = 0
        for (wire, stream), missing in left.items():
            with suppress(OSError):
                done = wire.send(stream, data[: min(missing, 262_144)])
                left[wire, stream] -= done
                sent += done
        if not sent:
            time.sleep(0.01)
    return wires


def remote(port: int, model: str) -> None:
    """Send costly messages, and meanwhile four connections with a hundred unfinished ones each."""
    threading.Thread(target=_unfinished_for_ever, args=(port,), daemon=True).start()
    for message in itertools.cycle(messages(model)):
        wire = Wire(port)
        with suppress(OSError):
            wire.begin(1, len(message))
            until, done = time.monotonic() + 5, 0
            while done < len(message) and not wire.closed and time.monotonic() < until:
                sent = wire.send(1, message[done:])
                done += sent
                if not sent:
                    time.sleep(0.005)
            time.sleep(0.05)
        wire.close()


def _unfinished_for_ever(port: int) -> None:
    while True:
        for wire in unfinished(port, 4, 100, 5):
            wire.close()


def messages(model: str) -> list[bytes]:
    """Return messages for ModelInfer that cost more than their bytes."""
    name, size = field(1, model.encode()), LARGEST - 100
    return [
        name + b"\x2a\x00" * (size // 2),  # empty inputs
        name + b"\x3a\x00" * (size // 2),  # empty raw contents
        name + field(5, field(5, b"\x42\x00" * (size // 2))),  # empty texts
        name + field(5, b"".join(field(4, field(1, b"%x" % number)) for number in range(300_000))),  # parameters
        name + field(5, field(3, b"\1" * size)),  # a shape
        name + b"\x0b\x0c" * 1_000 + b"\x2a\x00" * (size // 2 - 1_000),  # groups that nobody uses, then empty inputs
    ]


def field(number: int, content: bytes) -> bytes:
    """Return a field of a message."""
    size, length = len(content), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


KINDS: dict[str, Callable[[int, str], Any]] = {"rest": rest, "remote": remote, "resets": resets}


@contextmanager
def attacking(model: str, **ports: int) -> Iterator[None]:
    """Attack meanwhile, by kind of client and the port that it attacks."""
    command = [sys.executable, "-m", "tests.integration.serve_hostiles"]
    running = [
        subprocess.Popen([*command, kind, str(port), model], cwd=Path(__file__).parents[2])
        for kind, port in ports.items()
    ]
    try:
        yield
        assert [attacker.poll() for attacker in running] == [None] * len(running), "a hostile client gave up"
    finally:
        for attacker in running:
            attacker.kill()
            attacker.wait()


if __name__ == "__main__":
    KINDS[sys.argv[1]](int(sys.argv[2]), sys.argv[3])
