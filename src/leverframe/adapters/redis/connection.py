"""How Redis is reached, and how its failures are told without a password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthorizationError, NoPermissionError
from redis.retry import Retry

from leverframe import redaction
from leverframe.errors import SnapshotError, StoreUnreachableError


def redacted(url: str) -> str:
    """Return the server and database that a URL names, without user, password and options."""
    try:
        parts = urlsplit(url)
        where = f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
    except ValueError:
        return "the given Redis URL"
    return f"{parts.scheme}://{where}"


@contextmanager
def connected(url: str, timeout: float) -> Iterator[redis.Redis]:
    """Yield a client, and close it."""
    client = client_of(url, timeout)
    try:
        yield client
    finally:
        client.close()


def client_of(url: str, timeout: float) -> redis.Redis:
    """Return a client that waits ``timeout`` seconds; raises ``SnapshotError`` for what is no URL of Redis."""
    try:
        return redis.Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 1),  # once: a connection that the server closed while idle
        )
    except ValueError:
        raise SnapshotError(  # the cause is left out, it may quote a password
            f"{redacted(url)} is no Redis URL",
            why="it has another scheme or a part that cannot be read",
            next="write it as redis://user:password@host:6379/0",
        ) from None


@contextmanager
def told(url: str) -> Iterator[None]:
    """Tell of a failure of Redis in our own words, with the server and without its password."""
    try:
        yield
    except (redis.AuthenticationError, AuthorizationError, NoPermissionError) as error:
        raise SnapshotError(
            f"Redis at {redacted(url)} refuses us",
            why="the user or password is missing or wrong",
            next="fix the user and password of the URL",
        ) from error
    except (redis.ConnectionError, redis.TimeoutError) as error:
        slow = isinstance(error, redis.TimeoutError)
        raise StoreUnreachableError(
            f"Redis at {redacted(url)} cannot be reached",
            why="it did not answer in time" if slow else "the connection was refused or lost",
            next="see that the server runs and the host and port are right, then try again",
        ) from error
    except redis.RedisError as error:
        raise SnapshotError(
            f"Redis at {redacted(url)} failed",
            why=redaction.redacted(str(error)).splitlines()[0][:300] if str(error) else type(error).__name__,
            next="fix that on the server, then run the same command again",
        ) from error
