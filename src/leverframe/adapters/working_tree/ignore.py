"""Which files `.dvcignore` leaves out of a directory."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_ALWAYS = (".hg/", ".git/", ".git", ".dvc/")  # what DVC itself never looks into
_A_NAME = re.compile(r"[\w.*-]+/?")


@dataclass(frozen=True)
class _Rule:
    matches: Callable[[str], object]
    hides: bool
    only_folders: bool


class Ignore:
    """The rules of every `.dvcignore` above a path, the nearest and the last rule deciding."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._rules: dict[str, list[_Rule]] = {}

    def hides(self, path: str) -> bool:
        """Tell whether a file is left out, itself or through a folder above it."""
        folders = [str(parent) for parent in PurePosixPath(path).parents if str(parent) != "."]
        return any(self.leaves_out(folder, folder=True) for folder in reversed(folders)) or self.leaves_out(
            path, folder=False
        )

    def leaves_out(self, path: str, *, folder: bool) -> bool:
        """Tell whether the rules name this very path; folders above it are the caller's to ask about."""
        if folder and (self._root / path / ".dvc").is_dir():
            return True  # a repository of its own
        for above in PurePosixPath(path).parents:
            place = str(above)
            within = path if place == "." else path[len(place) + 1 :]
            for rule in reversed(self._of(place)):
                if _applies(rule, within, folder=folder):
                    return rule.hides
        return False

    def _of(self, folder: str) -> list[_Rule]:
        if folder not in self._rules:
            try:
                lines = (self._root / folder / ".dvcignore").read_text(encoding="utf-8").splitlines()
            except OSError:
                lines = []
            patterns = [*(_ALWAYS if folder == "." else ()), *map(str.strip, lines)]
            self._rules[folder] = [
                rule for pattern in patterns if pattern and not pattern.startswith("#") for rule in _rule(pattern)
            ]
        return self._rules[folder]


def _applies(rule: _Rule, path: str, *, folder: bool) -> bool:
    if rule.only_folders and not folder:
        return False
    return bool(rule.matches(path) or (folder and rule.matches(path + "/")))


@functools.cache
def _rule(pattern: str) -> tuple[_Rule, ...]:
    only_folders = pattern.endswith("/")
    if _A_NAME.fullmatch(pattern) and "**" not in pattern:  # most rules, and they cost no import
        name = re.escape(pattern.rstrip("/")).replace(r"\*", "[^/]*")
        return (_Rule(re.compile(f"(?:.*/)?{name}(?:/.*)?").fullmatch, hides=True, only_folders=only_folders),)
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern  # noqa: PLC0415 - 30 ms, for the rare rule only

    compiled = GitIgnoreSpecPattern(pattern)
    if compiled.regex is None or compiled.include is None:
        return ()
    return (_Rule(compiled.regex.match, hides=compiled.include, only_folders=only_folders),)
