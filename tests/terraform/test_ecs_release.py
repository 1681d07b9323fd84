"""`release.py` of the module aws_serving_ecs: against an ECS in memory, and a service that rolls back."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.server import ThreadedMotoServer

from leverframe.adapters.dvc.remotes import RemoteContents
from leverframe.commands.fetch import fetch
from leverframe.documents import validated
from leverframe.settings.levers import ServeSettings
from tests.terraform.scripts import script

release = script("aws_serving_ecs/release.py")
REMOTE = "s3://shop-data/dvc"
ASKED = ["--cluster", "shop", "--service", "shop", "--remote", REMOTE, "--region", "eu-central-1"]


class Rolling:
    """What the ECS in memory lacks: deployments that follow the service, and come to an end."""

    state = "COMPLETED"

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def describe_services(self, **asked: Any) -> dict[str, Any]:
        response: dict[str, Any] = self._client.describe_services(**asked)
        for service in response["services"]:
            service["deployments"] = [{"taskDefinition": service["taskDefinition"], "rolloutState": self.state}]
        return response


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "models/bundle").mkdir(parents=True)
    (folder / "leverframe.yaml").write_text("serve: {port: 9999, maximum_bytes: 1000000}\n", encoding="utf-8")
    bundled(folder, "rides", 1)
    git = ["git", "-C", str(folder), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for words in (["init", "--quiet"], ["add", "leverframe.yaml"], ["commit", "--quiet", "-m", "Begin"]):
        subprocess.run([*git, *words], check=True)
    return folder


def bundled(folder: Path, model: str, content: int) -> str:
    """Let a checkout have a bundle and return its digest."""
    manifest = json.dumps({"model": model, "content": content})
    (folder / "models/bundle/MANIFEST.json").write_text(manifest, encoding="utf-8")
    lock = f"stages:\n  bundle:\n    outs:\n    - {{path: models/bundle, md5: {content:032x}.dir}}\n"
    (folder / "dvc.lock").write_text(lock, encoding="utf-8")
    return hashlib.sha256(manifest.encode()).hexdigest()


@pytest.fixture
def ecs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A service as Terraform leaves it: no task, and a task definition without a release."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "of-nobody")
    with mock_aws():
        client = boto3.client("ecs", region_name="eu-central-1")
        client.create_cluster(clusterName="shop")
        terraformed(client, "leverframe@sha256:1")
        client.create_service(cluster="shop", serviceName="shop", taskDefinition="shop", desiredCount=0)
        make = boto3.client
        monkeypatch.setattr(boto3, "client", lambda *words, **more: Rolling(make(*words, **more)))
        yield client


def terraformed(client: Any, image: str) -> None:
    """Register the task definition that an apply registers."""
    containers = [
        {"name": "fetch", "image": image, "essential": False, "entryPoint": ["leverframe", "fetch"],
         "command": ["--remote", REMOTE, "--model", "rides", "--to", "/var/lib/leverframe"], "user": "10001:10001"},
        {"name": "server", "image": image, "dependsOn": [{"containerName": "fetch", "condition": "SUCCESS"}]},
    ]  # fmt: skip
    client.register_task_definition(
        family="shop", containerDefinitions=containers, requiresCompatibilities=["FARGATE"], networkMode="awsvpc",
        cpu="1024", memory="2048", volumes=[{"name": "release"}], taskRoleArn="arn:aws:iam::111122223333:role/task",
    )  # fmt: skip


def serving(client: Any) -> tuple[dict[str, Any], int]:
    """Return the task definition that the service runs, and how many tasks it wants."""
    state = client.describe_services(cluster="shop", services=["shop"])["services"][0]
    return client.describe_task_definition(taskDefinition=state["taskDefinition"])["taskDefinition"], state[
        "desiredCount"
    ]


def test_a_first_release_starts_tasks_that_fetch_it(ecs: Any, checkout: Path) -> None:
    bundle = bundled(checkout, "rides", 7)
    assert release.main([*ASKED, "--folder", str(checkout), "--tasks", "3"]) == 0
    definition, tasks = serving(ecs)
    fetched, server = definition["containerDefinitions"]
    options = fetch.make_context("fetch", list(fetched["command"])).params
    commit = subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert (options["remote"], options["bundle"], options["model"], options["release"]) == (REMOTE, bundle, "rides", 1)
    assert options["md5"] == f"{7:032x}.dir"
    assert options["commit"] == commit.stdout.strip()
    settings = validated(ServeSettings, json.loads(options["serve"]), name="--serve")
    assert (settings.host, settings.port, settings.maximum_bytes) == ("0.0.0.0", 8080, 1_000_000)  # noqa: S104 - of the task
    assert server["dependsOn"] == [{"containerName": "fetch", "condition": "SUCCESS"}]
    assert (definition["family"], definition["cpu"], definition["taskRoleArn"]) == (
        "shop-release", "1024", "arn:aws:iam::111122223333:role/task",
    )  # fmt: skip
    assert tasks == 3


def test_the_same_bundle_is_no_other_release(ecs: Any, checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main([*ASKED, "--folder", str(checkout)]) == 0
    words = ["git", "-C", str(checkout), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run([*words, "commit", "--quiet", "--allow-empty", "-m", "Go on"], check=True)
    before = serving(ecs)
    assert release.main([*ASKED, "--folder", str(checkout)]) == 0
    assert serving(ecs) == before
    assert "serves already, as release 1" in capsys.readouterr().out


@pytest.mark.parametrize("changed", ["bundle", "image", "settings"])
def test_a_change_is_the_next_release(ecs: Any, checkout: Path, changed: str) -> None:
    """Also one of Terraform: the autoscaler's number of tasks stays, whatever `--tasks` says."""
    assert release.main([*ASKED, "--folder", str(checkout)]) == 0
    ecs.update_service(cluster="shop", service="shop", desiredCount=1)
    if changed == "bundle":
        bundled(checkout, "rides", 2)
    elif changed == "image":
        terraformed(ecs, "leverframe@sha256:2")
    else:
        (checkout / "leverframe.yaml").write_text("serve: {maximum_bytes: 2000000}\n", encoding="utf-8")
    assert release.main([*ASKED, "--folder", str(checkout)]) == 0
    definition, tasks = serving(ecs)
    fetched = definition["containerDefinitions"][0]
    assert fetched["command"][fetched["command"].index("--release") + 1] == "2"
    assert fetched["image"] == ("leverframe@sha256:2" if changed == "image" else "leverframe@sha256:1")
    assert tasks == 1


def test_a_request_log_is_written_where_it_is_mounted(checkout: Path) -> None:
    wanted = release.release_of(checkout, REMOTE)
    template = {"family": "shop", "volumes": [{"name": "log"}], "containerDefinitions": [{"name": "fetch"}]}
    command = release.definition(template, wanted, 1)["containerDefinitions"][0]["command"]
    assert fetch.make_context("fetch", list(command)).params["log"] == Path("/var/log/leverframe/rides")


def test_a_dry_run_changes_nothing(ecs: Any, checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main([*ASKED, "--folder", str(checkout), "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["family"] == "shop-release"
    assert serving(ecs)[0]["family"] == "shop"


class Breaker:
    """A service whose circuit breaker works: the deployment fails, or is gone by the time that somebody looks."""

    def __init__(self, deployments: list[dict[str, Any]]) -> None:
        self.deployments = deployments

    def describe_services(self, **_: Any) -> dict[str, Any]:
        events = [{"message": "task 1 failed: fetch exited with 41"}]
        return {"services": [{"deployments": self.deployments, "events": events}]}


@pytest.mark.parametrize(
    ("deployments", "why"),
    [
        ([{"taskDefinition": "old"}], "circuit breaker has rolled it back"),
        ([{"taskDefinition": "new", "rolloutState": "FAILED"}], "fetch exited with 41"),
        ([{"taskDefinition": "new", "rolloutState": "IN_PROGRESS", "desiredCount": 2}], "0 of 2 tasks run"),
        ([{"taskDefinition": "new", "rolloutState": "COMPLETED"}], ""),
    ],
)
def test_how_a_rollout_ended_is_told(deployments: list[dict[str, Any]], why: str) -> None:
    ended = release.rolled_out(Breaker(deployments), "shop", "shop", "new", 0.02)
    assert why in ended
    assert bool(ended) == bool(why)


def test_a_rollback_ends_with_30(ecs: Any, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a release that another came before: that one serves on, with as many tasks as the autoscaler wants."""
    assert release.main([*ASKED, "--folder", str(checkout)]) == 0
    bundled(checkout, "rides", 2)
    monkeypatch.setattr(Rolling, "state", "FAILED")
    assert release.main([*ASKED, "--folder", str(checkout)]) == 30
    assert serving(ecs)[1] == 2


def test_a_first_release_that_fails_leaves_no_task(
    ecs: Any, checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """ECS returns to Terraform's revision, which has no release: its tasks would be started again and again."""
    monkeypatch.setattr(Rolling, "state", "FAILED")
    assert release.main([*ASKED, "--folder", str(checkout)]) == 30
    assert serving(ecs)[1] == 0
    assert "back at none" in capsys.readouterr().out
    monkeypatch.setattr(Rolling, "state", "COMPLETED")  # the next try, of the same bundle
    assert release.main([*ASKED, "--folder", str(checkout)]) == 0
    assert serving(ecs)[1] == 2


@pytest.mark.parametrize("missing", ["models/bundle/MANIFEST.json", "dvc.lock", "leverframe.yaml"])
def test_what_is_missing_is_named(checkout: Path, missing: str, ecs: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / missing).unlink()
    assert release.main([*ASKED, "--folder", str(checkout)]) == 2
    assert missing in capsys.readouterr().err
    assert serving(ecs)[0]["family"] == "shop"


@pytest.mark.usefixtures("ecs")
def test_a_service_that_is_not_there_is_named(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main([*ASKED, "--folder", str(checkout), "--service", "other"]) == 2
    assert "no service `other`" in capsys.readouterr().err


def test_a_task_reads_the_remote_in_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `leverframe fetch` reads with in a task, by S3's own protocol; what is missing is known."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "of-nobody",
            "AWS_SECRET_ACCESS_KEY": "of-nobody", "AWS_DEFAULT_REGION": "us-east-1",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        client = boto3.client("s3")
        client.create_bucket(Bucket="shop-data")
        client.put_object(Bucket="shop-data", Key=f"dvc/files/md5/0a/{'b' * 30}.dir", Body=b"[]")
        contents = RemoteContents(REMOTE)
        assert contents.read(f"0a{'b' * 30}.dir") == b"[]"
        assert contents.read("1" * 32) is None
    finally:
        server.stop()
