"""One environment of Terraform behind the port ``InfraTool``."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from leverframe.adapters.terraform.terraform_backend import ERRORED, RootModule
from leverframe.adapters.terraform.terraform_child import run_child
from leverframe.adapters.terraform.terraform_folder import private_folder, remove
from leverframe.adapters.terraform.terraform_messages import (
    KILLED,
    Message,
    failure,
    faults_of,
    freed_meanwhile,
    plain,
    read_message,
    stopped,
)
from leverframe.adapters.terraform.terraform_program import (
    FLAG,
    TerraformProgram,
    child_environment,
    ignored_variables,
    known_version,
    program_path,
)
from leverframe.adapters.terraform.terraform_written import without_repeated, written_values
from leverframe.domain.infrastructure.concealed import KEYS, Concealer
from leverframe.domain.infrastructure.infra_plan import InfraPlan, ToolVersion
from leverframe.domain.infrastructure.infra_ports import Planning, SavedPlan, StateLock
from leverframe.domain.infrastructure.plan_digest import digest_key
from leverframe.domain.infrastructure.plan_json import plan_document, read_plan
from leverframe.domain.infrastructure.sensitive_values import Secrets, secrets_of_plan, secrets_of_state, unmarked
from leverframe.domain.infrastructure.state_lock import wanted_lock
from leverframe.errors import InfraError, InfraLockedError
from leverframe.redaction import redacted, secrets_of
from leverframe.settings.infra import InfraEnvironmentSettings

_TRIES = 3  # to get a lock that others take and free
_LEAST = 6  # characters of what only its name in the environment calls a secret, such as CACHE_KEY
_PLAN, _VARIABLES = "plan", "variables.tfvars.json"
_VARIABLE_FILE = re.compile(rf"(?:file )?[^\s(]*{re.escape(_VARIABLES)}(?::\d+)?")
_CONFIGURATION = "tfconfig/m-"  # where a saved plan keeps the files of modules, followed by the key of one


class TerraformTool:
    """Terraform or OpenTofu for one root module.

    ``program`` is the setting `infra.tool`, ``folder`` the root module, ``data`` a folder of this environment for what
    Terraform keeps between commands. ``environment`` is that of this process: secrets, clouds and PATH come from it.
    ``on_line`` gets every line for the progress, secrets hidden. ``place`` is the environment, for digests.
    """

    def __init__(  # noqa: PLR0913 - all that one environment is made of
        self,
        program: str,
        folder: Path,
        *,
        data: Path,
        settings: InfraEnvironmentSettings,
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
        place: str = "",
    ) -> None:
        self._folder = folder
        self._data = data / settings.workspace
        self._settings = settings
        self._outer = environment
        self._place = json.dumps([place, settings.workspace, sorted(settings.backend.items())])
        self._on_line = on_line
        self._path = program_path(program, environment)
        outer = [value for value in secrets_of(environment) if len(value) >= _LEAST]
        self._secrets = Secrets.of([*outer, *self._given_secrets().values()])
        self._program = TerraformProgram(self._path, folder, self._run)
        self._module = RootModule(folder, self._data, settings.backend, settings.workspace)
        self._environment: dict[str, str] = child_environment(environment, self._data.absolute(), settings.workspace)
        self._version: ToolVersion | None = None

    def version(self) -> ToolVersion:
        """Return the program and its version; asked once for each file of the program."""
        if self._version is None:
            self._version = known_version(self._path, self._data.parent / "program.json", self._ask_version)
        return self._version

    def initialise(self) -> None:
        """Prepare the root module: backend, workspace, modules, and providers exactly as the lock file names them."""
        self.version()
        for name in ignored_variables(self._outer):
            self._on_line(f"{name} of the environment is not used: variables come from leverframe.yaml")
        self._data.mkdir(parents=True, exist_ok=True)
        self._done("init", self._module.initialised(self._init, self._tell))

    def _init(self, *, backend_in: Path | None = None, in_default: bool = False) -> tuple[int, str, str]:
        """Run `init`, which never asks; see ``Init``."""
        where = {"get": False} if backend_in else {}
        run = partial(self._run, folder=backend_in, changed={"TF_WORKSPACE": "default"} if in_default else {})
        return TerraformProgram(self._path, self._folder, run).init(  # type: ignore[no-any-return]
            backend_config=self._module.settings() or None, reconfigure=None, lockfile="readonly",
            var=None, **where,
        )  # fmt: skip

    def planned(self, how: Planning) -> SavedPlan:
        """Make a plan and save it in a folder that only this user reads; ``forget`` removes it."""
        self.version()
        self._check_secrets()
        self._module.check_saved()
        folder = private_folder()
        try:
            return self._planned(how, folder)
        except BaseException:
            remove(folder)
            raise

    def _planned(self, how: Planning, folder: Path) -> SavedPlan:
        path, file = folder / _PLAN, self._variable_file(folder)
        result = _with_lock(
            lambda: self._program.plan(
                out=str(path),
                destroy=FLAG if how.destroy else None,
                lock=how.lock,
                lock_timeout=f"{self._settings.lock_timeout_seconds}s" if how.lock else None,
                json=FLAG,
                var=None,
                var_file=file,
            )
        )
        if result[0] not in (0, 2):
            self._learn_state()
            self._secrets |= Secrets.of(written_values(self._folder))  # no plan tells what is secret
        self._done("plan", result, good=(0, 2), show=False)
        shown = self._program.cmd("show", str(path), json=FLAG)
        if shown[0]:
            _check_written(path)
        document = _document("show", self._done("show", shown), plan_document)
        _check_written(path)
        named = self._settings.secrets
        _check_marks(unmarked(document, named))
        secrets = secrets_of_plan(document, named) | Secrets.of(self._given_secrets().values())
        state = self._state(path)
        lineage = str(state.get("lineage") or "")
        self._secrets |= secrets | Secrets.of([lineage])  # the lineage is the key of the digest
        self._show_warnings(result[1])
        sources, concealer = _sources(path), Concealer(secrets, self._secrets)

        def read(known: str) -> InfraPlan:
            return read_plan(document, self.version(), concealer, digest_key(known, secrets, self._place), sources)

        first = (lambda: read("")) if lineage else None
        return SavedPlan(read(lineage), str(path), self._new_workspace(state), first)

    def applied(self, saved: SavedPlan) -> None:
        """Apply the saved plan, and nothing else; raises ``InfraError`` where it is stale or fails half-way."""
        self._check_secrets()
        path = Path(saved.handle)
        file = self._variable_file(path.parent)
        result = _with_lock(
            lambda: self._program.apply(
                str(path),
                skip_plan=True,
                json=FLAG,
                lock_timeout=f"{self._settings.lock_timeout_seconds}s",
                var=None,
                var_file=file,
            )
        )
        if result[0] != 0:
            self._module.save_left(lambda: self._program.cmd("state push", ERRORED), self._tell)
            self._learn_state()
            self._module.check_saved()
        self._done("apply", result)

    def forget(self, saved: SavedPlan) -> None:
        """Remove the saved form of a plan; nothing happens where it is gone."""
        remove(Path(saved.handle).parent)

    def outputs(self) -> dict[str, object]:
        """Return the outputs of the state, those that are sensitive left out."""
        document = _document("show", self._done("show", self._program.cmd("show", json=FLAG)))
        self._secrets |= secrets_of_state(document)
        outputs = (document.get("values") or {}).get("outputs") or {}
        return {
            name: self._secrets.hidden_in(output.get("value"))
            for name, output in outputs.items()
            if not output.get("sensitive")
        }

    def lock(self) -> StateLock | None:
        """Return the lock of the state that stands now, None where there is none; it takes none for longer.

        No command of Terraform tells that, so this asks for the lock, by a plan that reads nothing and is not kept.
        Raises ``InfraError`` where the backend does not respond, or the configuration has errors of syntax.
        """
        self.version()
        try:
            result = self._program.plan(lock=True, lock_timeout="0s", refresh=False, json=FLAG, var=None)
            self._done("plan", result, good=(0, 2), show=False)
        except InfraLockedError as error:
            return error.lock if isinstance(error.lock, StateLock) else None
        except InfraError as error:
            if "variable" not in error.why:  # those are read with the lock in hand
                raise
        return None

    def unlock(self, lock: str) -> None:
        """Free the lock with that id, whoever holds it; raises ``InfraError`` where it has another id, or none.

        The id is compared here, since Terraform sends none to an http backend; S3 compares it once more.
        """
        wanted_lock(self.lock(), lock, datetime.now(UTC))
        self._done("force-unlock", self._program.cmd("force-unlock", lock, force=FLAG))

    def _ask_version(self) -> str:
        return self._program.cmd("version", json=FLAG)[1]

    def _given_secrets(self) -> dict[str, str]:
        """Return the secret variables of the settings that have a value, by their names in Terraform."""
        named = self._settings.secrets.items()
        return {name: self._outer[variable] for name, variable in named if variable in self._outer}

    def _check_secrets(self) -> None:
        """Raise ``InfraError`` for a secret variable that has no value."""
        for name, variable in self._settings.secrets.items():
            if variable not in self._outer:
                raise InfraError(
                    f"the variable `{name}` has no value",
                    why=f"the environment variable {variable}, which leverframe.yaml names for it, is not set",
                    next=f"set {variable}, on a runner from a secret of the repository",
                )

    def _variable_file(self, folder: Path) -> str | None:
        """Write the variables that are no secret, and return the path; in JSON every text stands for itself."""
        if not self._settings.variables:
            return None
        path = folder / _VARIABLES
        path.write_text(json.dumps(self._settings.variables), encoding="utf-8")
        return str(path)

    def _state(self, plan: Path) -> dict[str, Any]:
        """Return the state that a saved plan is of; empty before the first apply."""
        try:
            with zipfile.ZipFile(plan) as saved:
                text = saved.read("tfstate").decode()
        except (zipfile.BadZipFile, KeyError, ValueError):  # encrypted by OpenTofu, or of a later form
            text = self._done("state", self._program.cmd("state pull"))
        return _document("state", text) if text.strip() else {}

    def _new_workspace(self, state: Mapping[str, Any]) -> tuple[str, ...]:
        """Return a note on a workspace without anything, which may be a slip: Terraform makes it, and asks nobody."""
        managed = any(resource.get("mode") == "managed" for resource in state.get("resources") or ())
        if self._settings.workspace == "default" or managed or state.get("outputs"):
            return ()
        return (
            f"workspace `{self._settings.workspace}` has nothing in it yet, and its backend makes it when it is first "
            "asked for: see that its name is right",
        )

    def _learn_state(self) -> None:
        """Learn what is secret in the state before the reasons of a failure are told; it may be unreadable as well."""
        code, text, _ = self._program.cmd("show", json=FLAG)
        if code == 0:
            self._secrets |= secrets_of_state(_document("show", text))

    def _done(self, command: str, result: tuple[int, str, str], good: tuple[int, ...] = (0,), show: bool = True) -> str:
        """Return what a command printed; raises the error that it tells of where it failed."""
        code, out, err = result
        if code not in good:
            faults = [message.fault for message in _diagnoses(out)]
            faults = [without_repeated(self._folder, fault) for fault in faults]
            faults += [f"{KILLED} {-code}, as where memory runs out"] if code < 0 else []
            faults = [fault for fault in faults if fault] or faults_of(err) or [plain(err)]
            raise failure(command, [self._in_words(self._hidden(fault)) for fault in faults], datetime.now(UTC))
        if show:
            self._show_warnings(out)
        return out

    def _show_warnings(self, out: str) -> None:
        for message in _diagnoses(out):
            self._tell(message.text)

    def _hidden(self, text: str) -> str:
        return redacted(self._secrets.hidden(text), {})

    def _in_words(self, text: str) -> str:
        """Return a text of Terraform with the file of variables, which is gone by then, called what it is made of."""
        return _VARIABLE_FILE.sub("`variables` in leverframe.yaml", text)

    def _run(
        self, arguments: list[str], folder: Path | None = None, changed: Mapping[str, str] | None = None
    ) -> tuple[int, str, str]:
        """Run Terraform, by default in the root module; lines of what is planned and applied are shown as they come.

        Documents are only returned. Secret variables are in its environment, which no other user of the machine reads,
        rather than in a file.
        """
        command = arguments[1]
        changes = command in ("plan", "apply")
        shown = (command in ("init", "apply") and folder is None) or any(word.startswith("-out=") for word in arguments)
        secret = {f"TF_VAR_{name}": value for name, value in self._given_secrets().items()} if changes else {}
        ended = run_child(
            arguments,
            partial(self._show, concealed=command == "plan") if shown else _nothing,
            folder=folder or self._folder,
            environment={**self._environment, **secret, **(changed or {})},
            timeout=self._settings.timeout_minutes * 60,
            guarded=changes,
        )
        if ended.stopped:
            raise stopped(command, ended.stopped, ended.killed, self._settings.timeout_minutes)
        return ended.code, "\n".join(ended.stdout), "\n".join(ended.stderr)

    def _show(self, line: str, *, concealed: bool) -> None:
        """Show a line; keys of instances are ``concealed`` until the plan has told which of them are secret."""
        message = read_message(line)
        if not message.quiet and not message.diagnosis:
            self._tell(KEYS.sub('["…"]', message.text) if concealed else message.text)

    def _tell(self, text: str) -> None:
        for line in self._in_words(self._hidden(text)).splitlines():
            if line.strip():
                self._on_line(line)


def _with_lock(run: Callable[[], tuple[int, str, str]]) -> tuple[int, str, str]:
    """Run a command, and again where the lock in its way was freed while Terraform looked whose it is."""
    result = run()
    for _ in range(_TRIES - 1):
        if result[0] and freed_meanwhile(result[1]):
            result = run()
    return result


def _document(command: str, text: str, read: Callable[[str], Any] = json.loads) -> dict[str, Any]:
    try:
        document = read(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise InfraError(
            f"cannot read what `{command}` of Terraform printed",
            why="it is no JSON document",
            next="run the same command again; if it stays, the program is not Terraform 1.10 or later, nor OpenTofu",
        )
    return document


def _check_written(plan: Path) -> None:
    """Raise ``InfraError`` where a program did not write the plan where it was told to."""
    if not plan.is_file():
        raise InfraError(
            "Terraform wrote no plan",
            why=f"`plan` of it ended well, and there is no {plan}",
            next="let `infra.tool` be a program that sees the same files, the temporary folder among them",
        )


def _sources(plan: Path) -> dict[str, str]:
    """Return the texts of the modules that a saved plan is made of, by key; none where OpenTofu encrypted it."""
    texts: dict[str, list[str]] = {}
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(plan) as saved:
        for name in sorted(saved.namelist()):
            folder, _, file = name.removeprefix(_CONFIGURATION).partition("/")
            if name.startswith(_CONFIGURATION) and file:
                texts.setdefault(folder, []).append(f"{file}\n{saved.read(name).decode(errors='replace')}")
    return {key: "\n".join(files) for key, files in texts.items()}


def _check_marks(unmarked: Sequence[str]) -> None:
    """Raise ``InfraError`` where a secret variable is too short to be hidden by value, and has no mark."""
    for name in unmarked:
        raise InfraError(
            f"the value of the variable `{name}` cannot be hidden",
            why=f'it is secret in leverframe.yaml, but short or ordinary, and `variable "{name}"` is not marked',
            next=f'write `sensitive = true` into `variable "{name}"` of the root module',
        )


def _nothing(_: str) -> None:
    return None


def _diagnoses(out: str) -> list[Message]:
    # Not splitlines: a text may hold what Python takes for the end of a line, and JSON does not.
    messages = [read_message(line) for line in out.split("\n") if '"diagnostic"' in line]
    return [message for message in messages if message.diagnosis]
