"""Back to an earlier release, on a real server: at once, and for good."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.served import deploy, served, two_models
from tests.integration.shop import Shop, built_once, copied


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Return a shop with two models, whose servers end with the test."""
    shop = copied(built_once(tmp_path_factory, "two-models", two_models)[0], tmp_path)
    yield shop
    for name in ("local", "production"):
        shop.run("serve", "--stop", "--name", name)


def test_a_rollback_goes_back_and_stays_there(shop: Shop) -> None:
    """Traffic is back at once; the release that was left is not deployed again unless somebody says so."""
    deploy(shop, "one")
    assert shop.run("rollback").code == 30
    deploy(shop, "two")
    ended = shop.run("rollback", "--because", "late labels", "--json")
    assert ended.code == 0
    assert served(shop)["version"] == "1"
    kept = json.loads((shop.root / ".leverframe/levers/deploy.json").read_text(encoding="utf-8"))
    assert {"verdict": "passed", "reasons": [], **kept} == json.loads(ended.stdout)
    assert (kept["rolled_back"], kept["serving"]["number"], kept["before"]["number"]) == (True, 1, 2)
    assert kept["recorded"]["assignment"] == "shop#local#3"
    commits = [shop.repository.git("rev-parse", f"{name}^{{commit}}") for name in ("shop#local#3", "one")]
    assert commits[0] == commits[1]
    report = deploy(shop, "two", code=30)
    assert "late labels" in report["violations"][0]["what"]
    assert shop.run("deploy", "--commit", "two", "--again").code == 0
    assert served(shop)["version"] == "3"  # a number is never given twice
    assert shop.run("rollback", "--to", "9").code == 30
