"""Redis: a snapshot that many machines share, one packed value a key.

A snapshot is a generation of keys of its own. One pointer names the generation in force; it is
set last, so a reader sees the old snapshot or the new one. Every question reads the pointer
in the same round trip as the values, and the pointer expires before the values do: what expired is
never taken for an unknown key. Eviction would break that, so the server needs `noeviction`.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthorizationError, NoPermissionError
from redis.retry import Retry

from leverframe.documents import parsed, plain
from leverframe.domain.features.snapshot.arrange import Arranged, arranged
from leverframe.domain.features.snapshot.keys import canonical, checked
from leverframe.domain.features.snapshot.packed import Form, packed, unpacked
from leverframe.domain.features.snapshot.store import About, Found, Keys, Table
from leverframe.errors import SnapshotError, StoreUnreachableError, nearest

NAMESPACE = "leverframe"
FORMAT = 1
_BATCH = 2_000
_LONGER = 60  # seconds that values outlive the pointer


@dataclass(frozen=True)
class _Published:
    """What is known of a generation: the form of its values by table."""

    format: int
    about: About
    tables: Mapping[str, Form]


def publish(url: str, about: About, tables: Iterable[Table], *, ttl: int, namespace: str = NAMESPACE) -> str:
    """Write the tables as a new generation, put it in force for ``ttl`` seconds, and return its name.

    The old generation stays for who reads it just now and expires by itself. Raises
    ``SnapshotError``, and ``StoreUnreachableError`` where Redis does not answer.
    """
    if ttl < 1:
        raise SnapshotError(
            f"a snapshot cannot be kept for {ttl} seconds",
            why="it would expire at once",
            next="give a ttl of 1 or more",
        )
    generation, deadline = secrets.token_hex(8), time.monotonic() + ttl
    base = f"{namespace}:{about.spec}"
    forms = {}
    with _connected(url, timeout=30.0) as client, _told(url):
        for one in map(arranged, tables):
            forms[one.name] = Form.of(one)
            prefix = _prefix(namespace, generation, one.name)
            values = _values(one, forms[one.name], prefix)
            while batch := list(islice(values, _BATCH)):
                pipe = client.pipeline(transaction=False)
                for key, value in batch:
                    pipe.set(key, value, ex=ttl + _LONGER)
                pipe.execute()
        document = plain(_Published(FORMAT, about, forms))
        left = int(deadline - time.monotonic())
        if left < 1:
            raise SnapshotError(
                f"writing to {redacted(url)} took longer than the {ttl} seconds that the snapshot is kept",
                why="its first values would expire before it is in force",
                next="give a longer ttl",
            )
        pipe = client.pipeline(transaction=True)
        pipe.set(f"{namespace}:{generation}", json.dumps(document, allow_nan=False), ex=ttl + _LONGER)
        pipe.set(f"{base}:current", generation, ex=left)
        pipe.set(f"{namespace}:spec", about.spec, ex=left)
        pipe.execute()
    return generation


class RedisStore:
    """The snapshot of ``spec`` that is in force in Redis; without ``spec``, the one published last.

    A new generation is taken up at the next question. Raises ``SnapshotError`` where no such
    snapshot is in force, ``StoreUnreachableError`` where Redis does not answer within ``timeout``.
    """

    def __init__(self, url: str, *, spec: str | None = None, namespace: str = NAMESPACE, timeout: float = 1.0) -> None:
        self._url = url
        self._namespace = namespace
        self._client = _client(url, timeout)
        try:
            self._open(spec)
        except BaseException:
            self._client.close()
            raise

    def about(self) -> About:
        """Return what the snapshot is of that answered last."""
        return self._about

    def find(self, table: str, keys: Keys) -> Found:
        """Return the rows of the asked keys, one sequence a key column, all in one round trip."""
        for _ in range(3):  # a second time only where a new generation came into force in between
            form = self._form(table)
            checked(keys, tuple(form.keys))
            asked = canonical(tuple(form.keys), tuple(form.keys.values()), keys) if form.keys else [b""]
            prefix = _prefix(self._namespace, self._generation, table)
            names = [prefix + key for key in asked if key is not None]
            with _told(self._url):
                answer: Any = self._client.mget([f"{self._base}:current", *names])
            current, *values = answer
            if current is not None and current.decode() == self._generation:
                each = iter(values)
                return unpacked(form, [None if key is None else next(each) for key in asked])
            self._take_up(current)
        raise self._unusable("new generations come into force faster than they can be read", "publish less often")

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _open(self, spec: str | None) -> None:
        with _told(self._url):
            last: Any = self._client.get(f"{self._namespace}:spec")
            wanted = spec or (last or b"").decode()
            self._base = f"{self._namespace}:{wanted}"
            current: Any = self._client.get(f"{self._base}:current")
        if current is None and last is not None and last.decode() != wanted:
            why = f"it holds features of spec {last.decode()[:16]}, asked for are those of {wanted[:16]}"
            raise self._unusable(why, "publish the snapshot of the version that the model was trained with")
        self._take_up(current)

    def _take_up(self, current: bytes | None) -> None:
        document: Any = None
        if current is not None:
            with _told(self._url):
                document = self._client.get(f"{self._namespace}:{current.decode()}")
        if current is None or document is None:
            raise self._unusable("no snapshot is in force there, or it has expired", "publish one")
        known = json.loads(document).get("format")
        if known != FORMAT:
            why = f"it has format {known}, this version of Leverframe reads format {FORMAT}"
            raise self._unusable(why, "publish it again with this version")
        published = parsed(_Published, document)
        self._generation = current.decode()
        self._about, self._forms = published.about, published.tables

    def _form(self, table: str) -> Form:
        if table not in self._forms:
            raise SnapshotError(
                f"the snapshot at {redacted(self._url)} has no table `{table}`",
                why="it was not among the tables when the snapshot was published",
                next=nearest(table, self._forms),
            )
        return self._forms[table]

    def _unusable(self, why: str, next: str) -> SnapshotError:
        return SnapshotError(f"the snapshot at {redacted(self._url)} cannot be used", why=why, next=next)


def redacted(url: str) -> str:
    """Return the server and database that a URL names, without user, password and options."""
    try:
        parts = urlsplit(url)
        where = f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
    except ValueError:
        return "the given Redis URL"
    return f"{parts.scheme}://{where}"


def _values(table: Arranged, form: Form, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    for key, start, stop in table.index.each():
        yield prefix + key, packed(form, table.rows, start, stop)


def _prefix(namespace: str, generation: str, table: str) -> bytes:
    return f"{namespace}:{generation}:{table}:".encode()


@contextmanager
def _connected(url: str, timeout: float) -> Iterator[redis.Redis]:
    client = _client(url, timeout)
    try:
        yield client
    finally:
        client.close()


def _client(url: str, timeout: float) -> redis.Redis:
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
def _told(url: str) -> Iterator[None]:
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
            why=str(error).splitlines()[0][:300] if str(error) else type(error).__name__,
            next="fix that on the server, then run the same command again",
        ) from error
