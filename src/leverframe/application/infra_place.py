"""The environment of infrastructure that a command works on: its settings, the rules in force, and Terraform for it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from leverframe.adapters import runner
from leverframe.application.infra_observe import observe
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.infrastructure.infra_changed import LOCAL_ROOT, MODULES, called_by, folders_of, stays, within
from leverframe.domain.infrastructure.infra_forge import InfraForge
from leverframe.domain.infrastructure.infra_planning import InfraSubject
from leverframe.domain.infrastructure.infra_ports import InfraTool, StateLock
from leverframe.domain.infrastructure.protection import in_force
from leverframe.domain.plan_engine import Progress
from leverframe.errors import InfraLockedError, RepositoryError, SettingsError, nearest
from leverframe.files import disk_error, private_folder
from leverframe.locks import held
from leverframe.settings import LEVERS
from leverframe.settings.infra import InfraEnvironmentSettings
from leverframe.words import first_few
from leverframe.yaml_files import decoded, parse

if TYPE_CHECKING:
    from leverframe.adapters.git.host import HostedGit

Tell = Callable[[str], None]
_MODULE = ("*.tf", "*.tf.json", "*.tofu", "*.tofu.json")
_SHOWN = 5  # files in one sentence
_RULES = ("protected", "allow_label", "failed_checks")


@dataclass(frozen=True)
class Role:
    """A role of AWS, empty where a person's own keys count, and a region."""

    arn: str = ""
    region: str = ""

    @classmethod
    def of(cls, arn: str | None, region: str | None) -> Role:
        """Return what the command line names."""
        return cls(arn or "", region or "")


@dataclass(frozen=True)
class Channels:
    """Where lines for a person go: ``tell`` shows progress, ``mask`` hides a secret from the log of a runner."""

    tell: Tell
    mask: Tell = lambda _: None

    @property
    def progress(self) -> Progress:
        """How an execution is timed and shown."""
        return Progress(time.monotonic, self.tell)


@dataclass(frozen=True)
class InfraPlace:
    """One environment in the repository; ``head`` is the commit that is checked out."""

    workspace: Workspace
    name: str
    settings: InfraEnvironmentSettings
    head: str

    @classmethod
    def of(cls, workspace: Workspace, name: str | None) -> InfraPlace:
        """Return an environment by name, or the only one there is.

        Raises ``SettingsError`` where it is not declared, where several are, where its root module is not there, and
        where somebody committed what is known of it on a machine.
        """
        known = workspace.levers.infra.environments
        if not name and len(known) == 1:
            name = next(iter(known))
        if not name or name not in known:
            commit = _declared_at(workspace, name) if name else ""
            if commit:
                raise SettingsError(
                    f"the environment `{name}` is not declared any more",
                    why=f"`infra.environments` of {LEVERS} had it at {commit[:12]}",
                    next=stays(name or "", commit),
                )
            raise SettingsError(
                f"no environment `{name}` of infrastructure is declared" if name else "which environment?",
                why=f"`infra.environments` of {LEVERS} declares {', '.join(f'`{key}`' for key in known) or 'none'}"
                if (workspace.root / LEVERS).is_file()
                else f"there is no {LEVERS} in {workspace.root}",
                next="name one of them with `--environment`" if known and not name else nearest(name or "", known),
            )
        place = cls(workspace, name, known[name], workspace.git.named("HEAD"))
        committed = workspace.git.tracked_below(str(layout.INFRA))
        if committed:
            raise SettingsError(
                f"{committed[0]} is committed",
                why=f"what is below {layout.INFRA} tells what was read and applied on this machine, not on another one",
                next=f"`git rm -r --cached {layout.INFRA}`, commit that, and look who added it",
            )
        folder = workspace.root / place.root
        if not any(next(folder.glob(pattern), None) for pattern in _MODULE):
            offered = place.root == LOCAL_ROOT and not folder.is_dir()
            write = "let `leverframe init` write the one of a local server there" if offered else "write one there"
            raise SettingsError(
                f"environment `{name}` has no root module",
                why=f"{place.root} {'has no file of Terraform' if folder.is_dir() else 'is not there'}",
                next=f"{write}, or name its folder as `infra.environments.{name}.root` in {LEVERS}",
            )
        return place

    @property
    def root(self) -> str:
        """The folder of the root module, relative to the repository."""
        return self.settings.root_of(self.name)

    @property
    def folder(self) -> Path:
        """The folder of what is known of the environment here, which only this user reads."""
        folder = self.workspace.root / layout.INFRA / self.name
        try:
            private_folder(self.workspace.root / layout.PRIVATE)
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        except OSError as error:
            raise disk_error(folder, error) from error
        return folder

    def subject(self, base: str, *commits: str) -> InfraSubject:
        """Return what a plan is made of: it is compared with ``base``, and the rules of ``commits`` hold as well."""
        before = [environments_at(self.workspace, commit) for commit in dict.fromkeys(commits) if commit]
        return InfraSubject(
            self.name, self.head, base, self.root, self.settings.workspace,
            in_force(self.name, self.settings, *before), observes=self.settings.observe is not None,
        )  # fmt: skip

    def observe(self) -> object:
        """Write what runs on this machine."""
        return observe(self.workspace, self.name)

    @cached_property
    def _folders(self) -> set[str]:
        return folders_of(self.root, module_texts(self.workspace))

    def concerned(self, paths: Iterable[str]) -> list[str]:
        """Return the files among ``paths`` that the environment is made of: settings, root module, local modules."""
        return [path for path in paths if path == str(LEVERS) or within(path, self._folders)]

    def unsaved(self) -> tuple[str, ...]:
        """Return what a person should know where files here are not those of the commit."""
        edited = self.workspace.git.changed_around(self.head)
        changed = self.concerned(path for path in edited if not Path(path).name.startswith("terraform.tfstate"))
        files = first_few(changed, _SHOWN)
        return (f"not of the commit {self.head[:12]}, but as they are here: {files}",) if changed else ()

    def exposed(self) -> tuple[str, ...]:
        """Return what a person should know where a state lies here that git does not ignore."""
        states = self.workspace.git.files("*.tfstate", "*.tfstate.*")
        if not states:
            return ()
        return (f"{states[0]} has secrets in clear, and git does not ignore it: add `*.tfstate*` to .gitignore",)

    def _locked(self, error: InfraLockedError) -> InfraLockedError:
        """Return the error of a held lock with the very line that frees it."""
        if not isinstance(error.lock, StateLock) or "infra unlock" not in error.next:
            return error  # the lock of a local state is a file, which no command frees
        line = f"`leverframe infra unlock {error.lock.id} --environment {self.name} --reason TEXT`"
        step = f"wait for its end; if its process is gone, free it by {line}, then run it again"
        return InfraLockedError(error.what, why=error.why, next=step, lock=error.lock)

    @contextmanager
    def tool(self, role: Role, words: Channels) -> Iterator[InfraTool]:
        """Yield Terraform for the environment, for one command of this machine at a time.

        Raises ``SettingsError`` for a secret that has no value, ``InfraLockedError`` while another command works here,
        and what ``aws_identity`` raises.
        """
        from leverframe.adapters.oidc import aws_identity  # noqa: PLC0415 - only levers of infrastructure need it
        from leverframe.adapters.process import signals_as_exceptions  # noqa: PLC0415 - as the next
        from leverframe.adapters.terraform.terraform_tool import TerraformTool  # noqa: PLC0415 - of an extra

        environment: Mapping[str, str] = os.environ
        _check_secrets(self.name, self.settings, environment)
        with ExitStack() as stack:
            stack.enter_context(signals_as_exceptions())  # a saved plan and a token are removed whatever ends us
            stack.enter_context(held(self.folder / "lock", _busy(self.name)))
            if role.arn:
                environment = stack.enter_context(
                    aws_identity(role.arn, role.region, environment, tell=words.tell, mask=words.mask)
                )
            elif role.region:
                environment = {**environment, "AWS_REGION": role.region}
            try:
                yield TerraformTool(
                    self.workspace.levers.infra.tool, self.workspace.root / self.root, data=self.folder / "data",
                    settings=self.settings, environment=environment, on_line=words.tell,
                    place=f"{self.name} {self.root}",
                )  # fmt: skip
            except InfraLockedError as error:
                raise self._locked(error) from error
            except SystemExit as ended:  # of a signal, by `signals_as_exceptions`
                words.tell(f"{signal.Signals(int(str(ended.code)) - 128).name} ended this command; "
                           "run it again, which plans anew from what there is")  # fmt: skip
                raise


def _declared_at(workspace: Workspace, name: str) -> str:
    """Return the commit near the head that declares an environment: its parent, or the main branch; else empty."""
    for revision in ("HEAD~1", None):
        with suppress(RepositoryError):
            commit = workspace.git.named(revision) if revision else workspace.git.tip()
            if name in environments_at(workspace, commit):
                return commit
    return ""


def module_texts(workspace: Workspace) -> dict[str, str]:
    """Return the files in which modules are called, by path: those here, and of modules elsewhere that these call."""
    texts = {path: _text(workspace.root / path) for path in workspace.git.files(*MODULES)}
    read: set[str] = set()
    while outside := {folder for folder in called_by(texts) if folder.startswith("../")} - read:
        read |= outside
        files = [file for folder in outside for kind in MODULES for file in (workspace.root / folder).glob(kind)]
        texts |= {Path(os.path.relpath(file, workspace.root)).as_posix(): _text(file) for file in files}
    return texts


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def environments_at(workspace: Workspace, commit: str) -> Mapping[str, InfraEnvironmentSettings]:
    """Return the rules of the environments that a commit declares, whatever else of its settings does not fit.

    Of a file that cannot be read there are none: whoever fixes it must not be stopped by it.
    """
    name = f"{LEVERS} of {commit[:12]}"
    try:
        text = decoded(workspace.git.show(commit, str(LEVERS)) or b"", name=name)
        content = parse(text, name=name, what="settings file") if text.strip() else {}
    except SettingsError:
        return {}
    section = content.get("infra")
    declared = section.get("environments") if isinstance(section, dict) else None
    environments = declared if isinstance(declared, dict) else {}
    return {str(name): _rules(values) for name, values in environments.items()}


def _rules(values: object) -> InfraEnvironmentSettings:
    """Return the rules among the settings of an environment; one that does not fit has its default."""
    rules = InfraEnvironmentSettings()
    given = [(name, values[name]) for name in _RULES if name in values] if isinstance(values, dict) else []
    for name, value in given:
        with suppress(ValueError):
            fits = InfraEnvironmentSettings.model_validate({name: value})
            rules = rules.model_copy(update={name: getattr(fits, name)})
    return rules


def forge_of(workspace: Workspace) -> InfraForge | None:
    """Return the forge of the run; None without a token."""
    if not (runner.repository() and runner.token()):
        return None
    from leverframe.adapters.github.infra import GithubInfra  # noqa: PLC0415 - of an extra

    return GithubInfra(runner.api(), runner.repository(), runner.token(), project=workspace.project)


def history_of(workspace: Workspace) -> HostedGit:
    """Return git with what is asked of its history."""
    from leverframe.adapters.git.host import HostedGit  # noqa: PLC0415 - what it brings, only a few commands need

    return HostedGit(workspace.git.root)


def _check_secrets(name: str, settings: InfraEnvironmentSettings, environment: Mapping[str, str]) -> None:
    for variable, source in settings.secrets.items():
        if not environment.get(source):
            raise SettingsError(
                f"the secret variable `{variable}` of `{name}` has no value",
                why=f"the environment variable {source} is {'empty' if source in environment else 'not set'}",
                next=f"set {source}; in a workflow: `env: {{{source}: ${{{{ secrets.{source} }}}}}}`",
            )


def _busy(name: str) -> InfraLockedError:
    return InfraLockedError(
        f"another command works on the infrastructure `{name}` here",
        why=f"it holds {layout.INFRA / name / 'lock'}",
        next="wait until it has ended, then run the same command again",
    )
