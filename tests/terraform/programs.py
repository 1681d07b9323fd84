"""How the tests of ``terraform/`` start Terraform: without a registry, an account or a file beside a module."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROGRAMS = [name for name in ("terraform", "tofu") if shutil.which(name)]
# Modules and root modules with providers that are not Terraform's own.
MODULES = sorted(
    path.parent
    for path in (ROOT / "terraform").glob("*/*/versions.tf")
    if "required_providers" in path.read_text(encoding="utf-8")
)


@dataclass(frozen=True)
class Stubs:
    """Providers that a process of the tests serves: how commands reach them, and where they keep what they write."""

    reattach: str
    data: Path

    def run(self, program: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one command in a folder; nothing is written into it."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))} | {
            "CHECKPOINT_DISABLE": "1",
            "GOGC": "400",  # it ends within a second, and half of its time went into collecting garbage
            "TF_CLI_CONFIG_FILE": os.devnull,
            "TF_DATA_DIR": str(self.data / folder.name),
            "TF_IN_AUTOMATION": "1",
            "TF_REATTACH_PROVIDERS": self.reattach,
        }
        return subprocess.run(
            [program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    def initialise(self, program: str, folder: Path) -> None:
        """Let a folder know the modules that it calls."""
        if "module " in "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.tf")):
            initialised = self.run(program, folder, "init", "-backend=false", "-input=false", "-no-color")
            assert initialised.returncode == 0, initialised.stderr

    def validate(self, program: str, folder: Path) -> list[str]:
        """What ``validate`` finds wrong, one line an error."""
        self.initialise(program, folder)
        diagnostics: dict[str, Any] = json.loads(self.run(program, folder, "validate", "-json").stdout)
        return [f"{error['summary']}: {error['detail']}" for error in diagnostics["diagnostics"]]

    def test(self, program: str, folder: Path, *arguments: str) -> tuple[bool, str]:
        """Whether every run of the module's own tests passes, and what ``test`` printed."""
        self.initialise(program, folder)
        tested = self.run(program, folder, "test", "-no-color", *arguments)
        return tested.returncode == 0, tested.stdout + tested.stderr

    def planned(self, program: str, folder: Path, tests: str, run: str = "") -> dict[str, dict[str, Any]]:
        """What a run of a file of tests plans, the first by itself: the values of each resource by its address.

        A run that applies has values that no plan knows.
        """
        self.initialise(program, folder)
        tested = self.run(program, folder, "test", "-json", "-verbose", f"-filter=tests/{tests}.tftest.hcl")
        events = [json.loads(line) for line in tested.stdout.splitlines()]
        if run:
            state = next(event["test_state"] for event in events if "test_state" in event and event["@testrun"] == run)
            return dict(resources(state["root_module"]))
        plan = next(event["test_plan"] for event in events if "test_plan" in event)
        return {change["address"]: change["change"]["after"] for change in plan["resource_changes"]}


def resources(module: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The values of what a module of a state manages, and of what its modules do, by address."""
    for resource in module.get("resources", []):
        if resource["mode"] == "managed":
            yield resource["address"], resource["values"]
    for child in module.get("child_modules", []):
        yield from resources(child)


@contextmanager
def stubs(data: Path) -> Iterator[Stubs]:
    """Serve the stub providers as long as the context lasts: they end when their stdin closes."""
    command = [sys.executable, "-m", "tests.terraform.stubs.plugin"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as served:
        assert served.stdout is not None
        yield Stubs(served.stdout.readline().strip(), data)
        served.communicate()
