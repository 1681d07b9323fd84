"""Files are compared as git stores them, whatever line ends or filters make of them in a checkout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from leverframe.adapters.git import Git
from leverframe.application.status import status
from leverframe.domain.pipeline.status.reasons import State
from leverframe.errors import RepositoryError
from leverframe.local.repository import TemporaryRepository
from tests.integration.shop import Shop, copied, finished
from tests.warm import WarmRepository

ROT = ("filter.rot.clean=tr a-m n-z", "filter.rot.smudge=tr n-z a-m")
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n"


def clone_of(shop: Shop, folder: Path, *settings: str) -> Shop:
    """Return a clone of a shop that uses its cache, with what a branch changes in it."""
    root = folder / "clone"
    shop.repository.git("clone", "--quiet", *settings, ".", str(root))
    clone = Shop(WarmRepository(root, shop.repository.home))
    (root / ".dvc/config.local").write_text(f"[cache]\n    dir = {shop.root / '.dvc/cache'}\n", encoding="utf-8")
    clone.repository.dvc("checkout", "--quiet")
    clone.repository.git("checkout", "--quiet", "-b", "edited")
    return clone


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return a reproduced shop of this module's own."""
    return copied(finished(tmp_path_factory), tmp_path_factory.mktemp("ends"))


@pytest.mark.deep
def test_a_clone_with_other_line_ends_has_nothing_to_run_and_proves_the_same(shop: Shop, tmp_path: Path) -> None:
    """On a machine with `core.autocrlf`: code, raw data, reports and the lock itself; an edit there is an edit."""
    clone = clone_of(shop, tmp_path, "-c", "core.autocrlf=true")
    for path in ("dvc.lock", "params.yaml", "raw/orders-2024-01.csv", "reports/model-card.md"):
        assert b"\r\n" in (clone.root / path).read_bytes()
    shown = clone.run("status").stdout
    assert clone.stale() == set(), shown
    assert "have other bytes here than git stores" in shown
    for command in ("check", "gate"):
        assert clone.run(command).code == 0, command
    assert clone.run("diff").stdout.startswith("### Data: no change")
    clone.repository.write("pipelines/shop/model.py", clone.repository.read("pipelines/shop/model.py") + "# edited\n")
    assert {"train", "evaluate", "bundle"} <= clone.stale()
    clone.repository.git("checkout", "--", "pipelines")
    done = clone.run("reproduce", "--base", "0" * 40, "--json")
    result = json.loads(done.stdout)
    assert (done.code, {stage["how"] for stage in result["stages"]}) == (0, {"verified"})  # that commit has no lock
    assert "the commit before this one" in result["notes"][0]  # as merge.yml asks after a push of a new branch
    assert "written as git stores" in " ".join(result["notes"])
    assert not [note for note in result["notes"] if "not compared" in note]
    assert clone.repository.git("diff") == ""


def test_attributes_that_ask_for_other_line_ends_change_nothing(shop: Shop, tmp_path: Path) -> None:
    """A pull request that adds them does not escape from its proof: every checkout has them then."""
    clone = clone_of(shop, tmp_path)
    clone.repository.write(".gitattributes", "* text eol=crlf\n")
    clone.repository.commit("Line ends")
    clone.repository.git("rm", "--quiet", "-r", "--cached", ".")
    clone.repository.git("reset", "--quiet", "--hard")
    assert b"\r\n" in (clone.root / "reports/model-card.md").read_bytes()
    assert clone.stale() == set()
    copy = Git(clone.root).copied("HEAD", tmp_path / "copy")  # of a champion, or of a candidate
    assert b"\r\n" not in (copy.root / "reports/model-card.md").read_bytes()
    assert not [stage for stage in status(copy.root).stages if stage.state is State.CHANGED]


def test_what_a_filter_keeps_elsewhere_is_read_as_it_is_checked_out(tmp_path: Path) -> None:
    """Of either side, below a folder of the repository as well; a pointer that nobody resolved is named."""
    repository = TemporaryRepository.create(tmp_path, dvc=False)
    repository.write("ml/.gitattributes", "reports/*.json filter=rot\n*.big filter=lfs\n")
    repository.write("ml/reports/a.json", '{"abc": 1}\n')
    repository.write("ml/x.big", LFS)
    for setting in ROT:
        repository.git("config", *setting.split("=", 1))
    commit = repository.commit("Behind a filter")
    assert "nop" in repository.git("cat-file", "blob", "HEAD:ml/reports/a.json")
    git = Git(repository.root / "ml")
    assert git.show(commit, "reports/a.json") == b'{"abc": 1}\n'
    assert git.contents(commit, "reports") == {"reports/a.json": b'{"abc": 1}\n'}
    assert git.as_stored(["reports"]) == {"reports/a.json": b'{"nop": 1}\n'}
    (repository.root / "ml/reports/a.json").write_text('{"abc": 2}\n', encoding="utf-8")
    assert git.as_stored(["reports", "nothing"]) == {}  # edited: git stores nothing of it
    with pytest.raises(RepositoryError, match=r"x\.big is a pointer of Git LFS"):
        git.show(commit, "x.big")


def test_a_checkout_without_symbolic_links_is_told_from_an_edit(tmp_path: Path) -> None:
    """What lies there is the name that the link leads to; modes and a worktree change nothing."""
    repository = TemporaryRepository.create(tmp_path, dvc=False)
    repository.write("raw/a.csv", "a\n1\n")
    (repository.root / "raw/latest.csv").symlink_to("a.csv")
    repository.commit("A link")
    repository.git("clone", "--quiet", "-c", "core.symlinks=false", ".", str(tmp_path / "plain"))
    git = Git(tmp_path / "plain")
    assert (tmp_path / "plain/raw/latest.csv").read_text(encoding="utf-8") == "a.csv"
    assert (git.lost_links(["raw"]), git.as_stored(["raw"])) == (["raw/latest.csv"], {})
    repository.git("worktree", "add", "--quiet", str(tmp_path / "worktree"))
    (tmp_path / "worktree/raw/a.csv").chmod(0o755)
    beside = Git(tmp_path / "worktree")
    assert (beside.lost_links(["raw"]), beside.as_stored(["raw"])) == ([], {})
    assert beside.base(None).commit == repository.git("rev-parse", "main").strip()
