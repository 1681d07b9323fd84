"""Deployments to a real server: under load, with bundles that are no good, and killed at every step."""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import skops.io

from leverframe.domain.bundle.manifest import MANIFEST, Manifest, sha256
from tests.integration.served import MODEL, Load, ask, deploy, served, two_models
from tests.integration.shop import Shop, alive, built_once, copied, wait_for


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Return a shop with two models, whose servers end with the test."""
    found = copied(built_once(tmp_path_factory, "two-models", two_models)[0], tmp_path)
    yield found
    for name in ("local", "production"):
        found.run("serve", "--stop", "--name", name)


def test_six_deployments_and_two_rollbacks_under_load(shop: Shop) -> None:
    """Sixteen clients ask all the while: no request fails, none waits long, each answer is of a release that served."""
    deploy(shop, "one")
    told = json.loads(shop.run("serve", "--status", "--json", "--name", "local").stdout)
    load = Load(told["running"]["port"], json.dumps(told["example"]).encode(), clients=16)
    with load.running():
        time.sleep(3)
        began = time.monotonic()
        for commit in ("two", "one", "two"):
            assert deploy(shop, commit)["verdict"] == "passed"
        for _ in range(2):
            ended = shop.run("rollback", "--json")
            assert ended.code == 0, ended.stderr
            assert json.loads(ended.stdout)["steps"][0]["seconds"] < 1.0
        for commit in ("two", "one", "two"):
            ended = shop.run("deploy", "--commit", commit, "--again", "--json")
            assert ended.code == 0, ended.stderr + ended.stdout
        over = time.monotonic()
        wait_for(lambda: len(load.answers) > 10_000, 120)
    failed = [each for each in load.answers if each[2] != 200]
    assert failed == []
    assert len(load.answers) > 10_000
    usual = [seconds for when, seconds, *_ in load.answers if when < began]
    during = [seconds for when, seconds, *_ in load.answers if began <= when <= over]
    print(f"{len(load.answers)} requests, p50 {statistics.median(usual):.4f} and {statistics.median(during):.4f} s, "
          f"longest {max(usual):.3f} and {max(during):.3f} s")  # fmt: skip
    assert max(during) - statistics.median(usual) < 0.6  # the figure is measured by benchmarks/, on a quiet machine
    assert len({version for *_, version in load.answers}) >= 5


def test_a_deployment_is_idempotent_and_says_what_it_would_do(shop: Shop) -> None:
    """Dry first, then for real, then again: the second time there is nothing to do, with the same server."""
    dry = shop.run("deploy", "--commit", "one", "--dry-run")
    assert dry.code == 0
    assert len(dry.stdout.splitlines()) == 7
    assert not (shop.root / ".leverframe/servers/local/server.json").exists()
    first = deploy(shop, "one")
    assert [each["step"] for each in first["steps"]] == dry.stdout.splitlines()
    assert deploy(shop, "one")["steps"] == []
    assert shop.run("deploy", "--commit", "one", "--dry-run").stdout == "nothing to do\n"
    at = served(shop)
    assert (at["version"], at["commit"]) == ("1", shop.repository.git("rev-parse", "one").strip())


def test_promotion_takes_the_same_bundle_or_nothing(shop: Shop) -> None:
    """Production gets what local serves, to the byte; anything else is refused with a code of its own."""
    assert shop.run("deploy", "--environment", "production", "--commit", "one").code == 32
    deploy(shop, "one")
    assert shop.run("deploy", "--environment", "production", "--commit", "two").code == 32
    deploy(shop, "one", environment="production")
    assert served(shop, "production")["bundle"] == served(shop)["bundle"]
    assert shop.run("deploy", "--environment", "nowhere").code == 10


def test_a_replay_tells_what_would_change(shop: Shop) -> None:
    """Logged requests are asked of both; more labels than allowed change, and the release is refused."""
    deploy(shop, "one")
    before = served(shop)
    told = json.loads(shop.run("serve", "--status", "--json", "--name", "local").stdout)
    body = json.dumps(told["example"]).encode()
    for _ in range(30):
        ask(told["running"]["port"], body)
    shop.run("serve", "--stop", "--name", "local")  # closes the log
    report = deploy(shop, "two")
    assert report["replayed"]["rows"] >= 30
    assert report["replayed"]["skipped"] == 0
    assert report["replayed"]["largest"][0]["before"] == pytest.approx(before["outputs"][1]["data"][0])
    assert served(shop)["version"] == "2"


def corrupted(shop: Shop, change: str) -> None:
    """Commit a bundle that is no good in one way, as the tag `bad`."""
    shop.repository.git("checkout", "-q", "two")
    folder = shop.root / "models/bundle"
    files = {each.name: each.read_bytes() for each in folder.iterdir()}
    if change == "wrong digest":
        files["model.onnx"] += b" "
    else:
        _changed(change, files)
        manifest = Manifest(**json.loads(files[MANIFEST]))
        digests = {name: sha256(data) for name, data in sorted(files.items()) if name != MANIFEST}
        files[MANIFEST] = Manifest(**{**vars(manifest), "files": digests}).to_bytes()
    shutil.rmtree(folder)
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    shop.repository.dvc("commit", "--force", "bundle")
    shop.repository.commit("a bundle that is no good")
    shop.repository.git("tag", "bad")


def _changed(change: str, files: dict[str, bytes]) -> None:
    if change == "corrupt model":
        files["model.onnx"] = files["model.onnx"][: len(files["model.onnx"]) // 2]
    elif change == "smoke rows wrong":
        rows = [json.loads(line) for line in files["golden.jsonl"].splitlines()]
        rows[0]["answer"] = rows[0]["answer"][::-1]
        files["golden.jsonl"] = "".join(json.dumps(row) + "\n" for row in rows).encode()
    elif change == "incompatible schema":
        schema = json.loads(files["schema.json"])
        schema["keys"] = [each for each in schema["keys"] if each["name"] != "customer"]
        files["schema.json"] = json.dumps(schema).encode()
    elif change == "runtime raises":
        settings = json.loads(files["model-settings.json"])
        settings["implementation"] = "leverframe.serving.runtime.NoSuchRuntime"
        files["model-settings.json"] = json.dumps(settings).encode()
    elif change == "unsafe type":
        manifest = json.loads(files[MANIFEST])
        manifest["engine"] = "skops"
        files[MANIFEST] = json.dumps(manifest).encode()
        files["model.skops"] = bytes(skops.io.dumps(os.path.join))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("wrong digest", "bundle-damaged"),
        ("corrupt model", "load-failed"),
        ("smoke rows wrong", "load-failed"),
        ("incompatible schema", "schema-incompatible"),
        ("runtime raises", "load-failed"),
        ("unsafe type", "load-failed"),
    ],
)
def test_a_bad_bundle_never_serves(change: str, reason: str, shop: Shop) -> None:
    """The old release answers throughout, the reason is right, and the same bundle is not tried again by itself."""
    deploy(shop, "one")
    before = served(shop)
    corrupted(shop, change)
    told = json.loads(shop.run("serve", "--status", "--json", "--name", "local").stdout)
    load = Load(told["running"]["port"], json.dumps(told["example"]).encode(), clients=4)
    with load.running():
        report = deploy(shop, "bad", code=30)
    assert [each["reason"] for each in report["objections"]] == [reason], report["objections"]
    assert {(status, version) for _, _, status, version in load.answers} == {(200, before["version"])}
    assert served(shop) == before
    models = shop.root / ".leverframe/servers/local/models"
    assert sorted(each.name for each in models.iterdir() if not each.name.startswith(".")) == [MODEL]
    again = deploy(shop, "bad", code=30)
    remembered = "refused-before" if reason != "bundle-damaged" else reason  # of which a good copy may come
    assert [each["reason"] for each in again["objections"]] == [remembered]
    assert deploy(shop, "two")["verdict"] == "passed"  # a good one goes on


@pytest.mark.parametrize("step", ["fetch", "compare", "load", "ask it", "give the traffic", "watch", "record", "keep"])
def test_a_deployment_killed_at_a_step_is_finished_by_the_next(step: str, shop: Shop) -> None:
    """Killed when it begins a step, then run again: the desired state, no candidate, no half version, one server."""
    deploy(shop, "one")
    server = json.loads((shop.root / ".leverframe/servers/local/server.json").read_text())["pid"]
    process = shop.start("leverframe", "deploy", "--commit", "two")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(step):
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait(30)
    assert served(shop)["version"] in ("1", "2")
    report = deploy(shop, "two")
    assert report["verdict"] == "passed"
    place = shop.root / ".leverframe/servers/local"
    assert [each.name for each in (place / "models").iterdir() if not each.name.startswith(".")] == [MODEL]
    record = json.loads((place / "releases/shop.json").read_text())
    numbers = [each["number"] for each in record["releases"]]
    assert sorted(int(each.name) for each in (place / "models" / MODEL).iterdir()) == numbers
    assert {each.name for each in (place / "bundles").iterdir()} == {each["bundle"] for each in record["releases"]}
    at = served(shop)
    assert (at["version"], at["bundle"]) == (str(numbers[-1]), record["releases"][-1]["bundle"])
    assert json.loads((place / "server.json").read_text())["pid"] == server


def test_two_deployments_at_once_are_one_after_the_other(shop: Shop) -> None:
    """The second is told to wait, with a code that says that the same call may succeed later."""
    deploy(shop, "one")
    first = shop.start("leverframe", "deploy", "--commit", "two")
    assert first.stderr is not None
    assert any(line.startswith("load") for line in first.stderr)
    second = shop.run("deploy", "--commit", "two")
    assert second.code == 31
    assert "another deployment" in second.said()[0]
    assert first.wait(60) == 0


def test_the_agent_follows_a_branch(shop: Shop, tmp_path: Path) -> None:
    """A clone that only reads deploys the head of main, once; after a push it deploys the next."""
    shop.repository.git("checkout", "-q", "-B", "main", "one")
    clone = tmp_path / "agent"
    shop.repository.git("clone", "-q", str(shop.root), str(clone))
    (clone / ".dvc/config.local").write_text(f"[cache]\n    dir = {shop.root / '.dvc/cache'}\n")
    agent = Shop(type(shop.repository)(clone, tmp_path / "home"))
    once = agent.run("reconcile", "--json")
    assert once.code == 0, once.stderr
    assert served(agent)["version"] == "1"
    process = agent.start("leverframe", "reconcile", "--watch", "0.5")
    shop.repository.git("checkout", "-q", "-B", "main", "two")
    wait_for(lambda: served(agent)["version"] == "2", 60)
    watcher = psutil.Process(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert alive([watcher]) == []
    agent.run("serve", "--stop", "--name", "local")
