"""The lock of a state: whose it is, how old, and whether it is the one that somebody wants to free."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from leverframe.domain.infrastructure.infra_ports import StateLock
from leverframe.errors import InfraError


@dataclass(frozen=True)
class Unlocked:
    """A lock that was freed for a reason at a time (ISO 8601); ``freed`` is false where that was only asked about."""

    environment: str
    lock: StateLock
    reason: str
    at: str
    freed: bool = True

    def lines(self) -> list[str]:
        """Return it for a terminal."""
        done = "is free" if self.freed else "would be freed"
        return [f"the lock {self.lock.id} of `{self.environment}` {done}: {self.reason}"]


def holder(lock: StateLock, now: datetime | None = None) -> str:
    """Return who holds a lock, for what, since when, and how long that is where it is asked ``now``."""
    if not (lock.who or lock.created):
        return f"somebody else holds it; this backend does not tell who; its id is {lock.id}"
    operation, age = lock.operation or "an unknown operation", _age(lock, now) if now else ""
    return f"{lock.who or 'somebody'} holds it for {operation} since {lock.created}{age}; its id is {lock.id}"


def wanted_lock(lock: StateLock | None, wanted: str, now: datetime) -> StateLock:
    """Return the lock that stands; raises ``InfraError`` where it is not the one that is wanted, or there is none."""
    if lock is None or lock.id != wanted:
        raise InfraError(
            f"the lock {wanted} is not freed",
            why=f"it is not the lock of the state: {holder(lock, now)}"
            if lock
            else "nobody holds the lock of the state",
            next=f"if its process is gone, free the lock {lock.id}" if lock else "go on: nothing stands in the way",
        )
    return lock


def _age(lock: StateLock, now: datetime) -> str:
    """Return how old a lock is in words, empty where its time cannot be read."""
    try:
        created = datetime.fromisoformat(lock.created)
    except ValueError:
        return ""
    seconds = (now - (created if created.tzinfo else created.replace(tzinfo=UTC))).total_seconds()
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f", {count} {unit}{'s' if count > 1 else ''} ago"
    return f", {max(0, int(seconds))} seconds ago"
