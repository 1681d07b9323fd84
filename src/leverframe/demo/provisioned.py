"""The environment of the demo that Terraform owns: applied first, healed after a kill, destroyed at the end."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from typing import Any

from leverframe.demo.scene import Scene
from leverframe.errors import InstallationError, PipelineError
from leverframe.local.repository import TemporaryRepository
from leverframe.local.traffic import Traffic

_PERSON = {"GITHUB_TOKEN": ""}  # of the demo, at the terminal: nothing of it goes to the forge
_SERVER = "module.serving.terraform_data.server"
_REQUESTS = 20
_PATIENCE = 30.0  # seconds for so many
_INSTALL = "https://developer.hashicorp.com/terraform/install has Terraform, https://opentofu.org OpenTofu"


@dataclass(frozen=True)
class Provisioned:
    """An environment of infrastructure in the checkout ``machine``, whose server has the same name."""

    scene: Scene
    machine: TemporaryRepository
    environment: str

    def created(self) -> tuple[bool, str]:
        """Plan and apply it; return whether there is a program that can, and in words what is there now."""
        try:
            plan = self._plan()
        except PipelineError as error:
            if error.code != InstallationError.exit_code:
                raise
            return False, f"left out, and the server starts without it: {error.why}; {_INSTALL}"
        seconds = self._apply(plan)
        url = self.running()["url"]
        return True, f"{_counts(plan)}; applied in {seconds:.1f} s: {url} answers, without a model yet"

    def healed(self, path: str, body: bytes) -> tuple[int, str]:
        """Kill the server after traffic, plan and apply; return its port then, and in words what became of requests."""
        killed = self.running()["running"]
        before = _sent(killed["port"], path, body)
        os.kill(killed["pid"], signal.SIGKILL)
        plan = self._plan()
        replaced = [change["address"] for change in plan["changes"] if change["kind"] == "replace"]
        if _SERVER not in replaced:
            raise PipelineError(
                "the plan does not replace the server that was killed",
                why=f"it replaces {', '.join(replaced) or 'nothing'}",
                next=f"run `leverframe infra-plan --environment {self.environment}` in {self.machine.root}",
            )
        seconds = self._apply(plan)
        port: int = self.running()["running"]["port"]
        after = _sent(port, path, body)
        failed = len(before.failed) + len(after.failed)
        return port, (
            f"the server is killed; planned: replace {_SERVER}; applied in {seconds:.1f} s: release "
            f"{after.responses[-1].version} answers again; {len(before.responses)} requests before and "
            f"{len(after.responses)} after, {failed} failed"
        )

    def destroyed(self) -> str:
        """Destroy it, and return that in words."""
        digest = self._plan("--destroy")["digest"]
        self._run("infra", "destroy", "--reviewed", digest)
        return "destroyed: no process and no port is left"

    def running(self) -> dict[str, Any]:
        """Return the server as it runs now."""
        return self.scene.json(self.machine, "serve", "--status", "--name", self.environment)

    def _plan(self, *options: str) -> dict[str, Any]:
        plan: dict[str, Any] = self._run("infra-plan", *options)["plan"]
        return plan

    def _apply(self, plan: dict[str, Any]) -> float:
        """Apply a plan that was read, and return how long that took."""
        began = time.monotonic()
        applied = self._run("infra-apply", "--reviewed", plan["digest"])
        if applied["verdict"] != "passed":
            raise PipelineError(
                f"the plan of `{self.environment}` was not applied",
                why=applied["violations"][0]["what"],
                next=f"run `leverframe infra-apply --environment {self.environment}` in {self.machine.root}",
            )
        return time.monotonic() - began

    def _run(self, *arguments: str) -> dict[str, Any]:
        return self.scene.json(self.machine, *arguments, "--environment", self.environment, run=_PERSON)


def _sent(port: int, path: str, body: bytes) -> Traffic:
    """Send a few requests, and return what came back."""
    traffic, until = Traffic(port, path, body, clients=2), time.monotonic() + _PATIENCE
    with traffic.running():
        while len(traffic.responses) < _REQUESTS and time.monotonic() < until:
            time.sleep(0.02)
    return traffic


def _counts(plan: dict[str, Any]) -> str:
    kinds = [change["kind"] for change in plan["changes"] if change["kind"] != "read"]
    return f"planned: {', '.join(f'{kinds.count(kind)} to {kind}' for kind in dict.fromkeys(kinds))}"
