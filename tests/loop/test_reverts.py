"""What served before comes back: for every way to merge, whatever landed later, over real git and the local forge."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from leverframe.adapters.git.host import HostedGit
from leverframe.application.reverts import RevertRequest, Reverts, restored_onto
from leverframe.domain.pipeline.status.lock import entries
from leverframe.domain.release.ledger import Revert
from leverframe.domain.release.release_manifest import ReleaseManifest
from leverframe.domain.release.release_state import Release
from leverframe.inert.letters import as_read
from leverframe.local.github import Fault, LocalForge, PullRequest, Repository, Token, serving
from leverframe.local.repository import TemporaryRepository
from leverframe.settings.retrain import RetrainSettings

BOT, SECRET = "github-actions[bot]", "ghs_not_to_be_seen_anywhere"
BUNDLE = "models/bundle"
README = "# Shop\n\nWhat it is.\n\nHow it works.\n\nWho made it.\n"
MODEL = "FIRST = 1\n\n\nDEPTH = 3\n\n\nLAST = 9\n"
PARAMS = "data: {last: '2026-01'}\n\nmodel: {depth: 3}\n\nnotes: none\n"
WORKFLOW = "name: leverframe\non: {pull_request: null}\njobs: {}\n"

Files = dict[str, str]


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@dataclass
class Project:
    """A pipeline whose lock describes what its files are: what is trained follows from parameters and code."""

    files: Files = field(default_factory=dict)

    @classmethod
    def first(cls) -> Project:
        texts = {"README.md": README, "model.py": MODEL, "params.yaml": PARAMS, "raw/rows.csv": "1\n2\n3\n"}
        return cls({**texts, "dvc.yaml": "stages: {}\n", ".github/workflows/leverframe.yml": WORKFLOW}).reproduced()

    def with_(self, **changes: str) -> Project:
        """Return it with other files, their dots and slashes written as underscores."""
        names = {"readme": "README.md", "model": "model.py", "params": "params.yaml", "rows": "raw/rows.csv"}
        return Project(self.files | {names[name]: text for name, text in changes.items()})

    def reproduced(self) -> Project:
        """Return it with the lock and the reports that its files give."""
        trained = md5("".join(self.files[name] for name in ("model.py", "params.yaml", "raw/rows.csv")))
        contract = json.dumps({"rows": self.files["raw/rows.csv"].count("\n")})
        metrics = json.dumps({"auc": trained[:4]})
        stages = {
            "validate": ({"raw/rows.csv": md5(self.files["raw/rows.csv"])}, {"reports/contract.json": md5(contract)}),
            "train": ({"model.py": md5(self.files["model.py"])}, {"models/model.skops": trained}),
            "evaluate": ({"models/model.skops": trained}, {"reports/metrics.json": md5(metrics)}),
            "bundle": ({"models/model.skops": trained}, {BUNDLE: f"{md5(trained)}.dir"}),
        }
        lines = ["schema: '2.0'", "stages:"]
        for name, (reads, writes) in stages.items():
            lines += [f"  {name}:", f"    cmd: python -m shop {name}"]
            lines += ["    params:", "      params.yaml:", f"        model: '{md5(self.files['params.yaml'])}'"] * (
                name == "train"
            )
            for kind, paths in (("deps", reads), ("outs", writes)):
                lines.append(f"    {kind}:")
                for path, digest in paths.items():
                    lines += [f"    - path: {path}", "      hash: md5", f"      md5: {digest}", "      size: 12"]
        made = {"dvc.lock": "\n".join(lines) + "\n", "reports/contract.json": contract, "reports/metrics.json": metrics}
        return Project(self.files | made)


def deeper(project: Project) -> list[tuple[str, Project]]:
    """Return the commits of the change that turns out bad: parameters and code, the run, a note."""
    edited = project.with_(params=PARAMS.replace("depth: 3", "depth: 9"), model=MODEL.replace("DEPTH = 3", "DEPTH = 9"))
    noted = edited.with_(readme=README.replace("What it is.", "What it is, deeper."))
    return [("Go deeper", edited), ("Reproduce", edited.reproduced()), ("Say so", noted.reproduced())]


def rewritten(project: Project, name: str, old: str, new: str) -> Project:
    return project.with_(**{name: project.files[{"readme": "README.md", "model": "model.py", "params": "params.yaml",
                                                  "rows": "raw/rows.csv"}[name]].replace(old, new)})  # fmt: skip


Later = Callable[[Project], Project]
LATER: dict[str, Later] = {
    "nothing": lambda project: project,
    "elsewhere": lambda project: Project(project.files | {"docs/notes.md": "Notes.\n"}),
    "other lines of parameters": lambda project: rewritten(project, "params", "notes: none", "notes: some"),
    "other lines of the code": lambda project: rewritten(project, "model", "LAST = 9", "LAST = 10"),
    "other lines of the readme": lambda project: rewritten(project, "readme", "Who made it.", "Who made it: we."),
    "the same lines of the readme": lambda project: rewritten(project, "readme", "is, deeper.", "is, much deeper."),
    "another stage": lambda project: Project(
        {**project.files, "dvc.lock": project.files["dvc.lock"] + "  mine:\n    cmd: true\n"}
    ),
    "the same lines of the code": lambda project: rewritten(project, "model", "DEPTH = 9", "DEPTH = 12"),
    "another model": lambda project: rewritten(project, "params", "depth: 9", "depth: 12").reproduced(),
    "new data": lambda project: rewritten(project, "rows", "3\n", "3\n4\n").reproduced(),
    "an edited report": lambda project: Project(project.files | {"reports/metrics.json": '{"auc": "mine"}'}),
}
UNDOES = {"the same lines of the code", "another model", "new data", "an edited report"}
KINDS = ("merge", "squash", "rebase")


@dataclass
class World:
    """A repository of an author, whose main branch begins with a release."""

    repository: TemporaryRepository
    folder: str = ""
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def git(self) -> HostedGit:
        return HostedGit(self.repository.root / self.folder)

    def commit(self, words: str, project: Project) -> str:
        for name, text in project.files.items():
            self.repository.write(f"{self.folder}{name}", text)
        return self.repository.commit(words)

    def merged(self, kind: str, commits: list[tuple[str, Project]]) -> tuple[str, str]:
        """Bring commits of a branch to main, which went on meanwhile, as GitHub's button does.

        Return the commits of main before and after it.
        """
        branch = f"change-{next(self.numbers)}"
        self.repository.git("checkout", "--quiet", "-b", branch)
        for words, project in commits:
            head = self.commit(words, project)
        self.repository.git("update-ref", "refs/pull/1/head", head)
        self.repository.git("checkout", "--quiet", "main")
        before = self.commit("Main went on", Project({f"docs/{branch}.md": "Meanwhile.\n"}))
        if kind == "merge":
            self.repository.git("merge", "--quiet", "--no-ff", "--message", "Merge #1", branch)
        elif kind == "squash":
            self.repository.git("merge", "--quiet", "--squash", branch)
            self.repository.git("commit", "--quiet", "--message", "Go deeper (#1)")
        else:
            self.repository.git("cherry-pick", f"{before}..{branch}")
        return before, self.repository.git("rev-parse", "main").strip()

    def at(self, revision: str, path: str) -> str:
        return self.repository.git("show", f"{revision}:{self.folder}{path}")

    def bundle(self, revision: str) -> str:
        """Return the digest of the bundle that the lock of a commit or tree names."""
        return entries(self.at(revision, "dvc.lock"), "dvc.lock")["bundle"].outputs[BUNDLE].md5

    def tree(self, released: str, left: str) -> tuple[str, tuple[str, ...], dict[str, str]]:
        """Return the tree in which the release is restored onto main, what that undoes, and what it keeps."""
        order = RevertRequest("b", "shop", "e" * 64, "", released, left, (BUNDLE,), "t", lambda _, text: text)
        restoration = restored_onto(self.git, order, "main")
        assert not restoration.already
        return self.git.with_files("main", restoration.files), restoration.undone, dict(restoration.kept)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one release, for copies."""
    repository = TemporaryRepository.create(tmp_path_factory.mktemp("reverts"), dvc=False)
    World(repository).commit("Release", Project.first())
    return repository.root


def world_of(begun: Path, tmp_path: Path) -> World:
    repository = TemporaryRepository(tmp_path / "repository", tmp_path)
    tmp_path.mkdir(exist_ok=True)
    repository.home.mkdir(exist_ok=True)
    TemporaryRepository(begun, tmp_path).git("clone", "--quiet", "--no-hardlinks", str(begun), str(repository.root))
    return World(repository)


@pytest.mark.parametrize("kind", KINDS)
def test_what_served_before_comes_back(begun: Path, tmp_path: Path, kind: str) -> None:
    """Its lock names its bundle again, later work stays, and what cannot stay is named with its files."""
    start = world_of(begun, tmp_path)
    project = Project.first()
    first, left = start.merged(kind, deeper(project))
    assert start.git.before_merge(left, start.repository.git("rev-parse", "refs/pull/1/head").strip()) == first
    bad = deeper(project)[-1][1]
    for name, later in LATER.items():
        start.repository.git("reset", "--quiet", "--hard", left)
        changed = later(bad)
        tip = start.commit(name, changed) if changed is not bad else left
        tree, undone, kept = start.tree(first, left)
        assert start.bundle(tree) == start.bundle(first), name
        assert bool(undone) is (name in UNDOES), (name, undone)
        before = set(start.repository.git("diff", "--name-only", left, tip).split())
        assert set(undone) <= before
        assert set(kept) == ({"README.md"} if name == "the same lines of the readme" else set()), name
        if undone:
            described = ["dvc.lock", "model.py", "params.yaml", "reports", "raw"]
            assert start.repository.git("diff", "--name-only", first, tree, "--", *described) == ""
        for path in before - set(undone) - set(kept):  # what was changed later is there still
            lines = {
                line for line in changed.files[path].split("\n") if line not in bad.files.get(path, "").split("\n")
            }
            assert lines <= set(start.at(tree, path).split("\n")), (name, path)
        if name == "nothing":
            assert start.repository.git("diff", "--name-only", first, tree) == ""


def test_later_changes_on_top_of_one_another(begun: Path, tmp_path: Path) -> None:
    """Two model changes and notes: the files of the lock are those of the release, everything else is as it was."""
    start = world_of(begun, tmp_path)
    first, left = start.merged("rebase", deeper(Project.first()))
    project = deeper(Project.first())[-1][1]
    for name in ("elsewhere", "another model", "new data", "other lines of the readme", "another stage"):
        project = LATER[name](project)
        start.commit(name, project)
    tree, undone, kept = start.tree(first, left)
    assert (start.bundle(tree), kept) == (start.bundle(first), {})
    assert start.at(tree, "dvc.lock") == start.at(first, "dvc.lock")
    assert undone == ("dvc.lock", "params.yaml", "raw/rows.csv", "reports/contract.json", "reports/metrics.json")
    assert start.at(tree, "README.md") == README.replace("Who made it.", "Who made it: we.")
    assert start.at(tree, "docs/notes.md") == "Notes.\n"


def test_a_project_in_a_folder_leaves_the_others_alone(tmp_path: Path) -> None:
    """What other projects of the repository changed in the same commits stays, workflows as well."""
    start = World(TemporaryRepository.create(tmp_path, dvc=False), "services/shop/")
    start.repository.write("services/other/model.py", "A = 1\n")
    start.repository.write(".github/workflows/leverframe.yml", WORKFLOW)
    start.commit("Release", Project.first())
    bad = Project(deeper(Project.first())[-1][1].files | {"../other/model.py": "A = 2\n"})
    first, left = start.merged("squash", [("Go deeper", bad)])
    tree, undone, kept = start.tree(first, left)
    assert (start.bundle(tree), undone, kept) == (start.bundle(first), (), {})
    assert start.repository.git("show", f"{tree}:services/other/model.py") == "A = 2\n"
    assert start.repository.git("diff", "--name-only", first, tree).split() == ["services/other/model.py"]


def test_what_was_restored_by_hand_is_left_alone(begun: Path, tmp_path: Path) -> None:
    start = world_of(begun, tmp_path)
    first, left = start.merged("squash", deeper(Project.first()))
    start.repository.git("revert", "--no-edit", left)
    order = RevertRequest("b", "shop", "e" * 64, "", first, left, (BUNDLE,), "t", lambda _, text: text)
    assert restored_onto(start.git, order, "main").already


@dataclass
class Forged:
    """The same on the local forge, and a clone in which a deployment runs."""

    server: LocalForge
    world: World
    clone: Path

    @property
    def repository(self) -> Repository:
        return self.server.repositories["acme/shop"]

    def push(self) -> str:
        self.world.repository.git("push", "--quiet", "--force", str(self.repository.path), "HEAD:main")
        self.world.repository.git(
            "-C", str(self.clone), "fetch", "--quiet", "--no-tags", str(self.repository.path), "main"
        )
        return self.repository.commit("main")

    def manifest(self, commit: str) -> ReleaseManifest:
        return ReleaseManifest(
            "shop", commit, "k", hashlib.sha256(self.world.bundle(commit).encode()).hexdigest(), "w", "p", "s"
        )

    def asked(self, left: str, released: str) -> tuple[str, str]:
        """Ask for a revert as a deployment does, and return its address, else why there is none."""
        serving_ = Release(1, self.manifest(released), "2026-01-01T00:00:00+00:00")
        revert = Revert("production", self.manifest(left), serving_, "late <b>labels</b> of @all")
        done = Reverts(HostedGit(self.clone), "shop", RetrainSettings()).revert(revert)
        return done.address, done.note

    @property
    def only(self) -> PullRequest:
        (pull,) = self.repository.pulls.values()
        return pull


@pytest.fixture
def forged(begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forged]:
    """Run the local forge; no call may violate the description of GitHub's API."""
    world = world_of(begun, tmp_path / "author")
    with serving(tmp_path / "forge") as server:
        server.tokens[SECRET] = Token(BOT, ("contents", "pull-requests", "deployments"))
        server.repository("acme/shop")
        forge = Forged(server, world, tmp_path / "clone")
        world.repository.git("init", "--quiet", str(forge.clone))
        forge.push()
        for name, value in {"REPOSITORY": "acme/shop", "TOKEN": SECRET, "API_URL": server.address,
                            "SERVER_URL": server.address}.items():  # fmt: skip
            monkeypatch.setenv(f"GITHUB_{name}", value)
        yield forge
        assert server.violations == []


def test_the_pull_request_brings_the_release_back_once(forged: Forged) -> None:
    """After a rebase merge and later commits; merged, main has its bundle. The same change again gets another one."""
    first, left = forged.world.merged("rebase", deeper(Project.first()))
    later = forged.world.commit("Notes", Project({"docs/notes.md": "Notes.\n"}))
    forged.push()
    address, note = forged.asked(left, first)
    assert (address, note) == (f"{forged.server.address}/acme/shop/pull/1", "")
    pull = forged.only
    assert (pull.draft, as_read(pull.title)) == (
        False,
        f"Revert {left[:12]}: `production` does not serve it",
    )
    assert forged.repository.git("rev-parse", f"{pull.head}^").strip() == later
    assert "<b>" not in pull.body
    for words in ("Go deeper", "Reproduce", "Say so", "`dvc.lock`", first):
        assert words in pull.body, words
    assert forged.asked(later, first)[0] == address
    assert forged.repository.merge(pull)
    assert forged.repository.git("diff", "--name-only", first, "main").split() == ["docs/notes.md"]
    assert forged.asked(left, first) == ("", f"main has what served before already: {left[:12]} was reverted")
    forged.world.repository.git("fetch", "--quiet", str(forged.repository.path), "main")
    forged.world.repository.git("reset", "--quiet", "--hard", "FETCH_HEAD")
    _, again = forged.world.merged("squash", deeper(Project.first()))
    forged.push()
    assert forged.asked(again, first)[0].endswith("/pull/2")
    forged.repository.pulls[2].state = "closed"
    address, note = forged.asked(again, first)
    assert (address, len(forged.repository.pulls)) == ("", 2)
    assert "#2 with the same evidence was closed" in note


def test_later_work_makes_it_a_draft_that_names_files_and_commits(forged: Forged) -> None:
    first, left = forged.world.merged("merge", deeper(Project.first()))
    tuned = forged.world.commit("Tune `it`", LATER["another model"](deeper(Project.first())[-1][1]))
    forged.push()
    forged.asked(left, first)
    pull = forged.only
    assert pull.draft
    assert "### Later work that this undoes" in pull.body
    for words in ("`params.yaml`", "`reports/metrics.json`", f"git cherry-pick --no-commit {tuned[:12]}", "`dvc.lock`"):
        assert words in pull.body, words
    assert forged.world.bundle(first) in forged.repository.git("show", f"{pull.head}:dvc.lock")
    pull.draft = False  # a person decided
    assert forged.asked(left, first)[0].endswith("/pull/1")
    assert not pull.draft
    assert forged.repository.merge(pull)
    assert forged.world.bundle(first) in forged.repository.git("show", "main:dvc.lock")


def test_what_cannot_be_asked_of_the_forge_is_a_note(forged: Forged) -> None:
    """The traffic is where it should be already; the next deployment asks again and finishes what was begun."""
    first, left = forged.world.merged("squash", deeper(Project.first()))
    forged.push()
    forged.server.faults.append(Fault("POST", "/pulls$", status=403, times=9))
    address, note = forged.asked(left, first)
    assert address == ""
    assert "GitHub refused to open the pull request" in note
    forged.server.faults.clear()
    forged.world.commit("Notes", Project({"docs/notes.md": "Notes.\n"}))
    tip = forged.push()
    assert forged.asked(left, first)[0].endswith("/pull/1")
    assert forged.repository.git("rev-parse", f"{forged.only.head}^").strip() == tip
    elsewhere = forged.world.commit("Elsewhere", LATER["another model"](deeper(Project.first())[-1][1]))
    assert "is not in main or this clone any more" in forged.asked(elsewhere, first)[1]
