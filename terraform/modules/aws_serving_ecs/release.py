"""Roll the bundle of the checked-out commit out to the ECS service of this module.

`python release.py --cluster shop --service shop --remote s3://bucket/dvc`, in a checkout with `dvc pull models/bundle`.

It registers the task definition of the service anew, with other arguments of the container `fetch` and nothing else,
and waits for the rollout. A task is ready once its model has predicted its golden rows; if tasks do not get ready,
the circuit breaker of the service returns to the revision before, and this ends with 30. It needs boto3 (the extra
`s3` brings it), ruamel.yaml (DVC brings it), and a role that may do what the guide lists.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from ruamel.yaml import YAML

FOLDER = "/var/lib/leverframe"
REFUSED = 30  # as `leverframe deploy` ends where a release did not pass
PORTS = {"host": "0.0.0.0", "port": 8080, "grpc_port": 8081, "metrics_port": 8082}  # noqa: S104 - of the task
DIGEST = "dev.leverframe.definition"
COPIED = ("taskRoleArn", "executionRoleArn", "networkMode", "volumes", "requiresCompatibilities", "cpu", "memory",
          "runtimePlatform", "ephemeralStorage")  # fmt: skip


@dataclass(frozen=True)
class Release:
    """What a task fetches: ``md5`` names the folder in the remote, ``bundle`` is the SHA-256 of its manifest."""

    remote: str
    model: str
    md5: str
    bundle: str
    commit: str
    serve: str

    def arguments(self, number: int, log: bool) -> list[str]:
        """Return what `leverframe fetch` is called with in a task."""
        words = {"remote": self.remote, "md5": self.md5, "bundle": self.bundle, "model": self.model,
                 "release": str(number), "commit": self.commit, "to": FOLDER, "serve": self.serve}  # fmt: skip
        listed = [part for option, value in words.items() for part in (f"--{option}", value)]
        return [*listed, "--log", f"/var/log/leverframe/{self.model}"] if log else listed


def release_of(folder: Path, remote: str) -> Release:
    """Return the release of a checkout; raises ``OSError`` or ``ValueError`` where it has no bundle."""
    manifest = (folder / "models/bundle/MANIFEST.json").read_bytes()
    lock = YAML(typ="safe").load((folder / "dvc.lock").read_text(encoding="utf-8")) or {}
    outputs = [output for stage in lock.get("stages", {}).values() for output in stage.get("outs", [])]
    md5 = next((str(output["md5"]) for output in outputs if output["path"] == "models/bundle"), None)
    if md5 is None:
        raise ValueError("dvc.lock names no models/bundle; `dvc repro`, commit dvc.lock, `dvc push`")
    settings = YAML(typ="safe").load((folder / "leverframe.yaml").read_text(encoding="utf-8")) or {}
    words = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    commit = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    serve = json.dumps({**(settings.get("serve") or {}), **PORTS}, sort_keys=True, separators=(",", ":"))
    model = str(json.loads(manifest)["model"])
    return Release(remote, model, md5, hashlib.sha256(manifest).hexdigest(), commit, serve)


def value_of(words: list[str], option: str) -> str | None:
    """Return the value after an option in the command of a container; None where it is not there."""
    return words[words.index(option) + 1] if option in words[:-1] else None


def definition(template: dict[str, Any], release: Release, number: int) -> dict[str, Any]:
    """Return the task definition of a release: that of Terraform, with the arguments of `fetch` and a digest."""
    log = any(volume["name"] == "log" for volume in template.get("volumes", []))
    kept = {name: template[name] for name in COPIED if template.get(name)}
    containers = template["containerDefinitions"]
    same = replace(release, commit="").arguments(0, log)  # another commit with the same bundle is no other release
    digest = hashlib.sha256(json.dumps([kept, containers, same], sort_keys=True, default=str).encode()).hexdigest()
    fetch = {"command": release.arguments(number, log), "dockerLabels": {DIGEST: digest}}
    return {
        **kept,
        "family": f"{template['family']}-release",
        "containerDefinitions": [{**known, **fetch} if known["name"] == "fetch" else known for known in containers],
    }


def fetch_of(known: dict[str, Any]) -> dict[str, Any]:
    """Return the container `fetch` of a task definition; raises ``ValueError`` where there is none."""
    container = next((part for part in known["containerDefinitions"] if part["name"] == "fetch"), None)
    if container is None:
        raise ValueError(f"task definition `{known['family']}` has no container `fetch`; this module did not make it")
    return dict(container)


def rolled_out(client: Any, cluster: str, service: str, revision: str, seconds: float) -> str:
    """Wait for the deployment of a revision; return an empty text, or why it did not come to its end."""
    end = time.monotonic() + seconds
    while True:
        state = client.describe_services(cluster=cluster, services=[service])["services"][0]
        own = next((entry for entry in state["deployments"] if entry["taskDefinition"] == revision), None)
        if own is None:
            return "the service has gone on to another revision: the circuit breaker has rolled it back"
        if own.get("rolloutState") == "COMPLETED":
            return ""
        if own.get("rolloutState") == "FAILED":
            events = " / ".join(str(event["message"]) for event in state.get("events", [])[:3])
            return f"{own.get('rolloutStateReason', 'tasks did not get ready')}. {events}"
        if time.monotonic() > end:
            running, desired = own.get("runningCount", 0), own.get("desiredCount", 0)
            return f"it is not over after {seconds:.0f} s: {running} of {desired} tasks run"
        time.sleep(min(10.0, max(seconds / 10, 0.01)))


def deploy(client: Any, asked: argparse.Namespace, release: Release) -> int:
    """Roll a release out, unless it serves already; return 0, or 30 where it was rolled back."""
    services = client.describe_services(cluster=asked.cluster, services=[asked.service])["services"]
    if not services:
        raise ValueError(f"cluster `{asked.cluster}` has no service `{asked.service}`; apply the module first")
    described = [client.describe_task_definition(taskDefinition=name)["taskDefinition"]
                 for name in (services[0]["taskDefinition"], asked.service)]  # fmt: skip
    serving, template = fetch_of(described[0]), described[1]
    fetch_of(template)
    number = int(value_of(serving.get("command", []), "--release") or 0)
    wanted = definition(template, release, number + 1)
    running = services[0]["desiredCount"]
    if running and serving.get("dockerLabels", {}).get(DIGEST) == fetch_of(wanted)["dockerLabels"][DIGEST]:
        print(f"bundle {release.bundle[:12]} of {release.model} serves already, as release {number}")
        return 0
    if asked.dry_run:
        print(json.dumps(wanted, indent=2, sort_keys=True))
        return 0
    made = client.register_task_definition(**wanted)["taskDefinition"]["taskDefinitionArn"]
    service = {"cluster": asked.cluster, "service": asked.service}
    first = {} if running else {"desiredCount": asked.tasks}  # of others the autoscaler decides
    client.update_service(**service, **first, taskDefinition=made)
    print(f"rolling release {number + 1} out: bundle {release.bundle[:12]} of commit {release.commit[:12]}", flush=True)
    why = rolled_out(client, asked.cluster, asked.service, made, asked.timeout)
    print(f"release {number + 1} was not rolled out: {why}" if why else "every task serves it")
    if why and first:  # the revision before is Terraform's, whose tasks can never start: ECS would try for ever
        client.update_service(**service, desiredCount=0)
        print("no task ran before, so the service is back at none")
    return REFUSED if why else 0


def main(arguments: list[str] | None = None) -> int:
    """Roll the bundle of a checkout out; return 0, 30 where it was rolled back, 2 where something is missing."""
    parser = argparse.ArgumentParser(description="Roll the bundle of the checked-out commit out to an ECS service.")
    parser.add_argument("--cluster", required=True, help="output `cluster_name` of the module")
    parser.add_argument("--service", required=True, help="output `service_name` of the module")
    parser.add_argument("--remote", required=True, help="DVC remote that tasks read, as s3://bucket/dvc")
    parser.add_argument("--region", help="of the service; by default that of the environment")
    parser.add_argument(
        "--tasks",
        type=int,
        default=2,
        help="tasks where the service has none, as before its first release; otherwise the autoscaler decides",
    )
    parser.add_argument("--timeout", type=float, default=1200, help="seconds that a rollout may take")
    parser.add_argument("--folder", type=Path, default=Path(), help="the checkout")
    parser.add_argument("--dry-run", action="store_true", help="print the task definition and change nothing")
    asked = parser.parse_args(arguments)
    try:
        release = release_of(asked.folder, asked.remote)
        return deploy(boto3.client("ecs", region_name=asked.region), asked, release)
    except (OSError, ValueError, KeyError, subprocess.SubprocessError, BotoCoreError, ClientError) as error:
        print(f"nothing was rolled out: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
