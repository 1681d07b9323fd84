"""The outputs of a change that its base branch has not: left in a folder, as whoever judges it from data needs them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from leverframe.adapters.working_tree import WorkingTree
from leverframe.application.workspace import Workspace
from leverframe.domain.pipeline.status.lock import entries
from leverframe.domain.pipeline.status.resolved import Recorded
from leverframe.errors import LeverframeError
from leverframe.files import replacing

LOCK = "dvc.lock"
LIMIT = 500_000_000  # bytes in all: an artifact of a run costs storage, and the rest has to be in the remote


def leave_outputs(workspace: Workspace, base: str | None, folder: Path, limit: int = LIMIT) -> list[str]:
    """Copy what the cache has of the outputs that are new since the base, and return their digests.

    The folder gets the layout of a cache of DVC. The smallest come first, so that models and reports are there however
    large a table is; what would exceed ``limit`` is left out.
    """
    git = workspace.git
    fork = git.base(base).commit
    locks = git.files(LOCK, f"*/{LOCK}")
    contents = git.contents(fork, *locks) if locks else {}
    before = {md5: output for lock in contents.values() for md5, output in _outputs(lock).items()}
    after = {md5: output for lock in locks for md5, output in _outputs((workspace.root / lock).read_bytes()).items()}
    new = [output for md5, output in after.items() if md5 not in before]
    if not new:
        return []
    tree, left = WorkingTree.around(workspace.root), list[str]()
    for md5, content in _contents(tree, sorted(new, key=lambda output: (output.size or 0, output.md5))):
        limit -= len(content)
        if limit < 0:
            break
        with replacing(folder / "files" / "md5" / md5[:2] / md5[2:]) as temporary:
            temporary.write_bytes(content)
        left.append(md5)
    return left


def _outputs(lock: bytes) -> dict[str, Recorded]:
    with suppress(LeverframeError):  # `check` says what is wrong with it
        lock_entries = entries(lock.decode(errors="replace"), LOCK).values()
        return {recorded.md5: recorded for entry in lock_entries for recorded in entry.outputs.values()}
    return {}


def _contents(tree: WorkingTree, wanted: list[Recorded]) -> Iterator[tuple[str, bytes]]:
    """Yield each content that the cache has, of a folder its listing and then its files."""
    for recorded in wanted:
        content = tree.content(recorded)
        if content is None:
            continue
        yield recorded.md5, content
        if recorded.md5.endswith(".dir"):
            files = [Recorded(str(file["md5"]), None) for file in json.loads(content)]
            yield from _contents(tree, files)
