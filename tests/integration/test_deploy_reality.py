"""What the server answers decides, not its record: damage, kills at any call, and one more run that puts it right."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from leverframe.domain.model.bundle.bundle_manifest import ONNX
from tests.integration.outages import Clients, Kill, Ready, Sent, unexplained
from tests.integration.served import MODEL, deploy, served, two_models
from tests.integration.shop import Shop, built_once, copied
from tests.profiles import deep
from tests.warm import warm
from tests.warm_server import KILLED_AT

ROUNDS = 200 if deep() else 8
COMMANDS = (
    ("deploy", "--commit", "one", "--again"),
    ("deploy", "--commit", "two", "--again"),
    ("rollback",),
    ("deploy", "--environment", "production"),  # promoted: the commit that the other one serves
    ("reconcile", "--branch", "main"),
    ("deploy", "--commit", "two", "--again"),
)


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Return a shop with two models, whose servers end with the test."""
    shop = copied(built_once(tmp_path_factory, "two-models", two_models)[0], tmp_path)
    yield shop
    for name in ("local", "production"):
        shop.run("serve", "--stop", "--name", name)


def folder(shop: Shop, name: str = "local") -> Path:
    """Return the folder of a server."""
    return shop.root / ".leverframe/servers" / name


def recorded(shop: Shop, name: str = "local") -> dict[str, Any]:
    """Return the release that the record says serves."""
    record = json.loads((folder(shop, name) / f"releases/{MODEL}.json").read_bytes())
    serving: dict[str, Any] = record["releases"][-1]
    return serving


def is_one(shop: Shop, context: object = "", name: str = "local") -> None:
    """Raise an error unless server, record and tags name one release, and nothing else is left."""
    serving, answer = recorded(shop, name), served(shop, name)
    assert (answer["version"], answer["bundle"]) == (str(serving["number"]), serving["manifest"]["bundle"]), context
    tags = shop.repository.git("tag", "--list", f"{MODEL}#{name}#*").split()
    newest = max(tags, key=lambda tag: int(tag.rpartition("#")[2]))
    assigned = shop.repository.git("rev-parse", f"{newest}^{{commit}}").strip()
    assert assigned == serving["manifest"]["commit"], context
    there = folder(shop, name)
    models = [path.name for path in (there / "models").iterdir() if not path.name.startswith(".")]
    assert models == [MODEL], context
    halves = [path for path in there.rglob("*") if path.suffix in (".part", ".old") and "log" not in path.parts]
    assert [*halves, *(there / "staged").glob("*"), *(there / "removed").glob("*")] == [], context
    assert "repairs it" not in shop.run("serve", "--status", "--name", name).stdout, context
    assert len(servers_in(there)) == 1, context


def servers_in(place: Path) -> list[int]:
    """Return the processes that work in a folder of a server, but those that one of them started."""
    parents = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if Path(process.cwd()) == place and process.status() != psutil.STATUS_ZOMBIE:
                parents[process.pid] = process.ppid()
    return [pid for pid, parent in parents.items() if parent not in parents]


def kill_server(shop: Shop) -> None:
    """Kill the server as the machine does when memory runs out, and wait until it is gone."""
    server = psutil.Process(json.loads((folder(shop) / "server.json").read_bytes())["pid"])
    server.kill()
    with suppress(psutil.NoSuchProcess):
        while server.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)


def flip_a_byte(shop: Shop) -> None:
    """Damage the model of the release that serves."""
    model = folder(shop) / "bundles" / recorded(shop)["manifest"]["bundle"] / ONNX
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)


def test_damage_that_the_record_does_not_show_is_repaired(shop: Shop) -> None:
    """A flipped byte, a model folder that is gone, a lost record: the next deployment serves what it says."""
    deploy(shop, "one")
    deploy(shop, "two")
    flip_a_byte(shop)
    assert "repairs it" in shop.run("serve", "--status", "--name", "local").stdout
    kill_server(shop)
    assert any("again" in step["step"] for step in deploy(shop, "two")["steps"])
    is_one(shop)
    kill_server(shop)
    assert deploy(shop, "two")["steps"] == []  # started again, and whole
    shutil.rmtree(folder(shop) / "models" / MODEL)
    assert deploy(shop, "two")["verdict"] == "passed"
    is_one(shop)
    (folder(shop) / f"releases/{MODEL}.json").unlink()
    assert not any(step["step"].startswith("undo") for step in deploy(shop, "two")["steps"])
    is_one(shop)
    flip_a_byte(shop)  # the server has it loaded: a good one takes its place all the same
    assert deploy(shop, "one")["verdict"] == "passed"
    kill_server(shop)  # one that starts cannot load what is older, and leaves it out
    again = shop.run("serve", "--name", "local")
    assert (again.code, "is damaged, so the server does not load it" in again.stderr) == (0, True), again
    kill_server(shop)
    assert deploy(shop, "one")["verdict"] == "passed"
    is_one(shop)


def kill_in(shop: Shop, command: tuple[str, ...], where: str) -> int:
    """Run a command in which somebody is killed ``where`` the hook says; return how it ended."""
    environment = {**shop.repository.environment, KILLED_AT: where}
    return warm().run("leverframe", command, shop.root, environment).returncode


def clients(shop: Shop, name: str) -> Clients:
    """Return clients that send the example of a server for as long as the test says."""
    example = json.loads(shop.run("serve", "--status", "--json", "--name", name).stdout)["example"]
    return Clients(folder(shop, name), MODEL, example, pause=0.05 if deep() else 0.1)


def killed_round(shop: Shop, number: int, chance: random.Random) -> tuple[bool, object]:
    """Kill a command, or the server in it, and deploy once more; return whether anything was killed, and what ran."""
    command = COMMANDS[number % len(COMMANDS)]
    name = "production" if "production" in command else "local"
    if name == "production":
        command = (*command, "--commit", recorded(shop)["manifest"]["commit"])
    call, of_server = chance.randrange(16 if "rollback" in command else 48), chance.random() < 0.2
    where = f"{call} {folder(shop, name) / 'server.json'}" if of_server else str(call)
    codes = [kill_in(shop, command, where)]
    if chance.random() < 0.3:
        codes.append(kill_in(shop, command, str(chance.randrange(12))))
    context = (number, command, where, codes)
    if not of_server:
        served(shop, name)  # something does, whatever was killed
    wanted = command[-1] if name == "production" else "one" if {"one", "main"} & {*command} else "two"
    again = shop.run("deploy", "--environment", name, "--commit", wanted)
    assert again.code in (0, 30), (context, again.stderr, again.stdout)  # refused, after a rollback
    is_one(shop, (context, again.stdout, again.stderr), name)
    return of_server or -signal.SIGKILL in codes, context


def test_whatever_is_killed_one_more_run_makes_it_one_again(shop: Shop) -> None:
    """Commands killed at random calls, inside a write too, or their server; then server, record and tags are one.

    Sometimes the run is killed that resumes what was killed. Clients of both servers send requests all the while: none
    fails but from the kill of a server until the next one is ready.
    """
    shop.repository.git("checkout", "-q", "-B", "main", "one")
    deploy(shop, "one")
    deploy(shop, "two")
    deploy(shop, "two", environment="production")
    seed = random.SystemRandom().randrange(1 << 30) if deep() else 20
    chance, killed, begun = random.Random(seed), 0, list[tuple[float, object]]()  # noqa: S311 - no secret
    both = [clients(shop, name) for name in ("local", "production")]
    with both[0].running(), both[1].running():
        for number in range(ROUNDS):
            start = time.monotonic()
            some, context = killed_round(shop, number, chance)
            begun.append((start, (seed, context)))
            killed += some
    assert killed >= ROUNDS // 3
    is_one(shop, seed)
    is_one(shop, seed, "production")
    sent, failed = sum(len(load.sent) for load in both), sum(len(load.failed) for load in both)
    servers = sum(len(load.kills) for load in both)
    print(f"{ROUNDS} rounds, {killed} with a kill, {servers} of servers: {sent:,} requests, {failed:,} failed")
    assert sent > 20 * ROUNDS
    lost = [
        (request, [context for start, context in begun if start <= request.over][-1:])
        for load in both
        for request in load.unexplained
    ]
    assert lost == [], "\n".join(map(str, lost))


def test_only_a_kill_explains_a_failed_request() -> None:
    """It explains what is under way from then until the next server is ready, and neither what follows nor the rest."""
    kills = [Kill(10.0, 1), Kill(30.0, 2)]
    checks = ((9.9, 10.1, 1), (10.5, 10.6, 1), (14.0, 14.5, 2), (20.0, 20.1, 2))
    ready = [Ready("REST", *check) for check in checks] + [Ready("gRPC", 16.0, 16.1, 2)]
    times = ((9.0, 9.9), (9.0, 10.1), (14.4, 15.0), (15.0, 15.1), (31.0, 99.0))
    failed = [Sent("REST", began, over, "reset") for began, over in times]
    assert [request.began for request in unexplained(failed, kills, ready)] == [9.0, 15.0]
    assert unexplained(failed[:1], [], ready) == failed[:1]
    assert unexplained([replace(failed[3], how="gRPC")], kills, ready) == []
