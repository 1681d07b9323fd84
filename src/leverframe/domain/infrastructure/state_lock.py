"""The lock of a state that somebody wants to free: whose it is, how old, and whether it is the one that is meant."""

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

    def owner(self, now: datetime) -> str:
        """Return who holds it, for what, and how long."""
        lock = self.lock
        age = age_of(lock, now)
        since = f", since {lock.created}{f' ({age})' if age else ''}" if lock.created else ""
        return f"{lock.who or 'somebody'} holds the lock {lock.id} of `{self.environment}`" + (
            f" for {lock.operation or 'an unknown operation'}{since}"
        )

    def lines(self) -> list[str]:
        """Return it for a terminal."""
        done = "is free" if self.freed else "would be freed"
        return [f"the lock {self.lock.id} of `{self.environment}` {done}: {self.reason}"]


def wanted_lock(environment: str, lock: StateLock | None, wanted: str) -> StateLock:
    """Return the lock that stands; raises ``InfraError`` where it is not the one that is wanted, or there is none."""
    if lock is None:
        raise InfraError(
            f"the state of `{environment}` is not locked",
            why=f"nobody holds a lock, neither {wanted} nor another one",
            next="run the command that was refused again",
        )
    if lock.id != wanted:
        raise InfraError(
            f"the lock of `{environment}` is another one",
            why=f"it is {lock.id}, of {lock.who or 'somebody'} since {lock.created or 'an unknown time'}, not {wanted}",
            next="look whether its owner still works; only the very id frees a lock",
        )
    return lock


def age_of(lock: StateLock, now: datetime) -> str:
    """Return how old a lock is in words, empty where its time cannot be read."""
    try:
        created = datetime.fromisoformat(lock.created)
    except ValueError:
        return ""
    seconds = int((now - (created if created.tzinfo else created.replace(tzinfo=UTC))).total_seconds())
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{seconds // size} {unit}{'' if seconds // size == 1 else 's'} old"
    return f"{max(seconds, 0)} seconds old"
