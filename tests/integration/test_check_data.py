"""`leverframe check` on data that git holds and should not, and on tables that nobody but their author has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.integration.shop import Shop, copied, finished
from tests.warm import WarmRepository


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A finished shop of one's own, with a remote of DVC, and its branch."""
    mine = copied(finished(tmp_path_factory), tmp_path)
    remote = tmp_path / "remote"
    mine.repository.write(".dvc/config", f"[core]\n    remote = store\n['remote \"store\"']\n    url = {remote}\n")
    mine.repository.dvc("push", "--quiet")
    mine.repository.commit("A remote")
    mine.repository.git("checkout", "--quiet", "-b", "change")
    return mine


def violations(shop: Shop) -> list[tuple[str, str, str]]:
    """Return reason, words and next step of each violation."""
    checked = json.loads(shop.run("check", "--json").stdout)
    return [(violation["reason"], violation["what"], violation["next"]) for violation in checked["violations"]]


def obeyed(shop: Shop, line: str) -> None:
    """Run the commands that a violation names, and commit."""
    for command in re.findall(r"`((?:git|dvc|leverframe) [^`]+)`", line):
        program, *arguments = command.split()
        if program == "dvc":
            shop.repository.dvc(*arguments)
        else:
            shop.repository.run(program, *arguments)
    shop.repository.git("commit", "--quiet", "--all", "--message", "As check says")


def test_outputs_that_git_holds_are_taken_out_by_the_printed_line(shop: Shop) -> None:
    """They were added by force, or before there was a .gitignore."""
    paths = ["data/raw/products.parquet", "models/bundle/MANIFEST.json"]
    shop.repository.git("add", "--force", *paths)
    shop.repository.commit("Everything")
    ((reason, what, line),) = violations(shop)
    assert (reason, [path in what for path in paths]) == ("data-in-git", [True, True])
    obeyed(shop, line)
    assert shop.repository.git("ls-files", *paths) == ""
    assert violations(shop) == []
    assert shop.stale() == set()


def test_tables_that_nobody_keeps_are_named_here_and_in_a_clone_and_the_printed_line_hands_them_to_dvc(
    shop: Shop, tmp_path: Path
) -> None:
    """`/raw/` is ignored and nobody ran `dvc add`: the author has everything, and a clone has no tables."""
    shop.repository.git("rm", "-r", "--quiet", "--cached", "raw")
    shop.repository.write(".gitignore", shop.repository.read(".gitignore") + "/raw/\n")
    shop.repository.commit("Leave the tables out")
    ((reason, what, line),) = violations(shop)
    assert (reason, "neither git nor DVC" in what, "`dvc add raw`" in line) == ("data-missing", True, True)

    def cloned(name: str) -> Shop:
        clone = WarmRepository(tmp_path / name, shop.repository.home)
        shop.repository.git("clone", "--quiet", str(shop.root), str(clone.root))
        return Shop(clone)

    assert [(reason, line) for reason, _, line in violations(cloned("before"))] == [("data-missing", line)]
    obeyed(shop, line)
    assert violations(shop) == violations(cloned("after")) == []
    assert shop.stale() == set()
