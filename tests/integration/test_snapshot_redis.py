"""The snapshot in Redis, against a real server on a free port of this machine."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import redis

from leverframe.adapters.disk import Disk
from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.redis import Pushed, RedisStore, publish, push, ready, redacted
from leverframe.domain.features.build import run as build
from leverframe.domain.features.online import Span, about, online_files
from leverframe.domain.features.parity import run as compare
from leverframe.domain.features.plan import Plan
from leverframe.domain.features.snapshot.arrange import arranged
from leverframe.domain.features.snapshot.store import SnapshotInfo, Table
from leverframe.domain.partition import Partition
from leverframe.errors import SnapshotError, StoreUnreachableError
from tests.integration.redis_server import PASSWORD, free_port, needed, running
from tests.integration.shop import copied, finished
from tests.integration.worlds import (
    CORRECTED,
    CORRECTED_TYPES,
    ENGINE,
    MARCH,
    SNAPSHOOTER,
    TYPES,
    WORLD,
    ZONE,
    corrected_worlds,
    drawn,
    plan_of,
    write_world,
)

pytestmark = needed


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Start a server for this module."""
    with running() as (address, _):
        yield address


def tables(value: int) -> list[Table]:
    """Return a table with one row a key, one with several, and one without keys."""
    one = Table(
        "one", {"k": np.array([5, 3, 4])}, {"f": np.full(3, value, np.float32), "g": np.full(3, 0.5, np.float32)}
    )
    keys = {"a": np.array(["x", "y", "x", None, "x"], object), "b": np.array([1, 1, 1, 1, 2])}
    texts = np.array(["p", "q", None, "r", "é"], object)
    many = Table("many", keys, {"n": np.arange(5), "w": texts, "b": np.ma.array([True] * 5, mask=[0, 1, 0, 0, 0])})
    return [one, many, Table("all", {}, {"t": np.arange(3.0)})]


def test_what_was_published_is_found(url: str) -> None:
    """Values, texts, nulls and ranges of every kind of table; what it is of comes along."""
    about = SnapshotInfo("spec-a", 17, {"month": "2020-03"})
    publish(url, about, tables(1), ttl=60, namespace="found")
    store = RedisStore(url, spec="spec-a", namespace="found")
    assert store.about() == about
    values = store.find("one", [np.array([3, 9, 5])]).matrix()
    assert values.dtype == np.float32
    assert values[[0, 2]].tolist() == [[1.0, 0.5], [1.0, 0.5]]
    assert np.isnan(values[1]).all()
    rows = store.find("many", [["x", "y", None, "x", "z"], [1, 1, 1, 2, 1]])
    pieces = list(zip(rows.start.tolist(), rows.stop.tolist(), strict=True))
    assert [rows.column("n")[start:stop].tolist() for start, stop in pieces] == [[0, 2], [1], [], [4], []]
    assert [rows.column("w")[start:stop].tolist() for start, stop in pieces] == [["p", None], ["q"], [], ["é"], []]
    assert rows.column("b")[pieces[1][0]] is np.ma.masked
    every = store.find("all", [])
    assert every.column("t")[every.start[0] : every.stop[0]].tolist() == [0.0, 1.0, 2.0]
    store.close()


def test_a_new_generation_is_taken_up_at_once_and_the_old_one_expires(url: str) -> None:
    """An open reader answers from the new generation; every key has a time to live."""
    publish(url, SnapshotInfo("s", 1), tables(1), ttl=60, namespace="switch")
    store = RedisStore(url, spec="s", namespace="switch")
    assert store.find("one", [[3]]).matrix()[0, 0] == 1.0
    publish(url, SnapshotInfo("s", 2), tables(2), ttl=60, namespace="switch")
    assert store.find("one", [[3]]).matrix()[0, 0] == 2.0
    assert store.about().as_of == 2
    store.close()
    with redis.Redis.from_url(url) as client:
        lives = {key: client.ttl(key) for key in client.scan_iter("switch:*")}
    pointers = [life for key, life in lives.items() if key.endswith((b":current", b":spec"))]
    assert len(pointers) == 2
    assert max(pointers) <= 60 < min(life for life in lives.values() if life not in pointers)


def test_half_a_generation_is_never_seen(url: str) -> None:
    """A publication that fails leaves the old snapshot in force."""
    publish(url, SnapshotInfo("s", 1), tables(1), ttl=60, namespace="half")
    broken = Table("later", {"k": np.array([1.5j])}, {})
    with pytest.raises(SnapshotError, match="`later` cannot be part"):
        publish(url, SnapshotInfo("s", 2), [*tables(2), broken], ttl=60, namespace="half")
    store = RedisStore(url, spec="s", namespace="half")
    assert store.find("one", [[3]]).matrix()[0, 0] == 1.0
    store.close()


def test_what_expired_is_told_and_never_taken_for_unknown_keys(url: str) -> None:
    """After the time to live the store refuses instead of answering with nulls."""
    publish(url, SnapshotInfo("s", 1), tables(1), ttl=2, namespace="gone")
    store = RedisStore(url, spec="s", namespace="gone")
    time.sleep(2.3)
    with pytest.raises(SnapshotError) as caught:
        store.find("one", [[3]])
    assert "expired" in caught.value.why
    store.close()


def test_another_spec_is_refused_and_both_can_be_in_force(url: str) -> None:
    """A model finds the snapshot of its own features, also while another is published; else one clear error."""
    publish(url, SnapshotInfo("old", 1), tables(1), ttl=60, namespace="specs")
    publish(url, SnapshotInfo("new", 1), tables(2), ttl=60, namespace="specs")
    for spec, value in (("old", 1.0), ("new", 2.0), (None, 2.0)):
        store = RedisStore(url, spec=spec, namespace="specs")
        assert store.find("one", [[3]]).matrix()[0, 0] == value
        store.close()
    with pytest.raises(SnapshotError) as caught:
        RedisStore(url, spec="other", namespace="specs")
    assert "spec new, asked for are those of other" in caught.value.why


def test_failures_are_clear_and_never_show_the_password(url: str) -> None:
    """Refused, silent, wrong password, no Redis URL, nothing published, unknown table."""
    port = free_port()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        cases = [
            (f"redis://:{PASSWORD}@127.0.0.1:{port}/0", StoreUnreachableError, "refused or lost"),
            (f"redis://:{PASSWORD}@127.0.0.1:{silent.getsockname()[1]}/0", StoreUnreachableError, "did not answer"),
            (url.replace(PASSWORD, f"{PASSWORD}1"), SnapshotError, "password is missing or wrong"),
            (f"http://:{PASSWORD}@127.0.0.1/", SnapshotError, "another scheme"),
            (f"redis://127.0.0.1:{PASSWORD}/0", SnapshotError, "cannot be read"),
            (f"{url}?bogus={PASSWORD}", SnapshotError, "does not know its option `bogus`"),
            (f"{url}?decode_responses=1", SnapshotError, "does not know its option `decode_responses`"),
            (f"{url}?protocol=9", SnapshotError, "cannot be read"),
            (url, SnapshotError, "no snapshot is in force"),
        ]
        for address, kind, why in cases:
            with pytest.raises(SnapshotError) as caught:
                RedisStore(address, spec="s", namespace="nothing", timeout=0.3)
            assert type(caught.value) is kind, address
            assert why in caught.value.why, caught.value.why
            assert PASSWORD not in caught.value.render()
    assert redacted("redis://me:secret@host:6380/2?password=other") == "redis://host:6380/2"


def test_nothing_is_written_where_values_may_be_evicted(url: str) -> None:
    """A value that is gone looks like an unknown key, so a server that evicts is refused; without a limit none does."""
    with redis.Redis.from_url(url) as client:
        client.config_set("maxmemory-policy", "volatile-lru")
        publish(url, SnapshotInfo("s", 1), tables(1), ttl=60, namespace="evict")
        client.config_set("maxmemory", "500mb")
        try:
            for write in (lambda: publish(url, SnapshotInfo("s", 1), tables(1), ttl=60), lambda: ready(url)):
                with pytest.raises(SnapshotError, match="would lose features") as caught:
                    write()
                assert "volatile-lru" in caught.value.why
        finally:
            client.config_set("maxmemory-policy", "noeviction")
        ready(url)
        client.config_set("maxmemory", 0)


def test_layers_from_before_an_eviction_are_written_anew(url: str) -> None:
    """What is there already is not written again, unless the server has evicted something since."""
    base = Pushed("base", [arranged(table) for table in tables(1)])
    about = SnapshotInfo("s", 1)
    counts = [push(url, about, [base], None, ttl=60, namespace="anew") for _ in range(2)]
    with redis.Redis.from_url(url) as client:
        client.set("anew:layer:base:evicted", -5)  # as if the count had been another then
        client.delete(*client.scan_iter("anew:base:one:*"))
    counts.append(push(url, about, [base], None, ttl=60, namespace="anew"))
    assert counts[0] == counts[2] > counts[1] == 0
    store = RedisStore(url, spec="s", namespace="anew")
    assert store.find("one", [[3]]).matrix()[0, 0] == 1.0
    store.close()


def test_requests_get_from_redis_what_the_build_gave(url: str, tmp_path: Path) -> None:
    """Parity over the same worlds as the file's: text, number and composite keys, windows, corrected events."""
    span, rows = Span(MARCH.start(ZONE) - timedelta(days=3), MARCH.plus(1).start(ZONE)), 0
    cases = [(plan_of(), TYPES, drawn(8)), (plan_of(CORRECTED), CORRECTED_TYPES, drawn(8, corrected_worlds()))]
    for number, (plan, types, world) in enumerate((plan, types, draw) for plan, types, many in cases for draw in many):
        root, namespace = tmp_path / str(number), f"world-{number}"
        write_world(world, root, types)
        build(plan, MARCH, WORLD, ENGINE, Disk(root).exists, root)
        files = online_files(plan, span, WORLD, Disk(root).exists, root)
        kinds = {"id": "number", "k": "text", "g": "number", "x": "number"}
        tables = SNAPSHOOTER.tables(plan, files, span)
        publish(url, about(plan, span, kinds), tables, ttl=100, namespace=namespace)

        def opened(_: Partition, plan: Plan = plan, namespace: str = namespace) -> closing[RedisStore]:
            return closing(RedisStore(url, spec=plan.spec, namespace=namespace))

        parity = compare(plan, [MARCH], PolarsTables(root), opened)
        assert parity.lines()[1:] == []
        rows += parity.rows
    assert rows > 30


def test_the_command_publishes_and_a_request_is_answered_without_the_file(
    url: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No password is printed, neither with success nor with an error."""
    shop = copied(finished(tmp_path_factory), tmp_path)
    request = ["--as-of", "2024-06-01T08:00Z", "-e", "customer=c1", "-e", "product=desk"]
    request += ["-e", "quantity=1", "-e", "amount=180"]
    from_file = shop.run("features", "get", "--json", *request)
    assert from_file.code == 0, from_file.stderr
    (shop.root / "data/snapshot.bin").unlink()
    written = shop.run("snapshot", "--redis", url, "--ttl", "60")
    assert written.code == 0, written.stderr
    assert "generation" in written.stdout
    assert not (shop.root / "data/snapshot.bin").exists()
    from_redis = shop.run("features", "get", "--json", *request, "--redis", url)
    assert json.loads(from_redis.stdout) == json.loads(from_file.stdout)
    refused = shop.run("snapshot", "--redis", f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0")
    assert refused.code == StoreUnreachableError.exit_code
    assert not any(PASSWORD in text for process in (written, refused) for text in (process.stdout, process.stderr))
