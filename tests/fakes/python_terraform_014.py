"""python-terraform 0.14, which is in git and on no package index, as a subclass of the 0.10 that is installed.

It was written from, and compared with, `python_terraform/terraform.py` of beelit94/python-terraform at commit 03c6f203
(setup.py says 0.14.0): names, order and defaults of the arguments of every method, which options each method gives to
`cmd`, how `cmd` makes an argument list of them, and that `cmd` raises. It was read, not run: what Terraform itself does
is the same for both. ``as_module`` is what `import python_terraform` gives in the tests that use it.
"""

from __future__ import annotations

import json
import os
import subprocess
from types import ModuleType
from typing import Any

import python_terraform

_WITH_SUBCOMMAND = {"workspace"}
IsFlagged = python_terraform.IsFlagged
IsNotFlagged = python_terraform.IsNotFlagged


class TerraformCommandError(subprocess.CalledProcessError):
    """What `cmd` raises by default."""

    def __init__(self, ret_code: int, cmd: str, out: str | None, err: str | None) -> None:
        super().__init__(ret_code, cmd)
        self.out, self.err = out, err


class Terraform(python_terraform.Terraform):  # type: ignore[misc]
    """The API of 0.14: apply approves itself, `cmd` raises, a workspace takes its subcommand from the arguments."""

    def apply(self, dir_or_plan: str | None = None, input: bool = False, skip_plan: bool = True,
              no_color: Any = IsFlagged, **kwargs: Any) -> Any:  # fmt: skip
        """Apply at once, or plan."""
        if not skip_plan:
            return self.plan(dir_or_plan=dir_or_plan, **kwargs)
        options = {**kwargs, "input": input, "no_color": no_color, "auto-approve": IsFlagged}
        return self.cmd("apply", *self._generate_default_args(dir_or_plan), **self._generate_default_options(options))

    def show(self, dir_or_plan: str | None = None, no_color: Any = IsFlagged, **kwargs: Any) -> Any:
        """Show as JSON."""
        options = {"no_color": no_color, "json": IsFlagged, **kwargs}
        return self.cmd("show", *self._generate_default_args(dir_or_plan), **options)

    def destroy(self, dir_or_plan: str | None = None, force: Any = IsFlagged, **kwargs: Any) -> Any:
        """Destroy without asking."""
        options = self._generate_default_options({**kwargs, "auto-approve": force})
        return self.cmd("destroy", *self._generate_default_args(dir_or_plan), **options)

    def generate_cmd_string(self, cmd: str, *args: str, **kwargs: Any) -> list[str]:
        """Return the argument list."""
        words, rest = [self.terraform_bin_path, *cmd.split()], list(args)
        if cmd in _WITH_SUBCOMMAND:
            words.append(rest.pop(0))
        for name, value in kwargs.items():
            option = name.replace("_", "-")
            if isinstance(value, list):
                words += [f"-{option}={item}" for item in value]
            elif isinstance(value, dict) and "backend-config" in option:
                words += [f"-backend-config={key}={item}" for key, item in value.items()]
            elif isinstance(value, dict) and option == "var":
                words += [f"-var-file={self.temp_var_files.create(value)}"] if value else []
            elif value is IsFlagged:
                words.append(f"-{option}")
            elif value is not None and value is not IsNotFlagged:
                words.append(f"-{option}={str(value).lower() if isinstance(value, bool) else value}")
        return words + rest

    def cmd(self, cmd: str, *args: str, capture_output: bool | str = True, raise_on_error: bool = True,
            synchronous: bool = True, **kwargs: Any) -> Any:  # fmt: skip
        """Run a command; raises for every exit code but 0."""
        words = self.generate_cmd_string(cmd, *args, **kwargs)
        environment = dict(os.environ) if self.is_env_vars_included else {}
        pipe = subprocess.PIPE if capture_output is True else None
        process = subprocess.Popen(words, stdout=pipe, stderr=pipe, cwd=self.working_dir or None, env=environment)
        if not synchronous:
            return None, None, None
        out, err = (text.decode() if text is not None else None for text in process.communicate())
        if process.returncode == 0:
            self.read_state_file()
        self.temp_var_files.clean_up()
        if process.returncode and raise_on_error:
            raise TerraformCommandError(process.returncode, " ".join(words), out, err)
        return process.returncode, out, err

    def output(self, *args: str, capture_output: bool = True, **kwargs: Any) -> Any:
        """Return the outputs."""
        if capture_output is False:
            raise ValueError("capture_output is required for this method")
        code, out, _ = self.output_cmd(*args, **{**kwargs, "json": IsFlagged})
        return None if code else json.loads(out.lstrip())

    def set_workspace(self, workspace: str, *args: str, **kwargs: Any) -> Any:
        """Select a workspace."""
        return self.cmd("workspace", "select", workspace, *args, **kwargs)


def as_module() -> ModuleType:
    """Return a module that can stand for `python_terraform`."""
    module = ModuleType("python_terraform")
    for name, value in {"Terraform": Terraform, "IsFlagged": IsFlagged, "IsNotFlagged": IsNotFlagged,
                        "TerraformCommandError": TerraformCommandError}.items():  # fmt: skip
        setattr(module, name, value)
    return module
