"""A remote of DVC as a store that is asked for the objects of a lock, whatever kind of place it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from leverframe.adapters.dvc.plugins import check_scheme
from leverframe.adapters.working_tree import WorkingTree
from leverframe.adapters.working_tree.folder_store import FolderStore
from leverframe.adapters.working_tree.remote import Remote
from leverframe.domain.review.pushed import Store
from leverframe.errors import RemoteUnreachableError


def remote_store(tree: WorkingTree, name: str, remembered: Path | None, tell: Callable[[str], None]) -> Store:
    """Return the remote of that name, empty for the default; none is opened before it is asked.

    ``remembered`` is the file that keeps what it was found to hold. Raises ``RemoteUnreachableError`` where no
    configuration of DVC has its address, or that is of a scheme that DVC does not know.
    """
    remote = Remote.of(tree.root, name)
    if remote is None:
        raise _no_remote(name)
    if remote.folder is not None:
        return FolderStore(remote.name, remote.folder)
    check_scheme(remote.name, remote.url)
    from leverframe.adapters.dvc.objects import RemoteObjects  # noqa: PLC0415 - for remotes that are no folder

    return RemoteObjects.of(tree.home, (remote.name, remote.place), remembered, tell)


def _no_remote(name: str) -> RemoteUnreachableError:
    if name:
        why = "an output names it in `remote:`, and no configuration of DVC that is here has its address"
        return RemoteUnreachableError(f"there is no remote `{name}`", why=why, next=f"`dvc remote add {name} ADDRESS`")
    return RemoteUnreachableError(
        "no remote is shared",
        why="DVC has no default remote, or one inside of this working copy",
        next="`dvc remote add --default NAME ADDRESS`, then `dvc push`",
    )
