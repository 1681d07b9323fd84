"""The program behind the port: where it is, which version it has, and the subclass of python-terraform that runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from python_terraform import IsFlagged, Terraform

from leverframe import files
from leverframe.domain.infrastructure.infra_plan import ToolVersion
from leverframe.errors import InfraError, InstallationError
from leverframe.redaction import without_forge

FLAG = IsFlagged
LEAST = (1, 10)
_PROGRAMS = ("terraform", "tofu")
_INSTALL = (
    "install Terraform 1.10 or later (https://developer.hashicorp.com/terraform/install) or OpenTofu 1.10 or later "
    "(https://opentofu.org/docs/intro/install/), or set `infra.tool` in leverframe.yaml to its path"
)
_ALLOWED = frozenset({"version", "init", "plan", "show", "apply", "state pull", "state push", "force-unlock"})
# Any other `TF_*` may change a command behind the back of who reads the settings, or print what nobody may read.
# Variables of the root module come from the settings alone, so that two machines make the same plan.
_KEPT = re.compile(r"TF_(?:TOKEN|CLOUD|PLUGIN_CACHE|REGISTRY|HTTP)_.*|TF_CLI_CONFIG_FILE|TF_ENCRYPTION")
_OF_STEP = (
    "GITHUB_ENV",
    "GITHUB_PATH",
    "GITHUB_OUTPUT",
    "GITHUB_STATE",
    "GITHUB_STEP_SUMMARY",
)  # later steps read them

Run = Callable[[list[str]], tuple[int, str, str]]


class TerraformProgram(Terraform):  # type: ignore[misc]  # python-terraform has no types
    """Python-terraform with its funnel replaced: ``run`` gets the arguments, and only of commands that are allowed.

    Works with the API of 0.10 and of 0.14, which differ in what a call without options does: every option that matters
    is given by ``TerraformTool``, and `capture_output`, `raise_on_error` and `synchronous` mean nothing.
    """

    def __init__(self, program: str, folder: Path, run: Run) -> None:
        self.run_arguments = run
        super().__init__(working_dir=str(folder), terraform_bin_path=program)

    def cmd(self, cmd: str, *args: str, **kwargs: Any) -> tuple[int, str, str]:
        """Run a command that is allowed and return its exit code, stdout and stderr; apply only of a saved plan."""
        for meaningless in ("capture_output", "raise_on_error", "synchronous"):
            kwargs.pop(meaningless, None)
        if cmd not in _ALLOWED or (cmd == "apply" and len(args) != 1):
            raise InfraError(
                f"`{cmd}` of Terraform is not run from here",
                why="Leverframe plans, shows the plan and applies the plan that it saved; nothing else",
                next="run it by hand in the folder of the root module",
            )
        return self.run_arguments(self.generate_cmd_string(cmd, *args, **kwargs))

    def read_state_file(self, file_path: str | None = None) -> None:
        """Read nothing: the library would keep the settings of the backend in memory and call them the state."""

    def __getattr__(self, item: str) -> Any:
        """Refuse what there is not; the library makes a command of every misspelt name."""
        raise AttributeError(f"python-terraform has no `{item}`")


def program_path(tool: str, environment: Mapping[str, str]) -> str:
    """Return the program of the setting `infra.tool`; raises ``InstallationError`` where there is none."""
    names = _PROGRAMS if tool == "auto" else (tool,)
    for name in names:
        path = shutil.which(name, path=environment.get("PATH"))
        if path:
            return str(Path(path).absolute())
    if os.sep in tool:
        raise InstallationError(
            f"`{tool}` cannot be run",
            why=f"{tool} is not executable" if Path(tool).is_file() else f"there is no file {tool}",
            next=_INSTALL,
        )
    missing = " nor ".join(f"`{name}`" for name in names)
    raise InstallationError(
        "there is no Terraform or OpenTofu on this machine",
        why=f"{'neither ' if len(names) > 1 else ''}{missing} {'is' if len(names) > 1 else 'is not'} on PATH",
        next=_INSTALL,
    )


def child_environment(environment: Mapping[str, str], data: Path, workspace: str = "default") -> dict[str, str]:
    """Return the environment of Terraform: nothing of the forge, nothing that changes what a command does.

    What opens a cloud stays. ``data`` is TF_DATA_DIR, so that nothing lands beside the root module; `init` makes a
    ``workspace`` that is missing; provisioners find the `leverframe` of this Python first on PATH.
    """
    kept = {
        name: value
        for name, value in without_forge(environment).items()
        if (not name.startswith("TF_") or _KEPT.fullmatch(name)) and name not in _OF_STEP
    }
    if "TF_CLI_CONFIG_FILE" in kept:
        path = Path(kept["TF_CLI_CONFIG_FILE"]).absolute()  # Terraform runs in another folder than this process
        kept["TF_CLI_CONFIG_FILE"] = str(path) if path.is_file() else os.devnull  # a missing one is a warning each run
    folders = [str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]
    return {
        **kept,
        "PATH": os.pathsep.join(folders),
        "TF_DATA_DIR": str(data),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
        **({} if workspace == "default" else {"TF_WORKSPACE": workspace}),
    }


def ignored_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the names of variables that somebody set for the root module outside of the settings."""
    return sorted(name for name in environment if name.startswith("TF_VAR_"))


def known_version(program: str, memory: Path, ask: Callable[[], str]) -> ToolVersion:
    """Return the version of a program, asked once for each file of it; raises ``InstallationError`` if it is too old.

    ``memory`` is the file that keeps it, ``ask`` returns what `version -json` prints.
    """
    about = Path(program).resolve().stat()
    same = [str(Path(program).resolve()), about.st_size, about.st_mtime_ns]
    try:
        kept = json.loads(memory.read_text(encoding="utf-8"))
        version = ToolVersion(**kept["version"]) if kept["of"] == same else None
    except (OSError, ValueError, KeyError, TypeError):
        version = None
    if version is None:
        version = _read_version(program, ask())
        files.write_text(memory, json.dumps({"of": same, "version": vars(version)}))
    numbers = re.match(r"(\d+)\.(\d+)", version.version)
    if not numbers or (int(numbers[1]), int(numbers[2])) < LEAST:
        raise InstallationError(
            f"{version} is too old", why="Leverframe needs 1.10 or later of Terraform or OpenTofu", next=_INSTALL
        )
    return version


def _read_version(program: str, text: str) -> ToolVersion:
    try:
        document = json.loads(text)
        version = str(document["terraform_version"])
    except (ValueError, KeyError, TypeError):
        raise InstallationError(
            f"`{program}` is neither Terraform nor OpenTofu",
            why=f"`version -json` of it printed {text.strip()[:80]!r}" if text.strip() else "it printed no version",
            next=_INSTALL,
        ) from None
    # Both write the same document, but only Terraform asks its maker whether there is a later one.
    return ToolVersion("terraform" if "terraform_outdated" in document else "tofu", version)
