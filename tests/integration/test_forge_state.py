"""What the local forge says of its own repositories."""

from __future__ import annotations

from pathlib import Path

import pytest

from leverframe.local.github.state import Repository


@pytest.mark.parametrize("branch", ["main", "retrain/shop", "release-1.2"])
def test_the_tip_of_a_branch_is_what_git_says(tmp_path: Path, branch: str) -> None:
    """Before and after git packs it, moved, and gone; a name that leads out of the branches is none of them."""
    repository = Repository.create("acme", "shop", tmp_path)
    assert repository.tip(branch) == ""
    tree = repository.git("write-tree").strip()
    first, second = (repository.git("commit-tree", tree, "-m", text).strip() for text in ("One", "Two"))
    repository.git("update-ref", f"refs/heads/{branch}", first)
    assert repository.tip(branch) == first
    repository.git("pack-refs", "--all")
    assert repository.tip(branch) == first
    repository.git("update-ref", f"refs/heads/{branch}", second)
    assert repository.tip(branch) == second
    repository.git("update-ref", "-d", f"refs/heads/{branch}")
    assert repository.tip(branch) == ""
    assert repository.tip("../../HEAD") == ""
