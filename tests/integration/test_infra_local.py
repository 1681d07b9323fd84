"""The local environment with real processes: planned, applied, killed, healed, destroyed, beside other servers."""

from __future__ import annotations

import json
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from leverframe.adapters.process import Processes
from tests.integration.laptop import FREE, INFRA, SERVER, Laptop, bare_laptop, with_terraform
from tests.integration.served import deploy, served, two_models
from tests.integration.shop import Shop, built_once, copied, wait_for

OBSERVED = "terraform_data.observed"
ENDING = "module.serving.terraform_data.ending"
FOLDERS = {f'module.store.terraform_data.folder["{name}"]' for name in ("dvc_remote", "model_repository")}


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Laptop]:
    """Return a repository without a model, whose server ends with the test."""
    laptop = bare_laptop(tmp_path)
    yield laptop
    laptop.shop.run("serve", "--stop", "--name", "local")


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Return a shop with two models and the local environment, whose servers end with the test."""
    shop = copied(built_once(tmp_path_factory, "two-models", two_models)[0], tmp_path)
    with_terraform(shop.repository)
    shop.repository.write("leverframe.yaml", shop.repository.read("leverframe.yaml") + INFRA)
    shop.repository.commit("The local environment")
    yield shop
    for name in ("local", "second", "unrelated"):
        shop.run("serve", "--stop", "--name", name)


def free(port: int) -> bool:
    """Tell whether nobody listens at a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def ports(recorded: dict[str, Any]) -> list[int]:
    """Return where a server listens."""
    return [recorded[name] for name in ("port", "grpc_port", "metrics_port")]


def servers_of(laptop: Laptop) -> list[psutil.Process]:
    """Return every living server whose configuration lies in this repository, whoever knows of it."""
    config = str(laptop.root.resolve())
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE
        and any(config in word for word in process.info["cmdline"] or [])
        and "leverframe.serving.server" in process.info["cmdline"]
    ]


@pytest.mark.deep
def test_an_environment_lives_beside_others(shop: Shop) -> None:
    """Applied, it serves what is deployed; killed, it is replaced and serves again; destroyed, it leaves no process."""
    local, second = (Laptop(shop, name) for name in ("local", "second"))
    assert shop.run("serve", "--bare", "--name", "unrelated", *_free()).code == 0
    unrelated = json.loads((shop.root / ".leverframe/servers/unrelated/server.json").read_bytes())

    first = local.plan()
    assert set(first.changes) == {SERVER, ENDING, OBSERVED, *FOLDERS}
    assert set(first.changes.values()) == {"create"}
    applied = local.apply()
    assert applied.code == 0, applied.stdout + applied.stderr
    state = json.loads(shop.run("serve", "--status", "--name", "local", "--json").stdout)
    assert state["models"] == {}
    assert deploy(shop, "one")["verdict"] == "passed"
    bundle = served(shop)["bundle"]
    assert local.recorded["mark"].endswith("@1")  # the deployment found the server running

    once, again = local.plan(), local.plan()
    assert (once.changes, once.failed) == ({}, ())
    assert once.digest == again.digest

    assert second.apply().code == 0
    assert not set(ports(second.recorded)) & {*ports(local.recorded), *ports(unrelated)}

    local.kill()
    dead = local.plan()
    assert dead.changes == {SERVER: "replace", OBSERVED: "replace"}
    assert dead.digest == local.plan().digest
    assert local.apply().code == 0
    assert served(shop)["bundle"] == bundle
    assert local.plan().changes == {}

    shop.repository.write(
        "leverframe.yaml", shop.repository.read("leverframe.yaml") + "serve: {maximum_bytes: 50000}\n"
    )
    assert local.plan().changes == {SERVER: "replace", OBSERVED: "replace"}
    _killed_and_deployed(shop, local)
    before = local.recorded
    ended = local.destroy()
    assert ended.code == 0, ended.stdout + ended.stderr
    assert not Processes().alive(before["pid"], before["start_time"])
    assert all(map(free, ports(before)))
    assert not (local.folder / "server.json").exists()
    assert ".leverframe/servers/local stays: it is not empty" in ended.stderr
    assert (local.folder / "releases/shop.json").exists()
    assert not (shop.root / ".leverframe/storage").exists()  # it held nothing
    assert (shop.root / ".leverframe/storage-second").exists()  # that of another environment
    assert {process.pid for process in servers_of(local)} == {second.recorded["pid"], unrelated["pid"]}
    assert second.destroy().code == 0
    assert {process.pid for process in servers_of(local)} == {unrelated["pid"]}
    assert Processes().alive(unrelated["pid"], unrelated["start_time"])
    assert not free(unrelated["port"])


def _killed_and_deployed(shop: Shop, local: Laptop) -> None:
    """A deployment needs a server: it starts where Terraform's was, and the next plan replaces it."""
    listened = ports(local.recorded)
    local.kill()
    started = shop.run("deploy", "--commit", "one")
    assert started.code == 0, started.stderr
    assert f"started it at http://127.0.0.1:{listened[0]}" in started.stderr
    assert "nothing to deploy" in started.stdout
    assert ports(local.recorded) == listened
    assert local.plan().changes == {SERVER: "replace", OBSERVED: "replace"}


def _free() -> list[str]:
    return [word for name in ("--port", "--grpc-port", "--metrics-port") for word in (name, "0")]


@pytest.mark.deep
def test_a_broken_model_fails_the_apply_and_leaves_no_process(laptop: Laptop) -> None:
    """A release whose bundle is gone was deployed: the server that cannot serve it is ended again."""
    release = laptop.folder / "models/shop/1/model-settings.json"
    release.parent.mkdir(parents=True)
    parameters = {"uri": "../../../bundles/gone", "version": "1", "extra": {"sha256": "0" * 64}}
    implementation = "leverframe.serving.runtime.BundleModel"
    release.write_text(json.dumps({"name": "shop", "implementation": implementation, "parameters": parameters}))
    (laptop.folder / "releases").mkdir()
    (laptop.folder / "releases/shop.json").write_text("{}")
    ended = laptop.apply()
    assert ended.code != 0
    assert "cannot serve `shop`" in ended.stdout + ended.stderr
    assert servers_of(laptop) == []
    assert not (laptop.folder / "server.json").exists()
    (laptop.folder / "releases/shop.json").unlink()  # it is no longer deployed
    assert laptop.apply().code == 0
    assert laptop.plan().changes == {}
    assert laptop.destroy().code == 0
    assert servers_of(laptop) == []


def test_a_port_that_is_taken_is_named(laptop: Laptop) -> None:
    """Another program listens there: it is left alone, and nothing starts."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        laptop.shop.repository.write("leverframe.yaml", INFRA.replace("{port: 0", f"{{port: {port}", 1))
        ended = laptop.apply()
        assert ended.code != 0
        assert f"port {port} of 127.0.0.1 cannot be used" in ended.stdout + ended.stderr
        assert servers_of(laptop) == []
        assert laptop.destroy().code == 0
        with socket.create_connection(("127.0.0.1", port)):
            pass


@pytest.mark.deep
def test_an_apply_that_was_killed_is_healed_by_the_next(laptop: Laptop) -> None:
    """Killed with all it started at three points of the first start; what nobody recorded ends by itself."""
    config, record = laptop.folder / "config.json", laptop.folder / "server.json"
    laptop.killed_apply(config.exists)  # the process is about to start
    wait_for(lambda: record.exists() or not servers_of(laptop))
    assert len(servers_of(laptop)) <= 1
    laptop.shop.run("serve", "--stop", "--name", "local")
    config.unlink()
    laptop.killed_apply(record.exists)  # it starts
    laptop.kill()
    laptop.killed_apply(lambda: _answers(laptop))  # it answers, and Terraform does not know yet
    assert laptop.apply().code == 0
    assert [process.pid for process in servers_of(laptop)] == [laptop.recorded["pid"]]
    assert laptop.plan().changes == {}
    listened = ports(laptop.recorded)
    shutil.rmtree(laptop.folder.parent)  # as `git clean -fdx` does: nothing names the server any longer
    declared = dict(zip(("port", "grpc_port", "metrics_port"), listened, strict=True))
    laptop.shop.repository.write("leverframe.yaml", INFRA.replace(FREE, json.dumps(declared), 1))
    assert laptop.apply().code == 0  # it ended by itself, and gave its ports back
    assert ports(laptop.recorded) == listened
    assert [process.pid for process in servers_of(laptop)] == [laptop.recorded["pid"]]
    laptop.kill()
    assert laptop.destroy().code == 0
    assert servers_of(laptop) == []
    assert not record.exists()  # of a process that was gone before


def test_two_checkouts_make_one_plan_and_a_folder_of_others_is_left_alone(tmp_path: Path) -> None:
    """Paths of a machine are in neither plan nor digest; a folder outside that holds data keeps its permissions."""
    here, there = (bare_laptop(tmp_path / name) for name in ("here", "there"))
    assert here.plan().digest == there.plan().digest
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    (shared / "data").write_text("")
    here.shop.repository.write("leverframe.yaml", INFRA.replace("{port: 0", f"{{dvc_remote: {shared}, port: 0", 1))
    ended = here.apply()
    assert ended.code != 0
    assert f"{shared} is there already, with data that are not of this environment" in ended.stdout + ended.stderr
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755
    assert list(shared.iterdir()) == [shared / "data"]
    assert servers_of(here) == []
    assert here.destroy().code == 0
    assert list(shared.iterdir()) == [shared / "data"]


def test_a_server_that_nobody_recorded_ends_by_itself(tmp_path: Path) -> None:
    """Who started it was killed before its number was written down: nobody would ever stop it."""
    config = {
        "models": str(tmp_path),
        "host": "127.0.0.1",
        "port": 0,
        "grpc_port": 0,
        "metrics_port": 0,
        "key_file": "",
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "server.json").write_text(json.dumps({"pid": 1}))  # of another process
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    arguments = [str(tmp_path / "config.json"), str(tmp_path / "server.json"), str(gone.pid)]
    ended = subprocess.run(
        [sys.executable, "-m", "leverframe.serving.server", *arguments], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "before it was recorded" in ended.stderr


def _answers(laptop: Laptop) -> bool:
    try:
        port = laptop.recorded["port"]
    except (OSError, ValueError):
        return False
    return not free(port)
