"""The branches of a clone and of its remotes, and which of them is the main one as far as git knows."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Branches:
    """The branches of the repository that ``root`` is in; ``run`` runs git there."""

    root: Path
    run: Callable[..., subprocess.CompletedProcess[bytes]]

    def names(self) -> list[str]:
        """Return the branches of the clone and of its remotes, such as `main` and `origin/main`."""
        refs = self._answer("for-each-ref", "--format=%(refname)", "refs/heads", "refs/remotes").splitlines()
        return [name.removeprefix("refs/heads/").removeprefix("refs/remotes/") for name in refs]

    def remote(self) -> str:
        """Return the remote that changes go to: `origin`, or the only one; empty where there is neither."""
        names = self._answer("remote").split()
        return "origin" if "origin" in names else names[0] if len(names) == 1 else ""

    def head(self) -> str:
        """Return the default branch as `HEAD` of the remote tells it, such as `origin/main`; empty where it does not.

        Of somebody's working copy it only tells which branch is checked out there.
        """
        remote = self.remote()
        address = self._answer("config", f"remote.{remote}.url")
        if not address or (self.root / address.removeprefix("file://") / ".git").exists():
            return ""
        return self._answer("symbolic-ref", "--quiet", "--short", f"refs/remotes/{remote}/HEAD")

    def _answer(self, *question: str) -> str:
        done = self.run(*question)
        return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""
