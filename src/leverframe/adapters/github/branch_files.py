"""Files on a branch of their own: added in one commit, and read back one by one."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from github import GithubException, InputGitTreeElement
from github.GitTree import GitTree
from github.Repository import Repository

from leverframe.adapters.github.calls import reference

_TRIES = 4
_MOVED = (409, 422)  # not a fast-forward, or created meanwhile


def kept_files(repository: Repository, branch: str, files: Mapping[str, str], message: str) -> None:
    """Add files to a branch, which is made when it is not there; other files stay, and so does what others add."""
    for number in range(1, _TRIES + 1):
        try:
            _added(repository, branch, files, message)
        except GithubException as error:
            if error.status not in _MOVED or number == _TRIES:
                raise
        else:
            return


def _added(repository: Repository, branch: str, files: Mapping[str, str], message: str) -> None:
    known = reference(repository, f"heads/{branch}")
    parent = repository.get_git_commit(known.object.sha) if known else None
    elements = [InputGitTreeElement(path, "100644", "blob", content=text) for path, text in files.items()]
    tree = repository.create_git_tree(elements, *([parent.tree] if parent else []))
    if parent and tree.sha == parent.tree.sha:
        return
    commit = repository.create_git_commit(message, tree, [parent] if parent else [])
    if known:
        known.edit(commit.sha)
    else:
        repository.create_git_ref(f"refs/heads/{branch}", commit.sha)


def kept_file(repository: Repository, branch: str, path: str, largest: int) -> bytes | None:
    """Return a file of a branch; None where there is none, or one of more than ``largest`` bytes."""
    known = reference(repository, f"heads/{branch}")
    if known is None:
        return None
    tree: GitTree | None = repository.get_git_tree(repository.get_git_commit(known.object.sha).tree.sha)
    *folders, name = path.split("/")
    for folder in folders:
        below = [entry for entry in tree.tree if entry.path == folder and entry.type == "tree"] if tree else []
        tree = repository.get_git_tree(below[0].sha) if below else None
    blobs = [entry for entry in tree.tree if entry.path == name and entry.type == "blob"] if tree else []
    if not blobs or (blobs[0].size or 0) > largest:
        return None
    return base64.b64decode(repository.get_git_blob(blobs[0].sha).content)
