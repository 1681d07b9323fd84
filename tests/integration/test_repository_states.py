"""Every state that a repository may be in, named for what it is by every command that asks git."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from leverframe.adapters.git import Git
from leverframe.cli import leverframe
from leverframe.errors import RepositoryError
from leverframe.local.repository import TemporaryRepository
from tests.integration.shop import Ended, Shop, copied, finished
from tests.warm import WarmRepository

ARGUMENTS = {
    "build": ("--partition", "2024-01"),
    "code": ("ingest",),
    "features": ("get", "--entity", "customer=c1", "--as-of", "2024-05-01T00:00:00Z"),
    "fetch": ("--remote", "nowhere", "--md5", "0", "--bundle", "0", "--model", "shop", "--to", "fetched"),
    "infra": ("unlock", "1", "--reason", "its owner died"),
    "ingest": ("--partition", "2024-01"),
    "judge": ("HEAD",),
    "merge": ("params.yaml", "params.yaml", "params.yaml", "params.yaml"),
    "validate": ("--partition", "2024-01"),
}
WITHOUT_REPOSITORY = {"fetch", "settings", "merge"}  # whatever the folder is, they do not ask git of a repository
ASKS_GIT = (
    "check", "demo", "deploy", "diff", "gate", "init", "reconcile", "report", "reproduce", "retrain", "serve", "status",
)  # fmt: skip
MISLEADING = ("fetch-depth", "dvc pull", "dvc repro", "a bug in leverframe", "names no commit", "git gave no reason")


@dataclass(frozen=True)
class State:
    """A repository, what makes it so, and the words by which an error has to name it."""

    what: str
    remedy: str
    make: Callable[[Path], dict[str, str]]


def _other_owner(_: Path) -> dict[str, str]:
    return {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}  # of git itself, for its own tests


def _no_git(_: Path) -> dict[str, str]:
    return {"PATH": str(Path(shutil.which("sh") or "").parent / "nothing")}


def _no_repository(root: Path) -> dict[str, str]:
    (root / ".git").rename(root / "git-was-here")
    return {}


def _no_commit(root: Path) -> dict[str, str]:
    _no_repository(root)
    TemporaryRepository(root, root.parent / "home").git("init", "--quiet", "--initial-branch=main", "--template=")
    return {}


def _emptied(name: str) -> Callable[[Path], dict[str, str]]:
    def emptied(root: Path) -> dict[str, str]:
        repository = TemporaryRepository(root, root.parent / "home")
        identity = repository.git("rev-parse", name).strip()
        path = root / ".git/objects" / identity[:2] / identity[2:]
        path.unlink(missing_ok=True)
        path.write_bytes(b"")  # as after a power cut
        return {}

    return emptied


def _empty_branch(root: Path) -> dict[str, str]:
    (root / ".git" / (root / ".git/HEAD").read_text(encoding="utf-8").split()[1]).write_bytes(b"")
    return {}


def _spoilt(name: str, content: bytes) -> Callable[[Path], dict[str, str]]:
    def spoilt(root: Path) -> dict[str, str]:
        (root / ".git" / name).write_bytes(content)
        return {}

    return spoilt


NINE = b"[core]\nrepositoryformatversion=9\n"
DAMAGED = ("this repository is damaged", "git fsck")
STATES = {
    "other-owner": State("belongs to another user", "git config --global --add safe.directory", _other_owner),
    "no-git": State("git was not found", "install git", _no_git),
    "no-repository": State("not in a git repository", "git init", _no_repository),
    "no-commit": State("has no commit yet", "git commit", _no_commit),
    "empty-commit": State(*DAMAGED, _emptied("HEAD")),
    "empty-tree": State(*DAMAGED, _emptied("HEAD^{tree}")),
    "empty-branch": State(*DAMAGED, _empty_branch),
    "index": State("the index of this repository is damaged", "git reset", _spoilt("index", b"DIRC")),
    "configuration": State("cannot read the files", "file that git names", _spoilt("config", b"[core")),
    "too-new": State("too old for this repository", "later git", _spoilt("config", NINE)),
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return a reproduced shop of this module's own, every object of git a file of its own."""
    return copied(finished(tmp_path_factory), tmp_path_factory.mktemp("states"))


@pytest.fixture
def git_folder(shop: Shop) -> Iterator[Path]:
    """Return the root of the shop, whose `.git` is as it was when the test is over."""
    kept = shop.root.parent / "kept-git"
    shutil.copytree(shop.root / ".git", kept)
    yield shop.root
    for name in (".git", "git-was-here"):
        shutil.rmtree(shop.root / name, ignore_errors=True)
    kept.rename(shop.root / ".git")


def ended(shop: Shop, command: str, more: dict[str, str]) -> Ended:
    """Run a command in the shop, in an environment with ``more``."""

    @dataclass(frozen=True)
    class Elsewhere(WarmRepository):
        @property
        def environment(self) -> dict[str, str]:
            return {**super().environment, **more}

    arguments = (command, *ARGUMENTS.get(command, ()))
    return Shop(Elsewhere(shop.root, shop.repository.home)).run(*arguments)


@pytest.mark.parametrize("state", STATES)
def test_a_state_is_named_for_what_it_is(state: str, shop: Shop, git_folder: Path) -> None:
    """With git's own reason, and what to do; `status` needs no commit, so it lists the stages without one."""
    known = STATES[state]
    more = known.make(git_folder)
    writable = known.what == DAMAGED[0] or state in ("no-commit", "index")  # `init` does not read them
    commands = ("check", "diff") if writable else ("check", "diff", "init")
    for command in ASKS_GIT if state == "other-owner" else commands:
        done = ended(shop, command, more)
        assert done.code == 19, (command, done)
        what, why, following = done.error()
        assert known.what in what, (command, done)
        assert known.remedy in following, (command, done)
        assert not [word for word in MISLEADING if word in f"{what} {why} {following}"], (command, done)
        assert state != "other-owner" or "dubious ownership" in why


def test_outside_of_a_repository_every_command_says_so(tmp_path: Path, shop: Shop) -> None:
    """An empty folder: no settings, no `.git`, no `.dvc`; what is wrong is the folder, not a file of it."""
    nowhere = Shop(WarmRepository(tmp_path / "nowhere", shop.repository.home))
    nowhere.root.mkdir()
    commands = set(leverframe.list_commands(click.Context(leverframe))) - WITHOUT_REPOSITORY
    for command in sorted(commands):
        done = nowhere.run(command, *ARGUMENTS.get(command, ()))
        what, why, following = done.error()
        assert "git repository" in f"{what} {why} {following}" or "no server" in what, (command, done)
        assert not [word for word in MISLEADING if word in f"{what} {why} {following}"], (command, done)


def test_a_bare_repository_is_named_for_what_it_is(tmp_path: Path, shop: Shop) -> None:
    """It has commits and no files."""
    bare = Shop(WarmRepository(tmp_path / "bare.git", shop.repository.home))
    shop.repository.git("clone", "--quiet", "--bare", "--shared", ".", str(bare.root))
    for command in ("check", "diff", "gate", "init", "report", "deploy", "train"):
        done = bare.run(command)
        assert "has no working tree" in done.error()[0], (command, done)
    assert not (bare.root / ".gitattributes").exists()


def test_inside_of_git_and_below_the_root_commands_work_as_at_the_root(shop: Shop) -> None:
    """The root is found above, also from the inside of `.git`."""
    for folder in (".git/refs", "pipelines/shop"):
        inside = Shop(WarmRepository(shop.root / folder, shop.repository.home))
        assert inside.run("check").code == 0


def test_a_lock_that_a_dead_process_left_stops_only_what_writes(shop: Shop, git_folder: Path) -> None:
    """Nothing but `init` writes anything into `.git`; it names the lock."""
    for name in ("index.lock", "config.lock"):
        (git_folder / ".git" / name).touch()
    for command in ("check", "diff", "status"):
        assert ended(shop, command, {}).code == 0, command
    what, _, following = ended(shop, "init", {}).error()
    assert "one that died left its lock" in what
    assert "`config.lock` in `.git`" in following


def test_a_file_that_git_lost_is_not_taken_for_one_that_was_never_there(tmp_path: Path) -> None:
    """Of a blob: missing, or with bytes of another."""
    repository = TemporaryRepository.create(tmp_path, dvc=False)
    repository.write("reports/a.json", "{}")
    commit = repository.commit("One")
    git = Git(repository.root)
    assert (git.show(commit, "reports/a.json"), git.show(commit, "reports/b.json")) == (b"{}", None)
    assert (git.show(commit, "reports"), git.show("HEAD~1", "reports/a.json")) == (None, None)
    identity = repository.git("rev-parse", "HEAD:reports/a.json").strip()
    path = repository.root / ".git/objects" / identity[:2] / identity[2:]
    path.unlink()
    for damage in (None, b"other bytes"):
        if damage:
            path.write_bytes(damage)
        for question in (lambda: git.show(commit, "reports/a.json"), lambda: git.contents(commit, "reports")):
            with pytest.raises(RepositoryError, match="is damaged"):
                question()


def test_a_partial_clone_without_its_remote_is_named(origin: TemporaryRepository, tmp_path: Path) -> None:
    """It has the commits and not all files, and asks for them when they are read."""
    origin.write("a.json", "{}")
    commit = origin.commit("A file")
    origin.git("config", "uploadpack.allowFilter", "true")
    origin.git("clone", "--quiet", "--no-checkout", "--filter=blob:none", origin.root.as_uri(), str(tmp_path / "part"))
    origin.root.rename(tmp_path / "away")
    git = Git(tmp_path / "part")
    for question in (lambda: git.show(commit, "a.json"), lambda: git.contents(commit, "a.json")):
        with pytest.raises(RepositoryError, match="this clone is partial"):
            question()


# What a change is compared with


@pytest.fixture
def origin(tmp_path: Path) -> TemporaryRepository:
    """Return a repository whose default branch is `trunk`, with two commits on it."""
    repository = TemporaryRepository.create(tmp_path / "origin", dvc=False)
    repository.commit("First")
    repository.git("branch", "-m", "trunk")
    repository.commit("Second")
    return repository


def clone(origin: TemporaryRepository, folder: Path, *options: str) -> TemporaryRepository:
    """Return a clone of what a forge has of a repository."""
    forge, clone = folder / "forge.git", TemporaryRepository(folder / "clone", origin.home)
    origin.git("clone", "--quiet", "--bare", ".", str(forge))
    origin.git("clone", "--quiet", *options, forge.as_uri(), str(clone.root))
    return clone


def test_the_default_branch_is_the_one_that_origin_names(origin: TemporaryRepository, tmp_path: Path) -> None:
    """Whatever it is called, and although there is a `main`, too; also with the head detached."""
    origin.git("branch", "main", "HEAD~1")
    mine = clone(origin, tmp_path)
    trunk = mine.git("rev-parse", "HEAD").strip()
    mine.git("checkout", "--quiet", "--detach")
    change = mine.commit("A change")
    base = Git(mine.root).base(None)
    assert (base.commit, base.tip, base.note) == (trunk, trunk, "")
    assert Git(mine.root).base(None, change) == base


def test_without_origin_head_the_event_tells_the_default_branch(origin: TemporaryRepository, tmp_path: Path) -> None:
    """As after the checkout of a workflow, which fetches branches and sets no `origin/HEAD`."""
    origin.git("branch", "release")
    mine = clone(origin, tmp_path)
    mine.git("symbolic-ref", "--delete", "refs/remotes/origin/HEAD")
    with pytest.raises(RepositoryError) as raised:
        Git(mine.root).base(None)
    assert "`origin/release`" in raised.value.why
    assert "git remote set-head origin --auto" in raised.value.next
    assert Git(mine.root, lambda: "trunk").base(None).tip == origin.git("rev-parse", "trunk").strip()


def test_a_remote_of_another_name_counts_where_it_is_the_only_one(origin: TemporaryRepository, tmp_path: Path) -> None:
    """As `git clone --origin upstream` names it."""
    origin.git("branch", "-m", "develop")
    mine = clone(origin, tmp_path, "--origin=upstream")
    mine.git("checkout", "--quiet", "-b", "change")
    mine.git("branch", "--delete", "develop")
    mine.commit("A change")
    assert Git(mine.root).base(None).commit == origin.git("rev-parse", "HEAD").strip()
    mine.git("symbolic-ref", "--delete", "refs/remotes/upstream/HEAD")
    with pytest.raises(RepositoryError) as raised:
        Git(mine.root).base(None)
    assert "neither `upstream/HEAD` nor a name tells" in raised.value.why
    advice = re.findall("`git ([^`]+)`", raised.value.next)
    assert len(advice) == 1
    mine.git(*advice[0].split())
    assert Git(mine.root).base(None).commit == origin.git("rev-parse", "HEAD").strip()


def test_a_working_copy_as_origin_does_not_tell_the_default_branch(origin: TemporaryRepository, tmp_path: Path) -> None:
    """What is checked out there is the branch that somebody works on."""
    origin.git("branch", "-m", "main")
    main = origin.git("rev-parse", "HEAD").strip()
    origin.git("checkout", "--quiet", "-b", "change")
    origin.commit("A change")
    origin.git("clone", "--quiet", ".", str(tmp_path / "clone"))
    assert Git(tmp_path / "clone").base(None).commit == main


def test_a_branch_that_is_alone_is_the_main_one(origin: TemporaryRepository) -> None:
    """Without a remote; two branches that are called neither `main` nor `master` tell nothing."""
    head = origin.git("rev-parse", "HEAD").strip()
    assert Git(origin.root).base(None).commit == head
    origin.git("branch", "other")
    with pytest.raises(RepositoryError, match="no main branch to compare with") as raised:
        Git(origin.root).base(None)
    assert "set-head" not in raised.value.next  # which needs a remote
    origin.git("branch", "-m", "other", "main")
    assert Git(origin.root).base(None).commit == head


def test_a_shallow_clone_is_the_reason_with_and_without_a_base(origin: TemporaryRepository, tmp_path: Path) -> None:
    """Never that a branch has no name, nor that a commit is gone."""
    first = origin.git("rev-parse", "HEAD~1").strip()
    origin.git("checkout", "--quiet", "-b", "change")
    origin.commit("A change")
    origin.git("checkout", "--quiet", "trunk")
    mine = clone(origin, tmp_path, "--depth=1", "--branch=change")
    for wanted in (None, "origin/trunk", first):
        with pytest.raises(RepositoryError) as raised:
            Git(mine.root).base(wanted)
        assert "this clone is shallow" in raised.value.why
        assert "fetch-depth: 0" in raised.value.next


ZEROS = "0" * 40


@pytest.mark.parametrize("wanted", [ZEROS, "0" * 64, "1234567890abcdef1234567890abcdef12345678"])
def test_a_commit_of_an_event_that_is_gone_stands_for_the_main_branch(wanted: str, origin: TemporaryRepository) -> None:
    """A push of a new branch, or after a force push; a push to the main branch itself is compared with its parent."""
    first, second = origin.git("rev-parse", "HEAD~1", "HEAD").split()
    base = Git(origin.root, lambda: "trunk").base(wanted)
    assert (base.commit, base.tip) == (first, first)
    assert f"compared with {first[:12]}, the commit before this one" in base.note
    origin.git("checkout", "--quiet", "-b", "change")
    origin.commit("A change")
    base = Git(origin.root, lambda: "trunk").base(wanted)
    assert (base.commit, base.tip) == (second, second)
    assert f"compared with {second[:12]}, where this left `trunk`" in base.note
    assert ("new branch" if not wanted.strip("0") else "force push") in base.note
    assert "first commit" in Git(origin.root, lambda: "trunk").base(wanted, "trunk~1").note


def test_a_commit_that_was_abandoned_and_is_still_here_is_compared_with(origin: TemporaryRepository) -> None:
    """Where it has a commit in common; else the main branch counts. What a person mistyped is an error as before."""
    first, second = origin.git("rev-parse", "HEAD~1", "HEAD").split()
    origin.git("reset", "--quiet", "--hard", first)
    origin.commit("Another second")
    git = Git(origin.root)
    assert (git.base(second).commit, git.base(second).note) == (first, "")
    origin.git("checkout", "--quiet", "--orphan", "anew")
    origin.commit("A new beginning")
    assert "no commit in common" in git.base(second).note
    for typed, what in ((second[:12], "have no commit in common"), ("mian", "names no commit")):
        with pytest.raises(RepositoryError, match=what):
            git.base(typed)


def test_a_lever_says_that_it_compared_with_another_commit(shop: Shop) -> None:
    """On the main branch after a force push, as `merge.yml` asks: nothing fails, so the model is deployed."""
    shop.repository.commit("One more")
    gone = "1234567890abcdef1234567890abcdef12345678"
    shop.repository.write("pipelines/shop/star.yaml", "broken")
    shop.repository.commit("Broken, and pushed by force with the next one")
    shop.repository.commit("The next one")
    assert shop.run("check", "--base", ZEROS).code == 30  # all is looked at, not only the last commit
    shop.repository.git("revert", "--no-edit", "HEAD~1")
    for command, base in (("check", ZEROS), ("diff", gone), ("check", gone)):
        done = shop.run(command, "--base", base, "--json")
        assert done.code == 0, done
        assert "compared with" in json.loads(done.stdout)["notes"][0]
    done = shop.run("report", "--base", ZEROS, "--publisher", "file")
    assert done.code == 0, done
    assert "the commit before this one" in (shop.root / ".leverframe/report.md").read_text(encoding="utf-8")
