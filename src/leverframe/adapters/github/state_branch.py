"""Files of the last run of the monitor on a branch of their own, written in one commit each time.

The branch moves forward only, so that of two writers the second is refused, reads again and merges. After ``LONGEST``
commits it begins anew with a commit without parent: what runs leave is some hundred kilobytes each, nobody needs the
dashboard of last year, and the lines of the history are in the newest commit anyway.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping

from github import GithubException, InputGitTreeElement
from github.GitCommit import GitCommit
from github.GitTree import GitTree
from github.Repository import Repository

from leverframe.adapters.github.calls import Calls, reference
from leverframe.domain.monitoring.silence import BRANCH
from leverframe.errors import ForgeUnreachableError

LONGEST = 100  # commits, some 10 MB
_TRIES = 4
_MOVED = (409, 422)  # not a fast-forward, or created meanwhile
_NUMBER = re.compile(r"^Leverframe-Commit: (\d+)$", re.MULTILINE)

Change = Callable[[Mapping[str, str]], Mapping[str, str]]


class GithubState(Calls):
    """The ``MonitorState`` port on a branch; files of other folders on it stay."""

    def __init__(self, api: str, repository: str, token: str, folder: str) -> None:
        super().__init__(api, repository, token)
        self._folder = folder.strip("/")

    def read(self) -> dict[str, str]:
        """Return the files of the last run by name; empty where there was none."""
        return self.asked(lambda repository: self._read(repository)[1], "read the last run of the monitor",
                          "contents: read")  # fmt: skip

    def update(self, change: Change) -> None:
        """Write what ``change`` makes of the files as they are; it is called again where somebody else was quicker.

        Raises ``ForgeUnreachableError`` where somebody else was quicker again and again.
        """
        for _ in range(_TRIES):
            if self.asked(lambda repository: self._written(repository, change), "write the result of the monitor",
                          "contents: write"):  # fmt: skip
                return
        raise ForgeUnreachableError(
            f"the branch {BRANCH} could not be written",
            why=f"other runs wrote it {_TRIES} times meanwhile",
            next="run the monitor again, one at a time: give the workflow a `concurrency` group",
        )

    def _read(self, repository: Repository) -> tuple[GitCommit | None, dict[str, str]]:
        known = reference(repository, f"heads/{BRANCH}")
        if known is None:
            return None, {}
        commit = repository.get_git_commit(known.object.sha)
        tree: GitTree | None = repository.get_git_tree(commit.tree.sha)
        for part in filter(None, self._folder.split("/")):
            below = [entry for entry in tree.tree if entry.path == part and entry.type == "tree"] if tree else []
            tree = repository.get_git_tree(below[0].sha) if below else None
        blobs = [entry for entry in tree.tree if entry.type == "blob"] if tree else []
        return commit, {blob.path: _text(repository, blob.sha) for blob in blobs}

    def _written(self, repository: Repository, change: Change) -> bool:
        """Write one commit; tell whether the branch was still where it was read."""
        parent, files = self._read(repository)
        changed = {name: text for name, text in change(files).items() if files.get(name) != text}
        if not changed:
            return True
        elements = [
            InputGitTreeElement(f"{self._folder}/{name}".lstrip("/"), "100644", "blob", content=text)
            for name, text in changed.items()
        ]
        tree = repository.create_git_tree(elements, *([parent.tree] if parent else []))
        number = int(match[1]) + 1 if parent and (match := _NUMBER.search(parent.message)) else 1
        anew = number > LONGEST
        message = f"Result of the monitor: {self._folder}\n\nLeverframe-Commit: {1 if anew else number}\n"
        commit = repository.create_git_commit(message, tree, [parent] if parent and not anew else [])
        return _moved(repository, parent, commit.sha, anew=anew)


def _moved(repository: Repository, parent: GitCommit | None, commit: str, *, anew: bool) -> bool:
    """Let the branch point to a commit; false where somebody else moved it since it was read."""
    try:
        if parent is None:
            repository.create_git_ref(f"refs/heads/{BRANCH}", commit)
            return True
        known = reference(repository, f"heads/{BRANCH}")
        if known is None or known.object.sha != parent.sha:
            return False
        known.edit(commit, force=anew)
    except GithubException as error:
        if error.status in _MOVED:
            return False
        raise
    return True


def _text(repository: Repository, blob: str) -> str:
    return base64.b64decode(repository.get_git_blob(blob).content).decode("utf-8", errors="replace")
