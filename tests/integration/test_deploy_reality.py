"""What the server answers decides, not its record: damage, kills at any call, and one more run that puts it right."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leverframe.domain.model.bundle.bundle_manifest import ONNX
from tests.integration.served import MODEL, deploy, served, two_models
from tests.integration.shop import Shop, built_once, copied
from tests.profiles import deep
from tests.warm import KILLED_AT, warm

ROUNDS = 200 if deep() else 20
COMMANDS = (
    ("deploy", "--commit", "one", "--again"),
    ("deploy", "--commit", "two", "--again"),
    ("rollback",),
    ("reconcile", "--branch", "main"),
    ("deploy", "--commit", "two", "--again"),
)


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Return a shop with two models, whose servers end with the test."""
    found = copied(built_once(tmp_path_factory, "two-models", two_models)[0], tmp_path)
    yield found
    for name in ("local", "production"):
        found.run("serve", "--stop", "--name", name)


def folder(shop: Shop) -> Path:
    """Return the folder of the server."""
    return shop.root / ".leverframe/servers/local"


def recorded(shop: Shop) -> dict[str, Any]:
    """Return the release that the record says serves."""
    serving: dict[str, Any] = json.loads((folder(shop) / f"releases/{MODEL}.json").read_bytes())["releases"][-1]
    return serving


def is_one(shop: Shop, context: object = "") -> None:
    """Raise an error unless server, record and tags name one release, and nothing else is left."""
    serving, answer = recorded(shop), served(shop)
    assert (answer["version"], answer["bundle"]) == (str(serving["number"]), serving["manifest"]["bundle"]), context
    tags = shop.repository.git("tag", "--list", f"{MODEL}#local#*").split()
    newest = max(tags, key=lambda tag: int(tag.rpartition("#")[2]))
    assigned = shop.repository.git("rev-parse", f"{newest}^{{commit}}").strip()
    assert assigned == serving["manifest"]["commit"], context
    models = [path.name for path in (folder(shop) / "models").iterdir() if not path.name.startswith(".")]
    assert models == [MODEL], context
    assert "repairs it" not in shop.run("serve", "--status", "--name", "local").stdout, context


def kill_server(shop: Shop) -> None:
    """Kill the server as the machine does when memory runs out."""
    os.kill(json.loads((folder(shop) / "server.json").read_bytes())["pid"], signal.SIGKILL)


def test_damage_that_the_record_does_not_show_is_repaired(shop: Shop) -> None:
    """A flipped byte, a model folder that is gone, a lost record: the next deployment serves what it says."""
    deploy(shop, "one")
    deploy(shop, "two")
    model = folder(shop) / "bundles" / recorded(shop)["manifest"]["bundle"] / ONNX
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
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


def test_whatever_is_killed_one_more_run_makes_it_one_again(shop: Shop) -> None:
    """Commands killed at random calls, also with a request under way; then server, record and tags are one."""
    shop.repository.git("checkout", "-q", "-B", "main", "one")
    deploy(shop, "one")
    deploy(shop, "two")
    chance = random.Random(None if deep() else 20)  # noqa: S311 - no secret
    killed = 0
    for number in range(ROUNDS):
        command, call = COMMANDS[number % len(COMMANDS)], chance.randrange(40 if number % 5 != 2 else 12)
        environment = {**shop.repository.environment, KILLED_AT: str(call)}
        ended = warm().run("leverframe", command, shop.root, environment)
        killed += ended.returncode == -signal.SIGKILL
        context = (number, command, call, ended.returncode, ended.stderr[-600:])
        served(shop)  # something does, whatever was killed
        again = shop.run("deploy", "--commit", "one" if "one" in command or "main" in command else "two")
        assert again.code in (0, 30), (context, again.stderr, again.stdout)  # refused, after a rollback
        is_one(shop, (context, again.stdout, again.stderr))
    assert killed >= ROUNDS // 3
