"""Deployments to a real server: under load, with bundles that are no good, and killed at every step."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import skops.io

from leverframe.domain.model.bundle.bundle_manifest import MANIFEST, Manifest
from leverframe.domain.model.bundle.schema import from_json
from leverframe.domain.release.serve import request
from leverframe.local.bundles import Files, sealed, slow
from leverframe.local.traffic import Traffic
from tests.fakes.bundles import failing, raising, wrong
from tests.integration.served import MODEL, ask, deploy, served, traffic, two_models
from tests.integration.shop import Shop, alive, built_once, copied, wait_for
from tests.profiles import by_day
from tests.warm import PATIENCE


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Return a shop with two models, whose servers end with the test."""
    shop = copied(built_once(tmp_path_factory, "two-models", two_models)[0], tmp_path)
    yield shop
    for name in ("local", "production"):
        shop.run("serve", "--stop", "--name", name)


def test_six_deployments_and_two_rollbacks_under_load(shop: Shop) -> None:
    """Sixteen clients ask all the while: no request fails, and each answer is of a release that served.

    Two more begin to ask for 8,000 rows at once before the second deployment, which was held against the release. How
    long an answer takes meanwhile is measured by `benchmarks.deploy`, on a quiet machine.
    """
    deploy(shop, "one")
    load, large = traffic(shop, clients=16), traffic(shop, clients=2, rows=8000, pause=0.3)
    with load.running():
        wait_for(lambda: len(load.responses) > 500)
        with large.running():
            assert deploy(shop, "two")["verdict"] == "passed"
            ended = shop.run("rollback", "--json")
            assert ended.code == 0, ended.stderr
        assert "release" in json.loads(ended.stdout)["steps"][0]["step"]  # before all else
        for commit in ("two", "one", "two"):
            ended = shop.run("deploy", "--commit", commit, "--again", "--json")
            assert ended.code == 0, ended.stderr + ended.stdout
        ended = shop.run("rollback", "--json")
        assert ended.code == 0, ended.stderr
        for commit in ("two", "one"):
            ended = shop.run("deploy", "--commit", commit, "--again", "--json")
            assert ended.code == 0, ended.stderr + ended.stdout
        enough = len(load.responses) + 500
        wait_for(lambda: len(load.responses) > enough)
    assert load.failed == large.failed == []
    assert len(large.responses) > 2
    assert len({response.version for response in load.responses}) >= 5


def test_a_deployment_is_idempotent_and_says_what_it_would_do(shop: Shop) -> None:
    """Dry first, then for real, then again: the second time there is nothing to do, with the same server."""
    dry = shop.run("deploy", "--commit", "one", "--dry-run")
    assert dry.code == 0
    assert len(dry.stdout.splitlines()) == 7
    assert not (shop.root / ".leverframe/servers/local/server.json").exists()
    first = deploy(shop, "one")
    assert [step["step"] for step in first["steps"]] == dry.stdout.splitlines()
    assert deploy(shop, "one")["steps"] == []
    assert shop.run("deploy", "--commit", "one", "--dry-run").stdout == "nothing to do\n"
    at = served(shop)
    assert (at["version"], at["commit"]) == ("1", shop.repository.git("rev-parse", "one").strip())


def test_promotion_takes_the_same_bundle_or_nothing(shop: Shop) -> None:
    """Production gets what local serves, to the byte; anything else is refused with a code of its own."""
    assert shop.run("deploy", "--environment", "production", "--commit", "one").code == 32
    deploy(shop, "one")
    assert shop.run("deploy", "--environment", "production", "--commit", "two").code == 32
    os.kill(json.loads((shop.root / ".leverframe/servers/local/server.json").read_bytes())["pid"], signal.SIGKILL)
    ended = shop.run("deploy", "--environment", "production", "--commit", "one")
    assert (ended.code, "`local` does not serve what is recorded of it" in ended.stderr) == (32, True)
    deploy(shop, "one")
    deploy(shop, "one", environment="production")
    assert served(shop, "production")["bundle"] == served(shop)["bundle"]
    assert shop.run("deploy", "--environment", "nowhere").code == 10


def test_a_replay_tells_what_would_change(shop: Shop) -> None:
    """Logged requests are asked of both; more labels than allowed change, and the release is refused."""
    deploy(shop, "one")
    state = json.loads(shop.run("serve", "--status", "--json", "--name", "local").stdout)
    schema = from_json(json.loads((shop.root / "models/bundle/schema.json").read_bytes()))
    asked = [request(schema, [row]) for row in golden_rows(shop)]
    asked += [state["example"]] * 30  # the same row over and over
    answers = [ask(state["running"]["port"], json.dumps(body).encode())[1]["outputs"][1]["data"][0] for body in asked]
    shop.run("serve", "--stop", "--name", "local")  # closes the log
    replayed = deploy(shop, "two")["replayed"]
    assert replayed["requests"] == len(asked)
    assert 20 <= replayed["rows"] <= len(asked) - 29
    assert (replayed["skipped"], replayed["instead"]) == (0, "")
    assert all(pytest.approx(flip["before"]) in answers for flip in replayed["largest"])
    assert len(replayed["largest"]) == 5
    assert served(shop)["version"] == "2"


def golden_rows(shop: Shop) -> list[dict[str, Any]]:
    """Return the inputs of the golden rows in the working tree."""
    return [json.loads(line)["inputs"] for line in (shop.root / "models/bundle/golden.jsonl").read_bytes().splitlines()]


def watched_for(shop: Shop, seconds: int) -> None:
    """Let the commit `two` ask for its release to be watched for so long."""
    shop.repository.git("checkout", "-q", "-B", "watched", "two")
    shop.replace("leverframe.yaml", "verify_seconds: 0.5", f"verify_seconds: {seconds}")
    shop.repository.commit("Watched for longer")
    shop.repository.git("tag", "--force", "two")


def bundle_of(shop: Shop) -> Files:
    """Return the bundle in the working tree."""
    return {path.name: path.read_bytes() for path in (shop.root / "models/bundle").iterdir()}


def corrupted(shop: Shop, change: str, files: Files) -> None:
    """Commit a bundle, that of `two`, so that it is no good in one way, as the tag `bad`."""
    shop.repository.git("checkout", "-q", "two")
    folder = shop.root / "models/bundle"
    shutil.rmtree(folder)
    folder.mkdir()
    for name, data in BAD[change](files).items():
        (folder / name).write_bytes(data)
    shop.repository.dvc("commit", "--force", "bundle")
    shop.repository.commit("a bundle that is no good")
    shop.repository.git("tag", "--force", "bad")


def cut(files: Files) -> Files:
    """Return a bundle with half a model."""
    return sealed({**files, "model.onnx": files["model.onnx"][: len(files["model.onnx"]) // 2]})


def narrower(files: Files) -> Files:
    """Return a bundle that knows one key less."""
    schema = json.loads(files["schema.json"])
    schema["keys"] = [key for key in schema["keys"] if key["name"] != "customer"]
    return sealed({**files, "schema.json": json.dumps(schema).encode()})


def unsafe(files: Files) -> Files:
    """Return a bundle whose model calls a function when it is opened."""
    manifest = {**json.loads(files[MANIFEST]), "engine": "skops"}
    code = bytes(skops.io.dumps(os.path.join))
    return sealed({**files, MANIFEST: Manifest(**manifest).to_bytes(), "model.skops": code})


def other_code(files: Files) -> Files:
    """Return a bundle that names a class of its own to run, which nobody asks for; and a wrong answer."""
    settings = {**json.loads(files["model-settings.json"]), "implementation": "os.abort"}
    return wrong({**files, "model-settings.json": json.dumps(settings).encode()})


BAD: dict[str, Callable[[Files], Files]] = {
    "wrong digest": lambda files: {**files, "model.onnx": files["model.onnx"] + b" "},
    "corrupt model": cut,
    "smoke rows wrong": wrong,
    "incompatible schema": narrower,
    "runtime raises": raising,
    "unsafe type": unsafe,
    "other code": other_code,
    "fails": failing,
    "fails again": partial(failing, rows=201),
    "slow": partial(slow, size=700),  # a few milliseconds more
}


REASONS = {
    "wrong digest": "bundle-damaged",
    "corrupt model": "load-failed",
    "smoke rows wrong": "load-failed",
    "incompatible schema": "schema-incompatible",
    "runtime raises": "load-failed",
    "unsafe type": "load-failed",
    "other code": "load-failed",
}


def test_a_bad_bundle_never_serves(shop: Shop) -> None:
    """The old release answers throughout, the reason is right, and the same bundle is not tried again by itself.

    All of them come to one server, one after the other; a good one goes on.
    """
    deploy(shop, "one")
    before, good = served(shop), bundle_of(shop)
    models = shop.root / ".leverframe/servers/local/models"
    for change, reason in REASONS.items():
        corrupted(shop, change, good)
        load = traffic(shop, clients=4)
        with load.running():
            report = deploy(shop, "bad", code=30)
        assert [violation["reason"] for violation in report["violations"]] == [reason], (change, report["violations"])
        assert {(response.status, response.version) for response in load.responses} == {(200, before["version"])}, (
            change
        )
        assert served(shop) == before, change
        assert sorted(path.name for path in models.iterdir() if not path.name.startswith(".")) == [MODEL], change
        again = deploy(shop, "bad", code=30)
        remembered = "refused-before" if reason != "bundle-damaged" else reason  # of which a good copy may come
        assert [violation["reason"] for violation in again["violations"]] == [remembered], change
    assert deploy(shop, "two")["verdict"] == "passed"


def test_a_slow_release_gets_no_traffic(shop: Shop) -> None:
    """It answers rightly; beside the release that serves, and its clients, it takes too long for the same requests."""
    deploy(shop, "one")
    corrupted(shop, "slow", bundle_of(shop))
    load = traffic(shop, clients=4)
    with load.running():
        report = deploy(shop, "bad", code=30)
    assert [violation["reason"] for violation in report["violations"]] == ["too-slow"]
    assert "a prediction of 1 row by columns takes" in report["violations"][0]["what"]
    assert report["latency"][0]["pairs"] >= 14
    assert not report["rolled_back"]
    assert load.failed == []
    assert {response.version for response in load.responses} == {"1"}


def test_an_error_that_the_release_before_has_too_is_not_held_against_the_new_one(shop: Shop) -> None:
    """Clients send what neither release can answer: the server tries it on both, and says so in its metrics."""
    good = bundle_of(shop)
    for change in ("fails", "fails again"):
        corrupted(shop, change, good)
        load = traffic(shop, clients=2, rows=300) if change == "fails again" else None
        with load.running() if load else nullcontext():
            assert deploy(shop, "bad")["verdict"] == "passed"
    assert load is not None
    assert {response.status for response in load.responses} == {500}
    running = json.loads(shop.run("serve", "--status", "--json", "--name", "local").stdout)["running"]
    with urllib.request.urlopen(f"http://127.0.0.1:{running['metrics_port']}/metrics") as metrics:
        counts = dict(
            re.findall(r'^leverframe_(\w+)_total\{.*version="2"\} (\S+)$', metrics.read().decode(), re.MULTILINE)
        )
    assert float(counts["failed_before"]) > 0


@pytest.mark.deep
def test_twenty_releases_under_contention(shop: Shop) -> None:
    """Eight programs beside two cores: ten good releases pass, ten that take three times as long are found."""
    deploy(shop, "one")
    corrupted(shop, "slow", bundle_of(shop))
    with ExitStack() as busy:
        for _ in range(4 * (os.cpu_count() or 1)):
            process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            busy.callback(process.wait)
            busy.callback(process.kill)
        good = [deploy(shop, commit)["verdict"] for commit in ("two", "one") * 5]
        slow_ones = [shop.run("deploy", "--commit", "bad", "--again", "--json").stdout for _ in range(10)]
    assert good == ["passed"] * 10
    reasons = [violation["reason"] for report in slow_ones for violation in json.loads(report)["violations"]]
    assert reasons.count("too-slow") >= 9, reasons


@pytest.mark.parametrize(
    "step",
    by_day(
        ["fetch", "compare", "load", "send it", "switch the traffic", "watch", "record", "keep"],
        "switch the traffic", "record",
    ),
)  # fmt: skip
def test_a_deployment_killed_at_a_step_is_finished_by_the_next(step: str, shop: Shop) -> None:
    """Killed when it begins a step, then run again: the desired state, no candidate, no half version, one server.

    `test_deploy_server_target.py` ends a run at every call of a server in memory.
    """
    deploy(shop, "one")
    server = json.loads((shop.root / ".leverframe/servers/local/server.json").read_text())["pid"]
    process = shop.start("leverframe", "deploy", "--commit", "two")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(step):
            os.kill(process.pid, signal.SIGKILL)
            break
    else:
        pytest.fail(f"there was no step that begins with {step!r}")
    process.wait(PATIENCE)
    assert served(shop)["version"] in ("1", "2")
    report = deploy(shop, "two")
    assert report["verdict"] == "passed"
    place = shop.root / ".leverframe/servers/local"
    assert [path.name for path in (place / "models").iterdir() if not path.name.startswith(".")] == [MODEL]
    record = json.loads((place / "releases/shop.json").read_text())
    numbers = [release["number"] for release in record["releases"]]
    assert sorted(int(path.name) for path in (place / "models" / MODEL).iterdir()) == numbers
    assert {path.name for path in (place / "bundles").iterdir()} == {
        release["manifest"]["bundle"] for release in record["releases"]
    }
    at = served(shop)
    assert (at["version"], at["bundle"]) == (str(numbers[-1]), record["releases"][-1]["manifest"]["bundle"])
    assert json.loads((place / "server.json").read_text())["pid"] == server


def test_a_candidate_is_there_for_nobody_without_the_key(shop: Shop) -> None:
    """While it is loaded and tried, clients that ask for it by name are told that there is no such model."""
    deploy(shop, "one")
    state = json.loads(shop.run("serve", "--status", "--json", "--name", "local").stdout)
    body = json.dumps(state["example"]).encode()
    path = f"/v2/models/{MODEL}-candidate/infer"
    load = Traffic(state["running"]["port"], path, body, clients=4, pause=0.001)
    with load.running():
        assert deploy(shop, "two")["verdict"] == "passed"
    assert len(load.responses) > 100
    assert {response.status for response in load.responses} == {404}


def test_two_deployments_at_once_are_one_after_the_other(shop: Shop) -> None:
    """The second is told to wait, with a code that says that the same call may succeed later."""
    deploy(shop, "one")
    watched_for(shop, 15)
    first = shop.start("leverframe", "deploy", "--commit", "two")
    assert first.stderr is not None
    assert any(line.startswith("load") for line in first.stderr)
    second = shop.run("deploy", "--commit", "two")
    assert second.code == 31
    assert "another deployment" in second.error()[0]
    assert first.wait(PATIENCE) == 0


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
    wait_for(lambda: served(agent)["version"] == "2")
    watcher = psutil.Process(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130
    assert alive([watcher]) == []
    agent.run("serve", "--stop", "--name", "local")
