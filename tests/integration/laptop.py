"""A repository with the local environment of Terraform, and what tests ask of it: plan, apply, kill, destroy."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from leverframe.local.repository import TemporaryRepository
from leverframe.package import local_environment
from tests.integration.shop import Ended, family
from tests.warm import PATIENCE

SERVER = "module.serving.terraform_data.server"
_FREE = "{port: 0, grpc_port: 0, metrics_port: 0}"
INFRA = f"""
infra:
  environments:
    local: {{observe: local, variables: {_FREE}}}
    second: {{observe: local, root: terraform/environments/local, workspace: second, variables: {_FREE}}}
"""


def with_terraform(repository: TemporaryRepository) -> None:
    """Let a repository have what `leverframe init` writes where a local environment is declared."""
    for path, text in local_environment().items():
        repository.write(path, text)


def bare_laptop(folder: Path) -> Laptop:
    """Return a repository that has the local environment and no model."""
    repository = TemporaryRepository.create(folder, dvc=False)
    repository.write("leverframe.yaml", INFRA)
    repository.write(".gitignore", "/.leverframe/\n")
    with_terraform(repository)
    repository.commit("The local environment")
    return Laptop(repository)


@dataclass(frozen=True)
class Planned:
    """A plan: exit code, what happens to each resource by its address, and the digest of it."""

    code: int
    changes: dict[str, str]
    digest: str
    text: str


@dataclass(frozen=True)
class Laptop:
    """One environment of a repository."""

    repository: TemporaryRepository
    environment: str = "local"
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The repository."""
        return self.repository.root

    @property
    def folder(self) -> Path:
        """The folder of the server."""
        return self.root / ".leverframe/servers" / self.environment

    @property
    def recorded(self) -> dict[str, Any]:
        """What is recorded of the server's process."""
        content: dict[str, Any] = json.loads((self.folder / "server.json").read_bytes())
        return content

    def run(self, *arguments: str) -> Ended:
        """Run `leverframe`."""
        return self._run(["leverframe", *arguments], self.root)

    def plan(self) -> Planned:
        """Observe and plan."""
        self._ready()
        saved = self.root / ".leverframe/plan"
        ended = self._terraform("plan", "-detailed-exitcode", f"-out={saved}")
        document = json.loads(self._terraform("show", "-json", str(saved)).stdout)
        parts = {name: document.get(name) for name in ("resource_changes", "output_changes")}
        changes = {
            change["address"]: "/".join(change["change"]["actions"])
            for change in document.get("resource_changes", [])
            if change["change"]["actions"] not in (["no-op"], ["read"])
        }
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        return Planned(ended.code, changes, digest, ended.stdout)

    def apply(self) -> Ended:
        """Observe, plan and apply."""
        self._ready()
        return self._terraform("apply", "-auto-approve")

    def destroy(self) -> Ended:
        """Destroy all of it."""
        self._ready()
        return self._terraform("destroy", "-auto-approve")

    def killed_apply(self, when: Any) -> None:
        """Start an apply and kill it, with all that it started, as soon as ``when`` says so."""
        self._ready()
        process = subprocess.Popen(
            ["terraform", "apply", "-auto-approve"], cwd=self._module, env=self._environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while not when():
            assert process.poll() is None, "the apply ended before it was killed"
        for member in family(psutil.Process(process.pid)):
            if member.is_running():
                member.kill()
        process.wait(PATIENCE)

    def kill(self) -> None:
        """End the recorded process by force."""
        process = psutil.Process(self.recorded["pid"])
        os.kill(process.pid, signal.SIGKILL)
        process.wait(PATIENCE) if process.is_running() else None

    @property
    def _module(self) -> Path:
        return self.root / "terraform/environments/local"

    @property
    def _environment(self) -> dict[str, str]:
        data = self.root / ".leverframe/infra" / self.environment / "data"
        ports = {f"TF_VAR_{name}": "0" for name in ("port", "grpc_port", "metrics_port")}
        workspace = {"TF_WORKSPACE": self.environment} if self.environment != "local" else {}
        return {
            **self.repository.environment, **ports, **workspace, **self.variables,
            "TF_DATA_DIR": str(data), "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": os.devnull,
        }  # fmt: skip

    def _ready(self) -> None:
        observed = self.run("infra", "observe", "--environment", self.environment)
        assert observed.code == 0, observed.stderr
        initialised = self._terraform("init", "-input=false")
        assert initialised.code == 0, initialised.stderr

    def _terraform(self, *arguments: str) -> Ended:
        return self._run(["terraform", *arguments], self._module, no_color=arguments[0] != "show")

    def _run(self, command: list[str], folder: Path, *, no_color: bool = False) -> Ended:
        environment = self._environment | ({"TF_CLI_ARGS": "-no-color"} if no_color else {})
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Ended(done.returncode, done.stdout, done.stderr)
