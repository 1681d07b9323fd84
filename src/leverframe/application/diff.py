"""Compare what git keeps of the data at two revisions."""

from __future__ import annotations

from dataclasses import replace

from leverframe.adapters.git.base import Base
from leverframe.application.workspace import Workspace
from leverframe.domain.review.diff.comparison import compared
from leverframe.domain.review.diff.diff_result import Diff
from leverframe.domain.review.diff.revision import WORKING_TREE, Revision, read, star_path, wanted


def diff(workspace: Workspace, base: str | None, head: str | None) -> Diff:
    """Return what changed between two revisions: by default the merge base with main, and the working tree."""
    git = workspace.git
    after = git.named(head) if head else None
    itself = git.commit_of(base) if base else None
    since = Base(itself, itself) if itself else git.base(base, after or "HEAD")
    now = _working_tree(workspace) if after is None else _revision(workspace, after)
    result = compared(_revision(workspace, since.commit), now)
    return replace(result, notes=(*since.notes, *result.notes))


def _working_tree(workspace: Workspace) -> Revision:
    files = {path: (workspace.root / path).read_bytes() for path in workspace.git.files(*wanted())}
    star = star_path(files)
    more = {star: (workspace.root / star).read_bytes()} if star and (workspace.root / star).is_file() else {}
    return read(WORKING_TREE, files | more)


def _revision(workspace: Workspace, commit: str) -> Revision:
    files = workspace.git.contents(commit, *wanted())
    star = star_path(files)
    return read(commit[:12], files | (workspace.git.contents(commit, star) if star else {}))
