"""How generations of features are written to Redis: layers first, the pointer last."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import redis

from leverframe.adapters.redis.connection import connected, evicted, explained
from leverframe.adapters.redis.published import FORMAT, NAMESPACE, Layer, Published, marker, prefix_of
from leverframe.documents import parsed, plain
from leverframe.domain.features.snapshot.arrange import Arranged, arranged
from leverframe.domain.features.snapshot.packed import Form, packed
from leverframe.domain.features.snapshot.store import SnapshotInfo, Table
from leverframe.errors import SnapshotError

_BATCH = 2_000
_LONGER = 60  # seconds that values outlive what marks their layer, and this the pointer
_MOST = 8  # layers over each other, each of which a lookup asks


@dataclass(frozen=True)
class Pushed:
    """A layer as it lies in a file, by an ``id`` that no other content has."""

    id: str
    tables: Sequence[Arranged]
    whole: tuple[str, ...] = ()


def publish(url: str, about: SnapshotInfo, tables: Iterable[Table], *, ttl: int, namespace: str = NAMESPACE) -> str:
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
    with connected(url, timeout=30.0) as client, explained(url):
        writing = _Writing(client, namespace, ttl, evicted(client, url))
        layer = writing.layer(secrets.token_hex(8), map(arranged, tables))
        return writing.switch(Published(FORMAT, about, (layer,)), writing.left(layer.id))


def push(
    url: str,
    about: SnapshotInfo,
    layers: Sequence[Pushed],
    before: Pushed | None,
    *,
    ttl: int,
    namespace: str = NAMESPACE,
) -> int:
    """Put layers in force, the newest first, and return how many values were written.

    What is there already is not written again: a base, and of a delta the keys whose rows are those of the delta
    ``before``. Layers whose life is half over are written anew.
    """
    with connected(url, timeout=30.0) as client, explained(url):
        writing = _Writing(client, namespace, ttl, evicted(client, url))
        base = layers[-1]
        kept = writing.kept(base.id) or writing.layer(base.id, base.tables)
        made = [kept]
        if len(layers) > 1:
            made = writing.above(layers[0], before, about.spec, kept)
        left = min(writing.left(layer.id) for layer in made)
        writing.switch(Published(FORMAT, about, tuple(made), layers[0].id), left)
        return writing.count


class _Writing:
    """Writes layers that live for ``ttl`` seconds; a layer's own key is written last and expires before its values."""

    def __init__(self, client: redis.Redis, namespace: str, ttl: int, evicted: int) -> None:
        self._client, self._namespace, self._ttl, self._evicted = client, namespace, ttl, evicted
        self.count = 0

    def layer(
        self, id: str, tables: Iterable[Arranged], whole: tuple[str, ...] = (), known: _Known | None = None
    ) -> Layer:
        """Write the values of a layer, of those that ``known`` does not have."""
        forms, began = {}, time.monotonic()
        for one in tables:
            forms[one.name] = form = Form.of(one)
            prefix = prefix_of(self._namespace, id, one.name)
            values = (
                (prefix + key, packed(form, one.rows, start, stop))
                for key, start, stop in one.index.entries()
                if known is None or known.differs(one, key, start, stop)
            )
            while batch := list(islice(values, _BATCH)):
                pipe = self._client.pipeline(transaction=False)
                for key, value in batch:
                    pipe.set(key, value, ex=self._ttl + 2 * _LONGER)
                pipe.execute()
                self.count += len(batch)
        layer = Layer(id, forms, whole)
        content = json.dumps(plain(layer), allow_nan=False)
        left = int(self._ttl - (time.monotonic() - began))  # of the value that was written first
        if left < 1:
            raise SnapshotError(
                f"writing to Redis took longer than the {self._ttl} seconds that the snapshot is kept",
                why="its first values would expire before it is in force",
                next="give a longer ttl",
            )
        name = marker(self._namespace, id)
        self._client.set(f"{name}:evicted", self._evicted, ex=left + _LONGER)
        self._client.set(name, content, ex=left + _LONGER)
        return layer

    def above(self, delta: Pushed, before: Pushed | None, spec: str, base: Layer) -> list[Layer]:
        """Write what a delta has more than the one before, and return all layers; all of it where that is not enough.

        That is where keys of the one before are gone, or too many layers would lie over each other.
        """
        now = self._current(spec)
        known = _Known(before) if before is not None else None
        if (
            known is None or now is None or now.top != known.pushed.id or now.layers[-1] != base
            or len(now.layers) >= _MOST or before is None or before.whole != delta.whole or known.lost(delta)
            or any(not self.kept(layer.id) for layer in now.layers)
        ):  # fmt: skip
            return [self.layer(delta.id, delta.tables, delta.whole), base]
        more = self.layer(f"{delta.id}-{secrets.token_hex(4)}", delta.tables, (), known)
        return [more, *now.layers]

    def kept(self, id: str) -> Layer | None:
        """Return a layer that is there, lost nothing and lives for half of its time at least."""
        name = marker(self._namespace, id)
        content: Any = self._client.get(name)
        known: Any = self._client.get(f"{name}:evicted")
        whole = content is not None and known is not None and int(known) == self._evicted
        return parsed(Layer, content) if whole and self.left(id) > self._ttl // 2 else None

    def left(self, id: str) -> int:
        """Return for how many seconds a layer is sure to live."""
        left: Any = self._client.ttl(marker(self._namespace, id))
        return max(int(left) - _LONGER, 0)

    def switch(self, published: Published, left: int) -> str:
        """Put a generation in force for ``left`` seconds, in one step."""
        generation, spec = secrets.token_hex(8), published.about.spec
        content = json.dumps(plain(published), allow_nan=False)
        pipe = self._client.pipeline(transaction=True)
        pipe.set(f"{self._namespace}:{generation}", content, ex=self._ttl + _LONGER)
        pipe.set(f"{self._namespace}:{spec}:current", generation, ex=max(left, 1))
        pipe.set(f"{self._namespace}:spec", spec, ex=max(left, 1))
        pipe.execute()
        return generation

    def _current(self, spec: str) -> Published | None:
        current: Any = self._client.get(f"{self._namespace}:{spec}:current")
        document: Any = self._client.get(f"{self._namespace}:{current.decode()}") if current else None
        if document is None or json.loads(document).get("format") != FORMAT:
            return None
        return parsed(Published, document)


class _Known:
    """The rows of a delta that is in Redis already."""

    def __init__(self, pushed: Pushed) -> None:
        self.pushed = pushed
        self._tables = {
            table.name: (table, Form.of(table), {key: (start, stop) for key, start, stop in table.index.entries()})
            for table in pushed.tables
        }

    def differs(self, table: Arranged, key: bytes, start: int, stop: int) -> bool:
        """Tell whether a key has other rows in ``table``."""
        mine, form, keys = self._tables.get(table.name, (None, None, {}))
        if mine is None or form is None or key not in keys or form != Form.of(table):
            return True
        return packed(form, mine.rows, *keys[key]) != packed(form, table.rows, start, stop)

    def lost(self, delta: Pushed) -> bool:
        """Tell whether a key is not among those of ``delta``, which could not hide it."""
        have = {table.name: {key for key, *_ in table.index.entries()} for table in delta.tables}
        return any(not keys.keys() <= have.get(name, set()) for name, (*_, keys) in self._tables.items())
