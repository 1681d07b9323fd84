"""A temporary git and DVC repository, isolated from the configuration of the machine, for tests of pipelines."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_MOMENT = "2013-01-01T00:00:00+00:00"  # of every commit, so that the same content has the same hash


class CommandFailedError(AssertionError):
    """A git or DVC command failed; the message holds its output."""


@dataclass(frozen=True)
class TemporaryRepository:
    """A repository in ``root`` whose git and DVC read no configuration but their own."""

    root: Path
    home: Path

    @classmethod
    def create(cls, folder: Path, *, dvc: bool = True) -> TemporaryRepository:
        """Start an empty repository in ``folder``/repository, with DVC in it unless ``dvc`` is false."""
        repository = cls(folder / "repository", folder / "home")
        repository.root.mkdir(parents=True)
        repository.home.mkdir(parents=True)
        repository.git("init", "--quiet", "--initial-branch=main", "--template=")
        if dvc:  # what `dvc init` writes, without the second that it takes
            repository.write(".dvc/config", "")
            repository.write(".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")
            repository.write(".dvcignore", "")
            repository.commit("Start")
        return repository

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of every command: its own home, a fixed identity and time, no use of the network."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "DVC_", "XDG_"))}
        binaries = str(Path(sys.executable).parent)
        who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in _IDENTITY.items()}
        places = {f"DVC_{place}_DIR": str(self.home / place.lower()) for place in _DVC_PLACES}
        return {
            **inherited,
            **who,
            **places,
            "HOME": str(self.home),
            "PATH": os.pathsep.join([binaries, inherited.get("PATH", "")]),
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "DVC_NO_ANALYTICS": "1",
        }

    def write(self, path: str, content: str | bytes) -> Path:
        """Write a file, its folders included, and return where it is."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            target.write_bytes(content)
        else:
            target.write_text(content, encoding="utf-8", newline="\n")
        return target

    def read(self, path: str) -> str:
        """Return the text of a file."""
        return (self.root / path).read_text(encoding="utf-8")

    def commit(self, message: str) -> str:
        """Commit everything that is not ignored and return the hash of the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *arguments: str) -> str:
        """Run git and return what it printed; raises ``CommandFailedError`` when it failed."""
        return self.run("git", *arguments)

    def dvc(self, *arguments: str) -> str:
        """Run DVC and return what it printed; raises ``CommandFailedError`` when it failed."""
        return self.run(sys.executable, "-m", "dvc", *arguments)

    def run(self, *command: str) -> str:
        """Run a command in the root and return its stdout; raises ``CommandFailedError`` when it failed."""
        result = subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            raise CommandFailedError(f"{' '.join(command)}: {result.returncode}\n{result.stdout}{result.stderr}")
        return result.stdout


_IDENTITY = {"NAME": "Test", "EMAIL": "test@example.org", "DATE": _MOMENT}
_DVC_PLACES = ("GLOBAL_CONFIG", "SYSTEM_CONFIG", "SITE_CACHE")
