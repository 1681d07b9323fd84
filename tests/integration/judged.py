"""A repository whose changes are judged: a clone of the base's tip, beside the repository where changes are made."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leverframe.local.repository import TemporaryRepository
from tests.warm import warm


@dataclass(frozen=True)
class Court:
    """A repository with a branch `main`, from which changes are cut, and which is checked out to judge them."""

    repository: TemporaryRepository

    @property
    def root(self) -> Path:
        """The folder."""
        return self.repository.root

    def branch(self, name: str) -> None:
        """Start a change from main, with its data here."""
        self.repository.git("checkout", "--quiet", "--force", "-b", name, "main")
        self.repository.dvc("checkout", "--quiet", "--force")

    def replace(self, path: str, old: str, new: str) -> None:
        """Replace a text in a file."""
        text = self.repository.read(path)
        assert old in text, f"{old!r} is not in {path}"
        self.repository.write(path, text.replace(old, new))

    def judge(self, name: str, *more: str, checked_out: str = "main") -> dict[str, Any]:
        """Commit what is here, check the base out again, and return the card of the change."""
        self.repository.commit(name)
        self.repository.git("checkout", "--quiet", "--force", checked_out)
        return self.judged(name, *more)

    def judged(self, name: str, *more: str) -> dict[str, Any]:
        """Return the card of a change on top of what is checked out."""
        done = self.ended(name, "--json", *more)
        assert done.returncode == 0, done.stderr
        outcome: dict[str, Any] = json.loads(done.stdout)
        return outcome

    def ended(self, name: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Return how the judge ended."""
        return warm().run("leverframe", ["judge", name, *more], self.root, self.repository.environment)
