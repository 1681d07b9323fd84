"""A repository whose infrastructure is of Terraform's own resources, and the command line run in this process."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from leverframe.documents import parsed
from leverframe.domain.infrastructure.infra_apply_result import InfraApplied
from leverframe.domain.infrastructure.infra_plan_result import InfraPlanned
from leverframe.local.repository import TemporaryRepository
from tests.in_process import InProcess, Ran

ROOT = "terraform/environments/local"
MODULE = """\
variable "size" { type = string }

variable "secret" {
  type      = string
  default   = "none"
  sensitive = true
}

resource "terraform_data" "store" {
  input = var.size
}

resource "terraform_data" "server" {
  input            = "server"
  triggers_replace = var.size
}

check "size" {
  assert {
    condition     = var.size != "7"
    error_message = "seven is no size"
  }
}

output "size" {
  value = var.size
}
"""
SETTINGS = "infra: {environments: {local: {variables: {size: '1'}, lock_timeout_seconds: 0}}}\n"


@dataclass
class InfraRepository:
    """The repository, and what commands in it ask of the process."""

    repository: TemporaryRepository
    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]
    environment: dict[str, str] = field(default_factory=dict)
    below: str = "."

    @classmethod
    def create(
        cls, folder: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str], settings: str = SETTINGS
    ) -> InfraRepository:
        """Return a repository with one environment and one commit."""
        made = cls(TemporaryRepository.create(folder, dvc=False), patch, capture)
        for name in ("GITHUB_TOKEN", "GITHUB_REPOSITORY", "GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH", "GITHUB_ACTIONS"):
            patch.delenv(name, raising=False)
        for name, value in made.repository.environment.items():
            patch.setenv(name, value)
        made.repository.write(f"{ROOT}/main.tf", MODULE)
        made.repository.write(".gitignore", "*.tfstate*\n.leverframe\n")
        made.change(settings)
        return made

    def change(self, settings: str, message: str = "Change the settings") -> str:
        """Commit other settings."""
        self.repository.write("leverframe.yaml", settings)
        return self.repository.commit(message)

    def run(self, *arguments: str, **environment: str) -> Ran:
        """Run a command in this process."""
        run = InProcess(self.patch, self.capture)
        return run(self.repository.root / self.below, self.environment | environment, *arguments)

    def done(self, *arguments: str, **environment: str) -> Ran:
        """Run a command that succeeds."""
        ran = self.run(*arguments, **environment)
        assert ran.code == 0, ran.out + ran.err
        return ran

    @property
    def folder(self) -> Path:
        """What is kept of the environment."""
        return self.repository.root / ".leverframe/infra/local"

    def planned(self) -> InfraPlanned:
        """Return what the last plan left."""
        return parsed(InfraPlanned, (self.folder / "plan.json").read_bytes())

    def applied(self) -> InfraApplied:
        """Return what the last apply left."""
        return parsed(InfraApplied, (self.folder / "applied.json").read_bytes())

    def resources(self) -> dict[str, Any]:
        """Return the input of each resource in the state."""
        state = self.repository.root / ROOT / "terraform.tfstate"
        content = json.loads(state.read_text(encoding="utf-8")) if state.is_file() else {"resources": []}
        return {
            f"{resource['type']}.{resource['name']}": resource["instances"][0]["attributes"]["input"]["value"]
            for resource in content["resources"]
        }
