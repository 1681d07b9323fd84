"""How Redis is reached, and how its failures are told without a password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthorizationError, NoPermissionError
from redis.retry import Retry

from leverframe import redaction
from leverframe.errors import SnapshotError, StoreUnreachableError
from leverframe.words import first_line

# What an address may set besides server, user and database; other options would let values be read in another form.
_OPTIONS = (
    "db", "username", "password", "client_name", "protocol", "max_connections", "health_check_interval",
    "socket_", "ssl_",
)  # fmt: skip


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
    why = "it has another scheme or a part that cannot be read"
    try:
        strange = [name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True) if not _known(name)]
        if not strange:
            client = redis.Redis.from_url(
                url,
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
                retry=Retry(NoBackoff(), 1),  # once: a connection that the server closed while idle
            )
            pool = client.connection_pool
            pool.connection_class(**pool.connection_kwargs)  # connects to nothing, and says what is wrong
            return client
        why = f"Leverframe does not know its option `{strange[0][:40]}`"
    except (ValueError, TypeError, LookupError, redis.RedisError):
        pass
    raise SnapshotError(  # the cause is left out, it may quote a password
        f"{redacted(url)} is no Redis URL", why=why, next="write it as redis://user:password@host:6379/0"
    )


def _known(option: str) -> bool:
    return any(option == name or (name.endswith("_") and option.startswith(name)) for name in _OPTIONS)


def evicted(client: redis.Redis, url: str) -> int:
    """Return how many values the server evicted since it started; -1 where a user may not ask.

    Raises ``SnapshotError`` where it evicts values once its memory is full: of one that is gone nobody can tell
    that it was there, and a lookup would take its key for an unknown one.
    """
    try:
        memory: Any = client.info("memory")
        counted: Any = client.info("stats")
    except redis.ResponseError:  # also what forbids a command
        return -1
    policy = str(memory.get("maxmemory_policy", "noeviction"))
    if int(memory.get("maxmemory") or 0) and policy != "noeviction":
        raise SnapshotError(
            f"Redis at {redacted(url)} would lose features without a word",
            why=f"its `maxmemory-policy` is {policy}: a value that was evicted cannot be told from an unknown key",
            next="set `maxmemory-policy noeviction` there, then write the features again",
        )
    return int(counted.get("evicted_keys", 0))


def ready(url: str) -> None:
    """Raise ``SnapshotError`` or ``StoreUnreachableError`` where features cannot be written."""
    with connected(url, timeout=30.0) as client, explained(url):
        evicted(client, url)
        client.ping()


@contextmanager
def explained(url: str) -> Iterator[None]:
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
            why=first_line(redaction.redacted(str(error)))[:300] or type(error).__name__,
            next="fix that on the server, then run the same command again",
        ) from error
