"""What git knows of the repository, asked through its own program."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from leverframe.errors import RepositoryError

_TIMEOUT = 60.0  # seconds; every question asked here is answered from the local disk
_SET_BY_HOOKS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")


class Git:
    """The git repository that ``root`` is in; every path is relative to ``root``.

    Raises ``RepositoryError`` from every method where git is missing or does not answer.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def files(self, *patterns: str) -> list[str]:
        """Return the files of the working tree that match and are not ignored, tracked or not, sorted."""
        found = self._paths("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns)
        return sorted({path for path in found if (self.root / path).is_file()})

    def show(self, revision: str, path: str) -> bytes | None:
        """Return the content of a file at a revision, None when it was not there."""
        result = self._run("cat-file", "blob", f"{revision}:./{path}")
        return result.stdout if result.returncode == 0 else None

    def changed_since_commit_of(self, path: str, within: Sequence[str]) -> list[str]:
        """Return the files in ``within`` that changed after the last commit that touched ``path``.

        Files that git does not track yet are among them; nothing is returned where ``path``
        was never committed.
        """
        commit = self._run("log", "-1", "--format=%H", "--", path).stdout.decode().strip()
        if not commit or not within:
            return []
        changed = self._paths("diff", "--name-only", "--relative", "-z", commit, "--", *within)
        new = self._paths("ls-files", "-z", "--others", "--exclude-standard", "--", *within)
        return sorted({*changed, *new})

    def _paths(self, *arguments: str) -> list[str]:
        result = self._run(*arguments)
        if result.returncode != 0:
            raise RepositoryError(
                f"git does not answer in {self.root}",
                why=result.stderr.decode(errors="replace").strip().splitlines()[-1:][0] if result.stderr else "no word",
                next="run `git status` there and mend what it says",
            )
        return [os.fsdecode(each) for each in result.stdout.split(b"\0") if each]

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        environment = {name: value for name, value in os.environ.items() if name not in _SET_BY_HOOKS}
        environment |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
        try:
            return subprocess.run(
                ["git", *arguments],
                cwd=self.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except FileNotFoundError as error:
            raise RepositoryError("git was not found", why="it is not on PATH", next="install git") from error
        except subprocess.TimeoutExpired as error:
            raise RepositoryError(
                f"git did not answer within {_TIMEOUT:.0f} seconds",
                why=f"`git {arguments[0]}` reads the disk that {self.root} is on",
                next="look whether that disk answers, then run the command again",
            ) from error
