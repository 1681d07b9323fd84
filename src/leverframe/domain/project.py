"""The folder of a repository that a project is, and the names that tell it from other projects there."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_PLAIN = re.compile(r"[a-z0-9]+(/[a-z0-9]+)*")  # what stays one of a kind when its slashes become dashes
_TAKEN = ("monitor", "infra", "review", "judge", "merge")  # what names of workflow files end with
_LONGEST = 40  # characters of a word


@dataclass(frozen=True)
class Project:
    """A project in ``folder``, from the top of the repository; ``.`` where it is the whole, whose names stay plain."""

    folder: str = "."

    @property
    def whole(self) -> bool:
        """Tell whether the project is the whole repository."""
        return self.folder == "."

    @property
    def word(self) -> str:
        """The folder as a word of a-z, 0-9 and dashes that no other folder has; empty for the whole."""
        if self.whole:
            return ""
        word = re.sub(r"[^a-z0-9]+", "-", self.folder.lower()).strip("-")[:_LONGEST]
        plain = _PLAIN.fullmatch(self.folder) and len(word) == len(self.folder) and not word.endswith(_TAKEN)
        return word if plain else f"{word}-{self._digest[:6]}".lstrip("-")

    @property
    def dashed(self) -> str:
        """The word after a dash, as it ends a name; empty for the whole."""
        return self.word and f"-{self.word}"

    @property
    def prefix(self) -> str:
        """The folder with a slash at its end, as it begins a path; empty for the whole."""
        return "" if self.whole else f"{self.folder}/"

    def titled(self, name: str) -> str:
        """Return a name that people read, such as that of a check run, with the folder behind it."""
        return name if self.whole else f"{name} ({self.folder})"

    def key(self, key: str) -> str:
        """Return a key of a-z, 0-9 and dashes as one of this project alone."""
        return key if self.whole else f"{key[:50]}-{self._digest[:8]}"

    @property
    def _digest(self) -> str:
        return hashlib.sha256(self.folder.encode()).hexdigest()


WHOLE = Project()  # where one project is the repository
