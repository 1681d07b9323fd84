"""How a root module gets at its backend without a question: no state is ever moved from here.

`init` asks whether to move the states beside a root module into a backend that it does not know yet, be it the same
place, and takes a "no" for leave to empty them. So it is let at the backend where it sees no state, and remembers it.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from leverframe.adapters.terraform.terraform_folder import STATE, STATES, without_states
from leverframe.errors import InfraError
from leverframe.files import write_text

Result = tuple[int, str, str]
_CHANGED = "Backend configuration changed"
_ASKS = ("state migration", "state copy action")
ERRORED = "errored.tfstate"  # Terraform writes it where a backend does not take the state
_NESTED = "backend.json"  # Terraform reads a file of that ending as JSON
_WAITS = (0, 5, 15)  # seconds before each attempt to save a state
_NO_WORKSPACE = "Currently selected workspace"  # ... does not exist, where the backend has several others


class Init(Protocol):
    """Runs `init` of Terraform, for the backend alone in another folder, or in the workspace that is always there."""

    def __call__(self, *, backend_in: Path | None = None, in_default: bool = False) -> Result: ...


@dataclass(frozen=True)
class RootModule:
    """A root module at ``folder``, what Terraform remembers of it in ``data``, and the settings of its backend."""

    folder: Path
    data: Path
    backend: Mapping[str, Any]
    workspace: str = "default"

    @property
    def memory(self) -> Path:
        """The file in which Terraform remembers the backend; no state, whatever its name says."""
        return self.data / "terraform.tfstate"

    def settings(self) -> list[str]:
        """Return what `-backend-config` is given, settings with parts in a file, as the command line takes texts alone.

        The file is not of the state: it holds what leverframe.yaml says.
        """
        nested = {name: value for name, value in self.backend.items() if isinstance(value, dict | list)}
        single = {name: value for name, value in self.backend.items() if name not in nested and value is not None}
        texts = [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in single.items()]
        if not nested:
            return texts
        path = self.data.absolute() / _NESTED
        write_text(path, json.dumps(nested))
        return [*texts, str(path)]

    def initialised(self, init: Init, tell: Callable[[str], None]) -> Result:
        """Run `init` and return how it ended; raises ``InfraError`` where it would take a state for another one."""
        code, out, err = init()
        if code and _CHANGED in err:
            tell("the settings of the backend changed: the state is the one at the new place, and none is moved")
            self.memory.unlink()  # `-reconfigure` would leave it where the root module names no backend any more
            code, out, err = init()
        if code and any(words in err for words in _ASKS):
            self._remember_backend(init, tell)
            code, out, err = init()
        if code and _NO_WORKSPACE in err:  # the first command that needs its state makes it
            code, out, err = init(in_default=True)
        return code, out, err

    def save_left(self, push: Callable[[], Result], tell: Callable[[str], None]) -> None:
        """Save the state that an apply could not save, for a backend may be out of order for some seconds."""
        left = self.folder / ERRORED
        for seconds in _WAITS if left.is_file() else ():
            left.chmod(0o600)  # secrets stand in it in clear
            time.sleep(seconds)
            if push()[0] == 0:
                left.unlink()
                tell("the state could not be saved at first, and is saved now")
                return

    def check_saved(self) -> None:
        """Raise ``InfraError`` where an apply left a state that is not saved: another would make everything anew."""
        if not (self.folder / ERRORED).exists():
            return
        workspace = "" if self.workspace == "default" else f"TF_WORKSPACE={self.workspace} "
        line = f"TF_DATA_DIR={self.data.absolute()} {workspace}terraform -chdir={self.folder} state push {ERRORED}"
        raise InfraError(
            "the state of an apply is not saved",
            why=f"{ERRORED} in {self.folder} is all that tells what that apply made; what is planned without it, "
            "is planned a second time",
            next=f"`{line}`, then remove that file, which has secrets in clear; keep it until that has succeeded",
        )

    def _remember_backend(self, init: Init, tell: Callable[[str], None]) -> None:
        """Let Terraform remember the backend where a state beside the root module is not to be moved into it."""
        with without_states(self.folder) as folder:
            init(backend_in=folder)  # fails where modules are called, as they are not there
        backend = self._remembered()
        if backend.get("type") != "local":
            self.memory.unlink(missing_ok=True)
            raise self._left_beside(str(backend.get("type") or "another one"))
        at = backend.get("config") or {}
        for name, usual in (("path", STATE), ("workspace_dir", STATES)):
            if (self.folder / (at.get(name) or usual)).resolve() != (self.folder / usual).resolve():
                tell(f"{usual} beside the root module is not of this environment, whose `{name}` is {at[name]}")

    def _remembered(self) -> dict[str, Any]:
        try:
            backend = json.loads(self.memory.read_bytes())["backend"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return backend if isinstance(backend, dict) else {}

    def _left_beside(self, backend: str) -> InfraError:
        names = [name for name in (STATE, STATES) if (self.folder / name).exists()]
        settings = "".join(f" {shlex.quote(f'-backend-config={setting}')}" for setting in self.settings())
        return InfraError(
            "a state beside the root module is not in its backend",
            why=f"{' and '.join(names)} in {self.folder} would have to be moved into the backend ({backend}), "
            "and nobody asked for that",
            next=f"if it is the state of this infrastructure, move it by `terraform init -migrate-state{settings}` in "
            "that folder; else take it away from there",
        )
