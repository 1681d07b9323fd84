"""Room in memory for what clients have sent and what is not answered yet, over REST and gRPC together."""

from __future__ import annotations

from types import TracebackType

SMALL = 65_536  # bytes of a body or message that always finds room, and that is parsed at once
_AT_ONCE = 64  # bodies of the largest size that find room


class Room:
    """How large a body or message may be, in bytes, and how many bytes of large ones are in memory at once."""

    def __init__(self, limit: int, at_once: int = _AT_ONCE) -> None:
        self.limit, self.most, self.held = limit, at_once * limit, 0


class Share:
    """What one request holds of a room, as a context manager that gives it back."""

    def __init__(self, room: Room) -> None:
        self._room, self._held = room, 0

    def __enter__(self) -> Share:
        """Begin with nothing."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Give back what is held."""
        self._room.held -= self._held

    def grow(self, size: int) -> bool:
        """Hold so many bytes in all, and tell whether there was room for them."""
        if size > SMALL:
            self._room.held += size - self._held
            self._held = size
        return not self._held or self._room.held <= self._room.most
