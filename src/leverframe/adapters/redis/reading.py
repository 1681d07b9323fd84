"""A generation of features in Redis, open for lookup."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from leverframe.adapters.redis.connection import client_of, explained, redacted
from leverframe.adapters.redis.published import FORMAT, NAMESPACE, Published, marker, prefix_of
from leverframe.documents import parsed
from leverframe.domain.features.snapshot.keys import canonical, checked
from leverframe.domain.features.snapshot.layers import together
from leverframe.domain.features.snapshot.packed import Form, unpacked
from leverframe.domain.features.snapshot.store import Keys, Matches, SnapshotInfo
from leverframe.errors import SnapshotError, nearest

_AGAIN = "`leverframe materialize` writes it, or `leverframe snapshot --redis` where nothing keeps it fresh"


class RedisStore:
    """A snapshot in Redis; one that does not ``follow`` stays with the generation that was in force at first.

    Raises ``SnapshotError`` where none is in force, or one of another ``spec`` than the one asked for, and
    ``StoreUnreachableError``.
    """

    def __init__(
        self,
        url: str,
        *,
        spec: str | None = None,
        namespace: str = NAMESPACE,
        timeout: float = 1.0,
        follow: bool = True,
    ) -> None:
        self._url, self._namespace, self._follow = url, namespace, follow
        self._client = client_of(url, timeout)
        try:
            self._open(spec)
        except BaseException:
            self._client.close()
            raise

    def about(self) -> SnapshotInfo:
        """Return what the snapshot is of that answered last."""
        return self._about

    def find(self, table: str, keys: Keys) -> Matches:
        """Return the rows of the asked keys, one sequence a key column, all in one round trip."""
        for _ in range(3):  # a second time only where a new generation came into force in between
            parts = self._parts(table)
            asked = [_asked(form, keys) for _, form in parts]
            names = [
                prefix_of(self._namespace, layer, table) + key
                for (layer, _), of_part in zip(parts, asked, strict=True)
                for key in of_part
                if key is not None
            ]
            checks = [f"{self._base}:current"] if self._follow else [
                marker(self._namespace, layer.id) for layer in self._published.layers
            ]  # fmt: skip
            with explained(self._url):
                answer: Any = self._client.mget([*checks, *names])
            current, values = answer[: len(checks)], iter(answer[len(checks) :])
            if self._follow and (current[0] is None or current[0].decode() != self._generation):
                self._take_up(current[0])
                continue
            if None in current:
                raise self._unusable("the snapshot has expired", _AGAIN)
            contents = [[None if key is None else next(values) for key in of_part] for of_part in asked]
            return _newest(parts, contents)
        raise self._unusable("new generations come into force faster than they can be read", "write them less often")

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _open(self, spec: str | None) -> None:
        with explained(self._url):
            last: Any = self._client.get(f"{self._namespace}:spec")
            wanted = spec or (last or b"").decode()
            self._base = f"{self._namespace}:{wanted}"
            current: Any = self._client.get(f"{self._base}:current")
        if current is None and last is not None and last.decode() != wanted:
            why = f"it holds features of spec {last.decode()[:16]}, asked for are those of {wanted[:16]}"
            raise self._unusable(why, f"do it with the star.yaml that the model was trained with: {_AGAIN}")
        self._take_up(current)

    def _take_up(self, current: bytes | None) -> None:
        document: Any = None
        if current is not None:
            with explained(self._url):
                document = self._client.get(f"{self._namespace}:{current.decode()}")
        if current is None or document is None:
            raise self._unusable("no snapshot is in force there, or it has expired", _AGAIN)
        known = json.loads(document).get("format")
        if known != FORMAT:
            why = f"it has format {known}, this version of Leverframe reads format {FORMAT}"
            raise self._unusable(why, f"do it again with this version: {_AGAIN}")
        published = parsed(Published, document)
        self._generation = current.decode()
        self._about, self._published = published.about, published

    def _parts(self, table: str) -> list[tuple[str, Form]]:
        """Return the layers that have a table, the newest first, down to one that hides what lies below."""
        parts = []
        for layer in self._published.layers:
            if table in layer.tables:
                parts.append((layer.id, layer.tables[table]))
            if table in layer.whole:
                break
        if not parts:
            raise SnapshotError(
                f"the snapshot at {redacted(self._url)} has no table `{table}`",
                why="it was not among the tables when the snapshot was published",
                next=nearest(table, {name for layer in self._published.layers for name in layer.tables}),
            )
        return parts

    def _unusable(self, why: str, next: str) -> SnapshotError:
        return SnapshotError(f"the snapshot at {redacted(self._url)} cannot be used", why=why, next=next)


class Generations:
    """The generations of one spec, as they come into force."""

    def __init__(self, url: str, spec: str, *, namespace: str = NAMESPACE, timeout: float = 1.0) -> None:
        self._url, self._spec, self._namespace, self._timeout = url, spec, namespace, timeout
        self._client = client_of(url, timeout)
        self._known: tuple[bytes, RedisStore] | None = None

    def newest(self) -> RedisStore | None:
        """Return the generation in force, the same object as long as it is; None where there is none."""
        with explained(self._url):
            current: Any = self._client.get(f"{self._namespace}:{self._spec}:current")
        if current is None:
            self._known = None
        elif self._known is None or self._known[0] != current:
            store = RedisStore(
                self._url, spec=self._spec, namespace=self._namespace, timeout=self._timeout, follow=False
            )
            self._known = current, store
        return self._known[1] if self._known else None


def _asked(form: Form, keys: Keys) -> list[bytes | None]:
    checked(keys, tuple(form.keys))
    return canonical(tuple(form.keys), tuple(form.keys.values()), keys) if form.keys else [b""]


def _newest(parts: Sequence[tuple[str, Form]], values: Sequence[list[bytes | None]]) -> Matches:
    """Return of every key the rows of the newest layer that has it."""
    pieces, taken = [], np.zeros(len(values[0]), bool)
    for (_, form), of_part in zip(parts, values, strict=True):
        mine = np.array([value is not None for value in of_part], bool) & ~taken
        taken |= mine
        if mine.any():
            hits = unpacked(form, [value if one else None for value, one in zip(of_part, mine.tolist(), strict=True)])
            pieces.append((hits.start, hits.stop, mine, hits.rows))
    if len(pieces) == 1:
        return Matches(pieces[0][0], pieces[0][1], pieces[0][3])
    return together(pieces) if pieces else unpacked(parts[-1][1], [None] * len(taken))
