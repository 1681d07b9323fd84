"""A root module in a folder of its own, and tools for it: each program on PATH, each API of python-terraform."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import python_terraform

from leverframe.domain.infrastructure.infra_plan import InfraPlan
from leverframe.domain.infrastructure.infra_ports import InfraTool, Planning
from leverframe.settings.infra import InfraEnvironmentSettings
from tests.fakes import python_terraform_014

PROGRAMS = ("terraform", "tofu")
APIS = ("0.10", "0.14")
_PACKAGE = "leverframe.adapters.terraform"


def absent(program: str) -> str:
    """Return why a program cannot be tested here; empty where it can."""
    return "" if shutil.which(program) else f"there is no `{program}` on PATH"


def tool_class(api: str) -> type[Any]:
    """Return ``TerraformTool`` as it is with that API of python-terraform."""
    with _imported_over(api):
        return importlib.import_module(f"{_PACKAGE}.terraform_tool").TerraformTool  # type: ignore[no-any-return]


@contextmanager
def _imported_over(api: str) -> Iterator[None]:
    """Import the adapter once more in the block, over another python-terraform, and forget it afterwards."""
    names = [name for name in sys.modules if name == _PACKAGE or name.startswith(f"{_PACKAGE}.")]
    before = {name: sys.modules.pop(name) for name in names}
    sys.modules["python_terraform"] = python_terraform if api == "0.10" else python_terraform_014.as_module()
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name == _PACKAGE or name.startswith(f"{_PACKAGE}.")]:
            del sys.modules[name]
        sys.modules.update(before)
        sys.modules["python_terraform"] = python_terraform


@dataclass
class Root:
    """A root module at ``folder``; ``lines`` is what the tools of it printed."""

    folder: Path
    data: Path
    api: str = "0.10"
    program: str = "auto"
    lines: list[str] = field(default_factory=list)

    @staticmethod
    def below(folder: Path, api: str = "0.10", program: str = "auto") -> Root:
        """Make one in a folder whose path has a space and letters beyond ASCII."""
        root = Root(folder / "root módule ☃", folder / "the data", api, program)
        root.folder.mkdir(parents=True)
        return root

    def write(self, text: str) -> Root:
        """Write the configuration."""
        (self.folder / "main.tf").write_text(text, encoding="utf-8")
        return self

    def tool(self, environment: Mapping[str, str] | None = None, **settings: Any) -> InfraTool:
        """Return a tool for it, with settings of the environment."""
        tool: InfraTool = tool_class(self.api)(
            self.program,
            self.folder,
            data=self.data,
            settings=InfraEnvironmentSettings(**{"lock_timeout_seconds": 0, **settings}),
            environment={**os.environ, **(environment or {})},
            on_line=self.lines.append,
        )
        return tool

    def ready(self, environment: Mapping[str, str] | None = None, **settings: Any) -> InfraTool:
        """Return a tool that has initialised the root module."""
        tool = self.tool(environment, **settings)
        tool.initialise()
        return tool

    def plan(self, tool: InfraTool, *, destroy: bool = False) -> InfraPlan:
        """Return a plan, nothing of it kept."""
        saved = tool.planned(Planning(destroy=destroy))
        tool.forget(saved)
        return saved.plan

    def apply(self, tool: InfraTool, *, destroy: bool = False) -> InfraPlan:
        """Plan and apply, and return what was planned."""
        saved = tool.planned(Planning(destroy=destroy, lock=True))
        try:
            tool.applied(saved)
        finally:
            tool.forget(saved)
        return saved.plan

    @property
    def state(self) -> dict[str, Any]:
        """The state, read from its file."""
        document: dict[str, Any] = json.loads((self.folder / "terraform.tfstate").read_text(encoding="utf-8"))
        return document
