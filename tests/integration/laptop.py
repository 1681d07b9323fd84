"""A repository with the local environment of Terraform, and what tests ask of it: plan, apply, kill, destroy."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from leverframe.local.repository import TemporaryRepository
from leverframe.package import local_environment
from tests.integration.shop import Ended, Shop, alive, family, wait_for
from tests.warm import WarmRepository

SERVER = "module.serving.terraform_data.server"
FREE = "{port: 0, grpc_port: 0, metrics_port: 0}"
INFRA = f"""
infra:
  environments:
    local: {{observe: local, variables: {FREE}}}
    second: {{observe: local, root: terraform/environments/local, workspace: second, variables: {FREE}}}
"""


def with_terraform(repository: TemporaryRepository) -> None:
    """Let a repository have what `leverframe init` writes where a local environment is declared."""
    for path, text in local_environment().items():
        repository.write(path, text)


def bare_laptop(folder: Path) -> Laptop:
    """Return a repository that has the local environment and no model."""
    repository = WarmRepository(folder / "repository", folder / "home")
    repository.create(folder, dvc=False)
    repository.write("leverframe.yaml", INFRA)
    repository.write(".gitignore", "/.leverframe/\n")
    with_terraform(repository)
    repository.commit("The local environment")
    return Laptop(Shop(repository))


@dataclass(frozen=True)
class Planned:
    """A plan: what happens to each resource by its address, its digest, what is against it, and its checks."""

    changes: Mapping[str, str]
    digest: str
    violations: tuple[str, ...]
    failed: tuple[str, ...]


@dataclass(frozen=True)
class Laptop:
    """One environment of a repository."""

    shop: Shop
    environment: str = "local"

    @property
    def root(self) -> Path:
        """The repository."""
        return self.shop.root

    @property
    def folder(self) -> Path:
        """The folder of the server."""
        return self.root / ".leverframe/servers" / self.environment

    @property
    def recorded(self) -> dict[str, Any]:
        """What is recorded of the server's process."""
        content: dict[str, Any] = json.loads((self.folder / "server.json").read_bytes())
        return content

    def plan(self, *options: str) -> Planned:
        """Plan; nothing is changed."""
        ended = self.shop.run("infra-plan", "--environment", self.environment, "--json", *options)
        result = json.loads(ended.stdout)
        plan = result["plan"]
        changes = {change["address"]: change["kind"] for change in plan["changes"] if change["kind"] != "read"}
        failed = [check["address"] for check in plan["checks"] if check["status"] in ("fail", "error")]
        reasons = [violation["reason"] for violation in result["violations"]]
        return Planned(changes, plan["digest"], tuple(reasons), tuple(failed))

    def apply(self) -> Ended:
        """Plan, and apply that plan."""
        self.plan()
        return self.shop.run("infra-apply", "--environment", self.environment)

    def destroy(self) -> Ended:
        """Plan to destroy all of it, and do that."""
        digest = self.plan("--destroy").digest
        return self.shop.run("infra", "destroy", "--environment", self.environment, "--reviewed", digest)

    def killed_apply(self, when: Callable[[], bool]) -> None:
        """Start an apply and kill it, with all that it started, as soon as ``when`` says so."""
        self.plan()
        process = self.shop.start("leverframe", "infra-apply", "--environment", self.environment)
        while not when():
            assert process.poll() is None, process.communicate()
            time.sleep(0.001)
        members = family(psutil.Process(process.pid))
        for member in members:
            if member.is_running():
                member.kill()
        process.communicate()
        wait_for(lambda: not alive(members))

    def kill(self) -> None:
        """End the recorded process by force."""
        process = psutil.Process(self.recorded["pid"])
        os.kill(process.pid, signal.SIGKILL)
        wait_for(lambda: not alive([process]))
